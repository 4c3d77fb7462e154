"""HEAD: the response to GET without its body (RFC 9110, 9.3.2), as monitors and link checkers request it."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """ASGI middleware around the endpoints, which only know GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        head_sent = asyncio.Event()
        request_sent = False

        async def without_body(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
            elif not head_sent.is_set():
                head_sent.set()
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def then_leave() -> Message:
            """An empty request body, then a disconnect once the head was sent: that ends a stream."""
            nonlocal request_sent
            if not request_sent:
                request_sent = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await head_sent.wait()
            return {"type": "http.disconnect"}

        await self._app({**scope, "method": "GET"}, then_leave, without_body)
