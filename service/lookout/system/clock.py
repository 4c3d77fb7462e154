"""Whether the wall clock can be trusted: a Pi has no battery-backed clock and boots with the last time it knew."""

from __future__ import annotations

import ctypes
from pathlib import Path

_TIMESYNCD = Path("/run/systemd/timesync/synchronized")
# adjtimex(2): the kernel's clock state, and the flag for "not synchronised".
_TIME_ERROR = 5
_TIMEX_BYTES = 208


def synchronised() -> bool | None:
    """Return True once a time server has set the clock, False before that, None if the kernel does not report it."""
    if _TIMESYNCD.exists():
        return True
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        state = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))  # all zero: read only
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR
