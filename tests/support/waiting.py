"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# A machine that tests may be busy with much else.
TIMEOUT_S = 15.0


def until(holds: Callable[[], T], timeout_s: float = TIMEOUT_S, what: str = "it never came true") -> T:
    """Ask again and again until it holds, and return what it then returned. Fails with `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
    return found
