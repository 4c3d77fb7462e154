"""The time by which a blocking call must return, and a deadline around a call that has none.

Such a call runs in its own thread, which is abandoned when the deadline passes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time on the monotonic clock by which a blocking call must return."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """The seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self.at


class DeadlineExceeded(TimeoutError):
    """The call has not returned by its deadline and is still running."""


def run_with_deadline(call: Callable[[], T], deadline: Deadline, name: str) -> T:
    """Return the call's result, or raise its exception. name: the thread's.

    Raises DeadlineExceeded at the deadline, and when no thread can be started.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # the system is out of threads
        raise DeadlineExceeded(f"{name} could not be started") from error
    thread.join(deadline.remaining())
    if failures:
        raise failures[0]
    if not results:
        raise DeadlineExceeded(f"{name} took too long")
    return results[0]
