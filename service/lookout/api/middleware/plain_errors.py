"""Errors in the form that clients of the Open Inference Protocol and of Hugging Face expect: {"error": "…"}.

Only their paths are affected. The middleware is the outermost, so that refusals before any endpoint have this form too.
"""

from __future__ import annotations

import json
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookout.api.middleware.access import route_path
from lookout.api.problems import MEDIA_TYPE

_PATHS = re.compile(r"/v2(/.*)?|/hf|/models/.*", re.DOTALL)


class PlainErrors:
    """ASGI middleware that rewrites problem details."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _PATHS.fullmatch(route_path(scope)) is None:
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def plainly(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and Headers(raw=message["headers"]).get("content-type") == (
                MEDIA_TYPE
            ):
                start = message
            elif start is None:
                await send(message)
            else:  # problems are sent in one piece
                body = _plain(message.get("body", b""))
                headers = MutableHeaders(raw=list(start["headers"]))
                headers["content-type"] = "application/json"
                headers["content-length"] = str(len(body))
                await send({**start, "headers": headers.raw})
                await send({**message, "body": body})

        await self._app(scope, receive, plainly)


def _plain(body: bytes) -> bytes:
    """Return the body in the plain form; a response to HEAD has none."""
    if not body:
        return body
    problem = json.loads(body)
    return json.dumps({"error": f"{problem['detail']} {problem['remedy']}".strip()}).encode()
