"""A look at a disk that may never answer: whoever looks waits only so long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lookout.deadline import Deadline, DeadlineExceeded, run_with_deadline
from lookout.storage.watch import slow

T = TypeVar("T")

# An SD card that tidies up takes a second or two.
DEADLINE_S = 4.0
# What is kept to save time is not worth as much of it.
CACHE_DEADLINE_S = 1.5


def with_timeout(folder: Path, look: Callable[[], T], seconds: float = DEADLINE_S) -> T:
    """What the look at the folder returns or raises. Raises DiskSlow where it has not come back after so long.

    The thread that waits for the disk is then left behind: nothing else ends a call that the kernel does not answer.
    """
    try:
        return run_with_deadline(look, Deadline.after(seconds), "disk")
    except DeadlineExceeded as error:
        raise slow(folder) from error
