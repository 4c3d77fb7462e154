"""HEAD is what GET would answer, without the body (RFC 9110, 9.3.2): monitors and link checkers ask that way."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """ASGI middleware around the endpoints, which know GET alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        told = asyncio.Event()
        asked = False

        async def without_body(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
            elif not told.is_set():
                told.set()
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def then_leave() -> Message:
            """A request without a body, whose sender leaves once it has the head: what has no end ends then."""
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await told.wait()
            return {"type": "http.disconnect"}

        await self._app({**scope, "method": "GET"}, then_leave, without_body)
