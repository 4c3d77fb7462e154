"""Reading from a disk that may never respond, with a time limit for the caller."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lookout.deadline import Deadline, DeadlineExceeded, run_with_deadline
from lookout.storage.watch import slow

T = TypeVar("T")

# An SD card may pause for a second or two for its internal housekeeping.
DEADLINE_S = 4.0
# A cache exists to save time, so waiting long for it is pointless.
CACHE_DEADLINE_S = 1.5


def with_timeout(folder: Path, look: Callable[[], T], seconds: float = DEADLINE_S) -> T:
    """Run `look`, which reads from the folder, and return its result. Raises what it raises, and DiskSlow at the limit.

    Its thread is then abandoned, because nothing can interrupt a system call in which the kernel hangs.
    """
    try:
        return run_with_deadline(look, Deadline.after(seconds), "disk")
    except DeadlineExceeded as error:
        raise slow(folder) from error
