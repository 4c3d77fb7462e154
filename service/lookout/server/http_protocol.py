"""HTTP connections with the limits that uvicorn lacks.

A connection has one request at a time: what a client sends beyond it is not parsed, and soon not read, until the
response is complete. Heads have a maximum size and time; connections without a request give way to others.
Cameras need descriptors, too: connections must not take the last one.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from lookout.errors import LookoutError
from lookout.server.listener import DEFAULT_CAPACITY, Capacity
from lookout.server.refusals import (
    HEAD_S,
    MALFORMED,
    MAX_HEAD_BYTES,
    MAX_UPGRADE_HEADERS,
    MAX_UPGRADE_LINE_BYTES,
    TOO_LATE,
    TOO_LONG,
    TOO_MANY,
    UPGRADE_TOO_LARGE,
    UPGRADE_WITH_BODY,
    crowded,
    last_words,
)
from lookout.server.websocket_protocol import WriteWatch

# Everything that is not the body: chunk sizes and trailers. A picture in chunks of 4 KiB needs 24 KiB.
MAX_EXTRA_BYTES = 1024 * 1024
# A client that takes no data for this long is gone, or malicious.
STALLED_S = 10.0

# What is not read stays in the kernel; what was read and waits for its turn costs memory here.
_READ_BYTES = 64 * 1024
# Lines, or parts of a body, that are parsed for one connection before others get a turn on the event loop.
_PIECES_A_TURN = 256
# Seconds between requests that were sent without waiting for a response, over all connections.
_PIPELINED_S = 0.01
# Sentinel above any real Content-Length: marks a response of unknown length.
_MAX_LENGTH = sys.maxsize // 2
# How long a client may take to read a refusal while it still sends.
_LINGER_S, _LINGER_BYTES = 1.0, 1024 * 1024
# Clients that stopped reading this long ago may be disconnected in favour of others.
_SLOW_S = 2.0


def _answer_to_the_end(cycle: RequestResponseCycle) -> None:
    """Make a response of unknown length end with its connection, without chunks.

    An HTTP/1.0 client may not know chunks (RFC 9112, 6.1), but uvicorn sends them anyway.
    """
    send = cycle.send

    async def plainly(message: Any) -> None:
        if message["type"] == "http.response.start":
            if not any(name.lower() == b"content-length" for name, _ in message["headers"]):
                cycle.chunked_encoding, cycle.expected_content_length = False, sys.maxsize
        elif cycle.expected_content_length > _MAX_LENGTH and not message.get("more_body", False):
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    cycle.send = plainly  # type: ignore[method-assign]


class _Flow(FlowControl):
    """uvicorn's flow control. It resumes reading whenever an application waits for data; here not while `full`."""

    full = False

    def resume_reading(self) -> None:
        if not self.full:
            super().resume_reading()


class BoundedConnection(HttpToolsProtocol):
    """One connection, from accept to close."""

    _pipelining: ClassVar[set[BoundedConnection]] = set()  # those that sent a request before the last response

    _timer: asyncio.TimerHandle | None = None
    _turn: asyncio.Handle | None = None
    _in_head = False
    _whole = False  # the present request is complete
    _other_upgrade = False  # its head requests a protocol other than WebSocket
    _body_left = 0  # bytes of its body still to come, if the head said how many
    _extra = 0  # bytes of the present message that are not its body
    _held, _at = b"", 0  # what was read, and how much of it is parsed
    _lingering: int | None = None  # refused: bytes that have arrived since, and are ignored
    _gave_way = False

    def __init__(self, *args: Any, capacity: Capacity = DEFAULT_CAPACITY, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._capacity = capacity
        self._since = self.loop.time()  # when it was opened, its last response completed, or its request began

    # --- asyncio's protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow: _Flow = _Flow(transport)
        self.write_watch = WriteWatch(transport)
        _read_little(transport)
        if len(self.connections) > self._capacity.served and not self._make_room():
            if len(self.connections) > self._capacity.refused:
                self._end(TOO_MANY, linger=False)
                return
            self.app: Any = crowded
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._drop_held()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._lingering is not None:
            self._lingering += len(data)
            if self._lingering > _LINGER_BYTES:
                self.transport.abort()
            return
        self._held, self._at = self._held[self._at :] + data, 0
        if self._turn is None:
            self._go_on()

    # --- parsing: one request at a time -------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Parse the buffered data, up to the end of a request and a limit per turn; read on if nothing is left."""
        self._turn = None
        for _ in range(_PIECES_A_TURN):
            if self._at >= len(self._held) or self._is_answering() or not self._is_http():
                break
            self._unset_keepalive_if_required()
            self._parse(self._piece())
        if not self._is_http():
            self._drop_held()
            return
        self.flow.full = self._at < len(self._held)
        if self.flow.full:
            self.flow.pause_reading()
            if not self._is_answering():
                self._turn = self.loop.call_soon(self._go_on)
        else:
            self._held, self._at = b"", 0
            self._pipelining.discard(self)
            if self.cycle is None or len(self.cycle.body) <= HIGH_WATER_LIMIT:
                self.flow.resume_reading()

    def _piece(self) -> memoryview:
        """Return the next bytes to parse: a line or a part of a body, so that no request ends inside them."""
        start = self._at
        if self._body_left and not self._in_head:
            self._at = min(len(self._held), start + self._body_left)
        else:
            self._at = self._held.find(b"\n", start) + 1 or len(self._held)
        return memoryview(self._held)[start : self._at]

    def _parse(self, piece: memoryview) -> None:
        self._extra += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            if self._other_upgrade:
                self._ask_without_upgrade()
            else:
                self.handle_websocket_upgrade()
        except httptools.HttpParserError:
            self._end(MALFORMED)
        if not self._is_http():
            return
        if self._extra > (MAX_HEAD_BYTES if self._in_head else MAX_EXTRA_BYTES):
            self._end(TOO_LONG)
        elif self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._arm()  # another request begins, or a body continues after its response

    def _is_answering(self) -> bool:
        """Return whether the current request is complete and its response is not."""
        return self._whole and self.cycle is not None and not self.cycle.response_complete

    def _is_http(self) -> bool:
        """Return False once the connection ends or has become a WebSocket."""
        return not (
            self.transport.is_closing() or self._lingering is not None or self.transport.get_protocol() is not self
        )

    def _drop_held(self) -> None:
        self._held, self._at = b"", 0
        self._pipelining.discard(self)
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    # --- httptools' callbacks -----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._in_head, self._whole, self._other_upgrade, self._extra, self._body_left = True, False, False, 0, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: as a header, it could change the client's identity after the check
        super().on_header(name, value)
        if name.lower() == b"content-length":
            self._body_left = int(value)  # the parser has validated its form

    def on_headers_complete(self) -> None:
        self._in_head, self._extra, self._since = False, 0, self.loop.time()
        self._other_upgrade = self.parser.should_upgrade() and not self._should_upgrade()
        if self._other_upgrade:
            return
        self._disarm()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.scope.get("http_version") in ("1.0", "0.9"):
            _answer_to_the_end(self.cycle)

    def on_body(self, body: bytes) -> None:
        self._extra -= len(body)
        self._body_left = max(0, self._body_left - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._other_upgrade:
            return
        self._whole = True
        if self.cycle is not None:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._since = self.loop.time()
        if self._at < len(self._held) and self._turn is None:
            self._pipelining.add(self)
            self._turn = self.loop.call_later(_PIPELINED_S * len(self._pipelining), self._go_on)

    def _ask_without_upgrade(self) -> None:
        """Parse the head again without its Upgrade header.

        An offer of another protocol may be ignored (RFC 9110, 7.8), but the parser would treat the body as part of it.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._end(MALFORMED)
            return
        lines = [b" ".join([method, self.url, b"HTTP/" + version])]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        try:
            self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))
        except httptools.HttpParserError:
            self._end(MALFORMED)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, or refuse what the WebSocket library would leave unanswered."""
        names = [name for name, _ in self.headers]
        if b"transfer-encoding" in names or self._body_left:
            self._end(UPGRADE_WITH_BODY)
            return
        self._leave_out_foreign_cookies()
        longest = max(len(self.url), *(len(name) + len(value) for name, value in self.headers))
        if len(names) > MAX_UPGRADE_HEADERS or longest > MAX_UPGRADE_LINE_BYTES - 32:
            self._end(UPGRADE_TOO_LARGE)
            return
        self._disarm()
        rest = self._held[self._at :]
        super().handle_websocket_upgrade()
        socket: Any = self.transport.get_protocol()
        if not socket.handshake_initiated:
            self._end(MALFORMED)
            return
        self.flow.full = False
        self.flow.resume_reading()
        if rest:
            socket.data_received(rest)

    def _leave_out_foreign_cookies(self) -> None:
        """Drop the cookies of this host's other services, which browsers send too: they may make the line too long."""
        for index, (name, value) in enumerate(self.headers):
            if name == b"cookie":
                own = [cookie.strip() for cookie in value.split(b";") if cookie.strip().startswith(b"lookout_")]
                self.headers[index] = (name, b"; ".join(own))

    # --- ends ---------------------------------------------------------------------------------------------------

    def waiting_since(self, now: float) -> tuple[int, float] | None:
        """Return how soon the connection may be closed in favour of another (0 is first), and since when it waits.

        None while it has a request being worked on, or a response in transit. Times are the event loop's.
        """
        if self._gave_way:
            return None
        if self.transport.is_closing() or self._lingering is not None:
            return 0, self._since
        if self.cycle is None or self.cycle.response_complete:
            return 1, self._since
        if not self._whole:
            return 2, self._since
        if self.write_watch.stalled_s(now) > _SLOW_S:
            return 3, self._since
        return None

    def give_way(self) -> None:
        """Close in favour of another connection."""
        self._gave_way = True
        if self.transport.is_closing() or self._lingering is not None:
            self.transport.abort()
        else:
            self._end(TOO_MANY if self.cycle is None or self._in_head else None, linger=False)

    def shutdown(self) -> None:
        """The service stops: responses in progress are completed, for clients that read them."""
        if self.write_watch.stalled_s(self.loop.time()) > 0:
            self.transport.abort()
        else:
            super().shutdown()

    def _make_room(self) -> bool:
        """Close a connection that waits for its client: first those without a request, then the oldest.

        Returns whether there was one.
        """
        now = self.loop.time()
        others: list[Any] = [one for one in self.connections if one is not self]
        waiting = [(since, id(one), one) for one in others if (since := one.waiting_since(now)) is not None]
        if not waiting:
            return False
        min(waiting)[2].give_way()
        return True

    def _arm(self) -> None:
        self._timer = self.loop.call_later(HEAD_S, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        self._end(TOO_LATE if self.cycle is None or self._in_head else None)

    def _end(self, error: LookoutError | None, *, linger: bool = True) -> None:
        """End the connection, with the error as its response unless another one has started.

        A client that reads no more data gets no more time either: what is buffered is discarded.
        """
        self._drop_held()
        if self.transport.is_closing() or self._lingering is not None:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            error = None if self.cycle.response_started else error
        if self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        if error is not None:
            self.transport.write(last_words(error))
        if error is None or not linger or not self.transport.can_write_eof():
            self.transport.close()
            return
        # If it were closed at once, with data unread, the kernel would drop the refusal.
        try:
            self.transport.write_eof()
        except OSError:  # the client has gone
            self.transport.abort()
            return
        self._disarm()
        self._lingering = 0
        self.flow.full = False
        self.flow.resume_reading()
        self._timer = self.loop.call_later(_LINGER_S, self.transport.abort)


def _read_little(transport: Any) -> None:
    """Limit the read buffers: asyncio reads 256 KiB at once, and keeps 512 KiB for each TLS connection."""
    if hasattr(transport, "set_read_buffer_limits"):
        transport.set_read_buffer_limits(_READ_BYTES)
    elif hasattr(transport, "max_size"):
        transport.max_size = _READ_BYTES


def sweep(connections: Any, now: float) -> None:
    """Close connections that have taken none of the data written to them for STALLED_S. now: the loop's time."""
    for one in list(connections):
        if one.write_watch.stalled_s(now) > STALLED_S:
            one.transport.abort()
