"""How a client sends its token in the Authorization header, and how it is challenged for one."""

from __future__ import annotations

import base64

from starlette.datastructures import Headers

_BEARER = 'Bearer realm="lookout"'
_BASIC = 'Basic realm="lookout", charset="UTF-8"'


def shown_token(authorization: str) -> str:
    """Return the token of an Authorization header, empty if there is none.

    Programs that know only user and password, as most stream viewers do, send it as the password of any user.
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
    """Return the WWW-Authenticate headers of a 401, one per scheme: some programs do not parse a list.

    Players, recorders and download tools send the password of http://any:TOKEN@host/… only when challenged with Basic.
    Browsers are not: they would put their own dialogue in front of the dashboard.
    """
    if method in ("GET", "HEAD") and path.startswith("/api/") and not _is_browser(headers):
        return [_BASIC, _BEARER]
    return [_BEARER]


def _is_browser(headers: Headers) -> bool:
    """Return whether the client is a browser. Over plain HTTP they send no Sec-Fetch headers, but all are "Mozilla"."""
    return "sec-fetch-mode" in headers or headers.get("user-agent", "").startswith("Mozilla/")
