"""Thread pools that are complete before the first piece of work comes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

# A thread takes a millisecond to start; on the busiest machine not this long.
_START_S = 10.0


def start_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """A pool whose threads all run already.

    An executor by itself starts them as work comes. Where the machine has no thread to give at that moment, `submit`
    fails but leaves the work in its queue, to be done later although the caller was refused. Raises RuntimeError.
    """
    pool = ThreadPoolExecutor(threads, name)
    together = threading.Barrier(threads + 1)
    for _ in range(threads):
        pool.submit(together.wait, _START_S)
    together.wait(_START_S)
    return pool
