"""Waiting for another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Generous, because the test machine may be busy.
TIMEOUT_S = 15.0


def until(holds: Callable[[], T], timeout_s: float = TIMEOUT_S, what: str = "it never came true") -> T:
    """Poll until `holds` returns a true value, and return it. Fails with `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
    return found
