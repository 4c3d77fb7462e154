"""Ctrl-C ends a run after the step that is being taken, not in the middle of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Stopped = Callable[[], bool]


class Interrupted(Exception):
    """A run was stopped on request; its last step is kept."""

    def __init__(self, step: int, total: int) -> None:
        super().__init__(f"stopped after step {step:,} of {total:,}")
        self.step, self.total = step, total


def never() -> bool:
    """For runs that nobody stops."""
    return False


@contextmanager
def interruptible() -> Iterator[Stopped]:
    """Whether Ctrl-C has been pressed since. The second time it interrupts at once, as it usually does."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            signal.default_int_handler(number, frame)
        asked.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
