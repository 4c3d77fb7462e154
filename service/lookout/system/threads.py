"""Thread pools whose threads are all started up front."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

# Starting a thread takes a millisecond; even the busiest machine needs less than this.
_START_S = 10.0


def start_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """Return a pool whose threads already run.

    An executor otherwise starts them as work arrives. If the system is out of threads at that moment, `submit` fails
    but leaves the work in its queue, to be done later although the caller was refused. Raises RuntimeError.
    """
    pool = ThreadPoolExecutor(threads, name)
    together = threading.Barrier(threads + 1)
    for _ in range(threads):
        pool.submit(together.wait, _START_S)
    together.wait(_START_S)
    return pool
