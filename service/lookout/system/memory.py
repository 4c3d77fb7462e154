"""The C library's memory: what is freed goes back to the system instead of staying with the process.

Two habits of the GNU C library would keep tens of megabytes of a network that was swapped for another. Threads get
heaps of their own, and `malloc_trim` leaves the end of those alone. And with every large block freed, ever larger
blocks are taken from the heaps and ever more is kept at their end.
"""

from __future__ import annotations

import contextlib
import ctypes

# From malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# Pictures of up to 1920 x 1080 come from the heap: a mapping of its own for each frame costs more than decoding it.
_MAPPED_FROM_BYTES = 8 * 2**20
_KEPT_BYTES = 2 * _MAPPED_FROM_BYTES


def limit_arenas() -> None:
    """Have one heap for all threads, which keeps little of what is freed. To be called before there are threads."""
    for parameter, value in (
        (_M_ARENA_MAX, 1),
        (_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES),
        (_M_TRIM_THRESHOLD, _KEPT_BYTES),
    ):
        with contextlib.suppress(OSError, AttributeError):  # another C library than GNU's
            ctypes.CDLL(None).mallopt(parameter, value)


def release_free_memory() -> None:
    """Return what is free to the system. Takes milliseconds; does nothing where the C library is not GNU's."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
