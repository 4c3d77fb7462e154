"""A limit on every body except uploaded pictures, which `uploads.py` measures: commands and settings are small."""

from __future__ import annotations

import asyncio
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookout.api.middleware.access import route_path
from lookout.api.problems import RequestTimeout, RequestTooLarge, respond
from lookout.errors import LookoutError

# The largest real body is a patch of all settings, a few kilobytes.
MAX_BODY_BYTES = 64 * 1024
# A body of that size arrives within this many seconds over any usable network.
BODY_S = 10.0
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
# Paths whose bodies `api/uploads.py` measures.
_MEASURED_ELSEWHERE = re.compile(r"/api/classify|/hf|/models/[^/]+|/v2/models/.+/infer")


class BodyLimit:
    """ASGI middleware that counts the bytes as they arrive, whether or not a length was announced."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _WITHOUT_BODY or _is_measured_elsewhere(scope):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_S):
                body = await _whole(receive)
        except LookoutError as error:
            await respond(error)(scope, receive, send)
        except TimeoutError:
            late = RequestTimeout("The body did not arrive in time.", "Check the network connection.")
            await respond(late)(scope, receive, send)
        else:
            if body is not None:
                await self._app(scope, _replaying(body, receive), send)


def _is_measured_elsewhere(scope: Scope) -> bool:
    return _MEASURED_ELSEWHERE.fullmatch(route_path(scope)) is not None


async def _whole(receive: Receive) -> bytes | None:
    """Return the body, or None if the client has gone. Raises RequestTooLarge."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY_BYTES:
            raise RequestTooLarge(f"The body has more than {MAX_BODY_BYTES:,} bytes.", "Send only what changes.")
    return bytes(body)


def _replaying(body: bytes, receive: Receive) -> Receive:
    replayed = False

    async def replay() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
