"""A look at a disk that may never answer: whoever looks waits only so long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lookout.deadline import Deadline, Late, bounded
from lookout.storage.watch import slow

T = TypeVar("T")

# An SD card that tidies up takes a second or two.
DEADLINE_S = 4.0
# What is kept to save time is not worth as much of it.
CACHE_DEADLINE_S = 1.5


def within(folder: Path, look: Callable[[], T], seconds: float = DEADLINE_S) -> T:
    """What the look at the folder returns or raises. Raises DiskSlow where it has not come back after so long.

    The thread that waits for the disk is then left behind: nothing else ends a call that the kernel does not answer.
    """
    try:
        return bounded(look, Deadline.after(seconds), "disk")
    except Late as error:
        raise slow(folder) from error
