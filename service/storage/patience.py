"""A look at a disk that may never answer: whoever looks waits only so long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from service.storage.watch import slow

T = TypeVar("T")

# An SD card that tidies up takes a second or two.
DEADLINE_S = 4.0
# What is kept to save time is not worth as much of it.
CACHE_DEADLINE_S = 1.5


def within(folder: Path, look: Callable[[], T], seconds: float = DEADLINE_S) -> T:
    """What the look at the folder returns or raises. Raises DiskSlow where it has not come back after so long.

    The thread that waits for the disk is then left behind: nothing else ends a call that the kernel does not answer.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(look())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="disk", daemon=True).start()
    try:
        return done.result(seconds)
    except TimeoutError as error:
        if done.done():  # the look's own
            raise
        raise slow(folder) from error
