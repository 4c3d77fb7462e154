"""What a token may do: its scope, and the scope that each request needs. A write that is not listed needs `admin`.

`view` sees and uploads pictures, `control` also pauses and reviews, `admin` also changes settings and model. `metrics`
and `stream` each give access to one thing, for a program that needs no more.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

Scope = Literal["view", "control", "admin", "metrics", "stream"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
# The scope of tokens that were created before there were scopes.
DEFAULT: Scope = "admin"

_GRANTS: dict[str, frozenset[Scope]] = {
    "admin": frozenset(SCOPES),
    "control": frozenset({"view", "control", "metrics", "stream"}),
    "view": frozenset({"view", "metrics", "stream"}),
    "metrics": frozenset({"metrics"}),
    "stream": frozenset({"stream"}),
}
# The current picture without the network's answer, which is all that a signed link gives access to.
PICTURES = frozenset({"/api/snapshot.jpg", "/api/stream.mjpg"})
_READS = frozenset({"GET", "HEAD", "OPTIONS", "WEBSOCKET"})
# Writes that change nothing, and everyday ones. All other writes need `admin`.
_VIEW, _CONTROL = (
    r"POST (/api/(logout|stream-link|classify|inspect/[a-z]+)|/hf|/models/[^/]+)"
    r"|POST /v2/(repository/index|models/[^/]+(/versions/[^/]+)?/infer)",
    r"PUT /api/(paused|notify/snooze)|POST /api/events(/batch|/undo)?|(PATCH|DELETE) /api/events/[^/]+",
)
_WRITES: tuple[tuple[re.Pattern[str], Scope], ...] = (
    (re.compile(_VIEW), "view"),
    (re.compile(_CONTROL), "control"),
)


def needed(method: str, path: str) -> Scope:
    """Return the scope that a request needs. method: upper case, or "WEBSOCKET". path: without a proxy's sub-path."""
    if path == "/metrics":
        return "metrics"
    if method in _READS:
        return "stream" if path in PICTURES else "view"
    request = f"{method} {path}"
    return next((scope for pattern, scope in _WRITES if pattern.fullmatch(request)), "admin")


def grants(scope: str, need: Scope) -> bool:
    """Whether a token with scope `scope` may do what needs `need`. An unknown scope allows nothing."""
    return need in _GRANTS.get(scope, frozenset())
