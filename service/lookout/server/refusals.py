"""Responses to requests that no application sees, and the limits that lead to them."""

from __future__ import annotations

import http

from starlette.types import Receive, Scope, Send

from lookout.api.problems import HeadTooLarge, RequestMalformed, RequestTimeout, TooManyConnections, respond
from lookout.errors import LookoutError

# Browsers send a few kilobytes, including cookies of other services on the same host.
MAX_HEAD_BYTES = 32 * 1024
# What the WebSocket library accepts in a handshake; longer cookies of other services are left out.
MAX_UPGRADE_HEADERS, MAX_UPGRADE_LINE_BYTES = 128, 8 * 1024
# Seconds from the connection, or the last response, to a complete head; also for data that follows a response.
HEAD_S = 6.0

TOO_MANY = TooManyConnections("Too many connections are open.", "Close some pages, or try again in a moment.")
TOO_LONG = HeadTooLarge(
    f"The request's head has more than {MAX_HEAD_BYTES // 1024} KiB.",
    "Clear this host's cookies, or send fewer headers.",
)
TOO_LATE = RequestTimeout(f"No complete request came within {HEAD_S:g} seconds.", "Check the network connection.")
MALFORMED = RequestMalformed("This is not a valid HTTP/1.1 request.", "Send it with an HTTP client, without changes.")
UPGRADE_WITH_BODY = RequestMalformed("A WebSocket handshake has no body.", "Send it as GET without a body.")
UPGRADE_TOO_LARGE = HeadTooLarge(
    f"A WebSocket handshake may have {MAX_UPGRADE_HEADERS} headers of {MAX_UPGRADE_LINE_BYTES // 1024} KiB each.",
    "Send fewer or shorter headers.",
)


async def crowded(scope: Scope, receive: Receive, send: Send) -> None:
    response = respond(TOO_MANY)
    response.headers["Connection"] = "close"
    await response(scope, receive, send)


def last_words(error: LookoutError) -> bytes:
    """Return a complete response to a request that no application sees, after which the connection ends."""
    response = respond(error, {"Connection": "close", "X-Content-Type-Options": "nosniff"})
    phrase = http.HTTPStatus(error.status).phrase.encode()
    lines = [b"HTTP/1.1 %d %s" % (error.status, phrase), *(b": ".join(pair) for pair in response.raw_headers)]
    return b"\r\n".join([*lines, b"", bytes(response.body)])
