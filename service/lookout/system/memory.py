"""Memory: what is freed goes back to the system, and what the system takes when none is left is not the service.

Two habits of the GNU C library would otherwise keep tens of megabytes of a network that has been replaced. Threads get
their own heaps, and `malloc_trim` does not trim the end of those. And each time a large block is freed, the limit up
to which blocks come from the heap rises, and more is kept at the heap's end.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator
from pathlib import Path

# From malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# Pictures of up to 1920 x 1080 come from the heap: mapping memory for each frame would cost more than decoding it.
_MAPPED_FROM_BYTES = 8 * 2**20
_KEPT_BYTES = 2 * _MAPPED_FROM_BYTES


def limit_arenas() -> None:
    """Use one heap for all threads, and keep little of what is freed. Call it before any thread starts."""
    for parameter, value in (
        (_M_ARENA_MAX, 1),
        (_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES),
        (_M_TRIM_THRESHOLD, _KEPT_BYTES),
    ):
        with contextlib.suppress(OSError, AttributeError):  # not the GNU C library
            ctypes.CDLL(None).mallopt(parameter, value)


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Collect no garbage while the body imports. What exists at its end counts as permanent.

    Imports make a hundred thousand objects and next to no garbage, but have Python look through all of them again and
    again, which is a sixth of a start. As permanent ones, they are not looked through later either.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def release_free_memory() -> None:
    """Return free memory to the system. Takes milliseconds; does nothing with another C library than GNU's."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def prefer_as_oom_victim() -> None:
    """Let the kernel kill this process rather than the service when memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
