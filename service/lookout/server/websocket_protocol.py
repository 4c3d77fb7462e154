"""WebSockets with the limits that uvicorn lacks: what clients send takes a small share of the event loop in total.

The dashboard sends an acknowledgement per picture. Frames beyond that wait for their turn, unread, and clients whose
WebSocket has been closed have two seconds to close it as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

# All connections together are parsed for about TURN_S in every GAP_S; single messages are parsed at once.
_TURN_S, _GAP_S = 0.0005, 0.01
# An acknowledgement has 30 bytes; this many bytes contain at most ten frames.
_SLICE_BYTES = 64
# The largest message has 64 KiB; no client has a reason to send it in more fragments.
MAX_FRAGMENTS = 64
# Seconds and bytes for the client's half of the closing handshake.
CLOSE_S, _CLOSE_BYTES = 2.0, 4096
_SLOW_S = 2.0


class WriteWatch:
    """Watches whether a client reads what is written to it. Times are the event loop's, in seconds."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._size, self._since = 0, 0.0

    def stalled_s(self, now: float) -> float:
        """Return how long the same bytes have been waiting, as far as earlier calls have seen; 0 if none are."""
        size = self._transport.get_write_buffer_size()
        if size != self._size:
            self._size, self._since = size, now
        return now - self._since if size else 0.0


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket, from the handshake to close."""

    _parsing_late: ClassVar[set[BoundedWebSocket]] = set()  # those that have sent more than fits into their turn

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = CLOSE_S
        self._held, self._at = b"", 0
        self._turn: asyncio.TimerHandle | None = None
        self._not_before = 0.0  # the event loop's time of the next turn
        self._since_close = 0
        self._closed_by_application = False
        self._gave_way = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.write_watch = WriteWatch(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._drop_held()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self.handshake_initiated:  # a complete head, whose size has been checked
            super().data_received(data)
            return
        if self.close_sent:
            self._since_close += len(data)
            if self._since_close > _CLOSE_BYTES:
                self.transport.abort()
                return
        self._held, self._at = self._held[self._at :] + data, 0
        if self._turn is None:
            self._go_on()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._turn is None:
            self._go_on()

    async def send(self, message: Any) -> None:
        """Send a message. Raises ClientDisconnected once the connection has failed, not uvicorn's RuntimeError."""
        try:
            await super().send(message)
        except RuntimeError:
            if not self.close_sent or self._closed_by_application:
                raise
            raise ClientDisconnected from None
        self._closed_by_application = self._closed_by_application or message["type"] == "websocket.close"

    async def receive(self) -> Any:
        if self._turn is None:
            self._go_on()
        return await self.queue.get()

    def _go_on(self) -> None:
        """Parse what is buffered while application and client keep up, for about _TURN_S at most."""
        self._turn = None
        now = self.loop.time()
        if now >= self._not_before:
            while self._may_parse() and self.loop.time() < now + _TURN_S:
                piece = self._held[self._at : self._at + _SLICE_BYTES]
                self._at += len(piece)
                super().data_received(piece)
            self._pace(now)
        if self.transport.is_closing():
            self._drop_held()
            return
        if self._may_parse():
            self._turn = self.loop.call_at(self._not_before, self._go_on)
        self._read(self._at >= len(self._held) and (self.queue.empty() or self.close_sent))

    def _pace(self, now: float) -> None:
        """Set the time of the next turn: the more connections send too much, the longer each of them waits."""
        if self._at < len(self._held):
            self._parsing_late.add(self)
            self._not_before = now + _GAP_S * len(self._parsing_late)
        else:
            self._parsing_late.discard(self)

    def _may_parse(self) -> bool:
        """Return whether something is buffered, the last result has been taken, and pongs do not pile up."""
        return (
            self._at < len(self._held)
            and self.handshake_complete
            and (self.queue.empty() or self.close_sent)
            and self.writable.is_set()
            and not self.transport.is_closing()
        )

    def _read(self, on: bool) -> None:
        self.read_paused = not on
        if on:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _drop_held(self) -> None:
        self._held, self._at = b"", 0
        self._parsing_late.discard(self)
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MAX_FRAGMENTS:
            self.conn.fail(CloseCode.POLICY_VIOLATION, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hand a complete message to the application, or end the connection if it is text that is not UTF-8.

        uvicorn would log it with a traceback, as often as somebody sends it, and raise where a Close frame follows.
        """
        if self.curr_msg_data_type == "text" and not self.close_sent and not _is_utf8(self.frames):
            self.frames = []
            self.conn.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def waiting_since(self, now: float) -> tuple[int, float] | None:
        """Return how soon the connection may be closed in favour of another; see BoundedConnection."""
        if self._gave_way:
            return None
        if self.close_sent or self.transport.is_closing():
            return 0, 0.0
        return (3, 0.0) if self.write_watch.stalled_s(now) > _SLOW_S else None

    def give_way(self) -> None:
        """Close in favour of another connection."""
        self._gave_way = True
        self.transport.abort()


def _is_utf8(fragments: Sequence[bytes]) -> bool:
    try:
        b"".join(fragments).decode()
    except UnicodeDecodeError:
        return False
    return True
