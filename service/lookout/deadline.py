"""A deadline around a call that knows none: it runs in a thread of its own, which is left behind when it is late."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from lookout.frame import Deadline

T = TypeVar("T")


class Late(TimeoutError):
    """The call has not come back by its deadline, and still runs."""


def bounded(call: Callable[[], T], deadline: Deadline, name: str) -> T:
    """The call's result or its exception. name: the thread's.

    Raises Late at the deadline, and where no thread can be started.
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
    except RuntimeError as error:  # the machine has no thread to give at this moment
        raise Late(f"{name} could not be asked") from error
    thread.join(deadline.remaining())
    if failures:
        raise failures[0]
    if not results:
        raise Late(f"{name} took too long")
    return results[0]
