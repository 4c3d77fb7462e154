"""Wall-clock times as text: the one format in which they leave the program."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def rfc3339(wall: float) -> str:
    """Return Unix seconds as RFC 3339 in UTC with milliseconds: 2026-05-01T07:14:11.020Z."""
    return _utc(wall, "milliseconds")


def now() -> str:
    """Return the current time, with milliseconds."""
    return rfc3339(time.time())


def now_to_the_second() -> str:
    """Return the current time for files and reports that people read: 2026-05-01T07:14:11Z."""
    return _utc(time.time(), "seconds")


def _utc(wall: float, precision: str) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec=precision).replace("+00:00", "Z")
