"""HTTP connections with limits that uvicorn lacks: how many, how large a head, how long a request may take to come.

A client that opens a connection and says little or nothing would otherwise keep it for ever, and one that never ends
its headers would fill the memory. Cameras need descriptors too: those connections must not take the last one.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import weakref
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from lookout.api.problems import respond
from lookout.errors import TooBusy

# All viewers there may be (180) and a household's requests beside them. Above it requests are refused in words ...
MOST_CONNECTIONS = 256
# ... and above this, connections; far below the 1,024 descriptors a process has by default.
MOST_REFUSED = 512
# Those in the midst of a TLS handshake are none yet, but have descriptors as well: above this nobody gets that far.
MOST_ACCEPTED = 832
# Browsers send some kilobytes, cookies of other services on the same host included.
MOST_HEAD_BYTES = 32 * 1024
# What else is no body: chunk sizes and trailers. A picture in chunks of 4 KiB needs 24 KiB.
MOST_EXTRA_BYTES = 1024 * 1024
# From the connection, or the last answer, to a whole head; for what is still sent after an answer was given, too.
HEAD_S = 6.0

# No answer is said to be so long: what is longer is without an end.
_MOST_LENGTH = sys.maxsize // 2

_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


async def _crowded(scope: Scope, receive: Receive, send: Send) -> None:
    response = respond(TooBusy("Too many connections are open.", "Close some pages, or try again in a moment."))
    response.headers["Connection"] = "close"
    await response(scope, receive, send)


def _answer_to_the_end(cycle: RequestResponseCycle) -> None:
    """Have an answer of unknown length end with its connection, and come in no chunks.

    RFC 9112, 6.1: who asks in HTTP/1.0 may not know chunks. uvicorn sends them all the same.
    """
    send = cycle.send

    async def plainly(message: Any) -> None:
        if message["type"] == "http.response.start":
            if not any(name.lower() == b"content-length" for name, _ in message["headers"]):
                cycle.chunked_encoding, cycle.expected_content_length = False, sys.maxsize
        elif cycle.expected_content_length > _MOST_LENGTH and not message.get("more_body", False):
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    cycle.send = plainly  # type: ignore[method-assign]


class BoundedListener(socket.socket):
    """A listening socket whose connections never take the last descriptors, whatever became of them."""

    def __init__(self, family: int, kind: int, protocol: int) -> None:
        super().__init__(family, kind, protocol)
        self._accepted: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises BlockingIOError when nobody waits, or so many came at once that others should have a turn."""
        for _ in range(MOST_ACCEPTED):
            connection, address = super().accept()
            if sum(one.fileno() >= 0 for one in self._accepted) < MOST_ACCEPTED:
                self._accepted.add(connection)
                return connection, address
            connection.close()
        raise BlockingIOError


class BoundedConnection(HttpToolsProtocol):
    """One connection, from accept to close."""

    _timer: asyncio.TimerHandle | None = None
    _in_head = False
    _extra = 0  # bytes of the present message that are not its body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_REFUSED:
            self._end(_TOO_MANY)
            return
        if len(self.connections) > MOST_CONNECTIONS:
            self.app: Any = _crowded
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._extra += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:  # it became a WebSocket
            return
        if self._extra > (MOST_HEAD_BYTES if self._in_head else MOST_EXTRA_BYTES):
            self._end(_TOO_LONG)
        elif self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._arm()  # another request begins, or a body goes on after its answer

    def on_message_begin(self) -> None:
        self._in_head, self._extra = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._extra = False, 0
        self._disarm()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.scope.get("http_version") == "1.0":
            _answer_to_the_end(self.cycle)

    def on_body(self, body: bytes) -> None:
        self._extra -= len(body)
        super().on_body(body)

    def _arm(self) -> None:
        self._timer = self.loop.call_later(HEAD_S, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        self._end(_TOO_LATE if self.cycle is None or self._in_head else b"")

    def _end(self, last_words: bytes) -> None:
        """A client that takes nothing any more gets no more time either: what lies in the buffer goes with it."""
        if self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        if last_words:
            self.transport.write(last_words)
        self.transport.close()
