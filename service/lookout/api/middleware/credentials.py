"""How a client shows its token in the Authorization header, and how it is asked for it."""

from __future__ import annotations

import base64

from starlette.datastructures import Headers

_BEARER = 'Bearer realm="lookout"'
_BASIC = 'Basic realm="lookout", charset="UTF-8"'


def shown_token(authorization: str) -> str:
    """The token of an Authorization header, empty where there is none.

    Programs that know only user and password, as most that show streams do, send it as the password of any user.
    """
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(text.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def challenges(method: str, path: str, headers: Headers) -> list[str]:
    """The WWW-Authenticate headers of a 401, each a line of its own: some programs read no list.

    Players, recorders and download tools keep the password of http://any:TOKEN@host/… to themselves until they are
    asked for it. Browsers are not asked: they would put a dialogue of their own over the dashboard.
    """
    if method in ("GET", "HEAD") and path.startswith("/api/") and not _is_browser(headers):
        return [_BASIC, _BEARER]
    return [_BEARER]


def _is_browser(headers: Headers) -> bool:
    """Over plain HTTP browsers send no Sec-Fetch headers, but all of them have called themselves Mozilla since 1995."""
    return "sec-fetch-mode" in headers or headers.get("user-agent", "").startswith("Mozilla/")
