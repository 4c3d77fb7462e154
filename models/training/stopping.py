"""Stopping a run with Ctrl-C after the current step, not in the middle of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Stopped = Callable[[], bool]


class Interrupted(Exception):
    """A run was stopped on request, after its last step was saved."""

    def __init__(self, step: int, total: int) -> None:
        super().__init__(f"stopped after step {step:,} of {total:,}")
        self.step, self.total = step, total


def never() -> bool:
    """The `Stopped` of a run that cannot be stopped."""
    return False


@contextmanager
def interruptible() -> Iterator[Stopped]:
    """Provide a function that returns whether Ctrl-C has been pressed. A second Ctrl-C raises KeyboardInterrupt."""
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
