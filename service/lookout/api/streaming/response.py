"""A streaming response: it ends when the viewer leaves or stops reading, or when the service stops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lookout.api.streaming.together import until_one_ends
from lookout.errors import LookoutError

# Viewers have nothing to send; the bodies that some clients send anyway are small.
MAX_BODY_BYTES = 64 * 1024

Writer = Callable[[bytes], Awaitable[None]]
Body = Callable[[Writer], Awaitable[None]]


class StreamResponse(Response):
    """Runs `body(write)` while watching the connection."""

    def __init__(
        self,
        body: Body,
        admission: contextlib.AbstractContextManager[None],
        send_s: float,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        """admission: held while the response runs; it may refuse before anything is sent.

        send_s: seconds after which a viewer that takes no more data is dropped.
        """
        super().__init__(media_type=media_type, headers=dict(headers))
        del self.headers["content-length"]
        self._write_body = body
        self._send_s = send_s
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope  # only the connection matters

        async def write(data: bytes) -> None:
            async with asyncio.timeout(self._send_s):
                await send({"type": "http.response.body", "body": data, "more_body": True})

        async def produce() -> None:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            with contextlib.suppress(TimeoutError):
                with contextlib.suppress(LookoutError):  # the response has started; the next request gets the error
                    await self._write_body(write)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        with self._admission:
            await until_one_ends(produce(), _left(receive))


async def _left(receive: Receive) -> None:
    """Wait until the viewer has left, or has sent too large a body."""
    size = 0
    while size <= MAX_BODY_BYTES and (message := await receive())["type"] != "http.disconnect":
        size += len(message.get("body", b""))
