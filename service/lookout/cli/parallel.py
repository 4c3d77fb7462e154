"""Classifying several pictures at once on this machine: each thread has its own decoder and shares the network.

Both spend their time outside the interpreter's lock, the decoder even outside the process, so that threads keep all
cores busy with one copy of the network in memory.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence

from lookout.cli.batch import Job
from lookout.cli.results import Result
from lookout.pictures.decoder import Decoder

Work = Callable[[Job, Decoder], Iterator[Result]]

_WAITING_RESULTS = 64  # results waiting to be written
_TURN_S = 0.5
_STOP_S = 2.0


def run_jobs(jobs: Sequence[Job], work: Work, count: int) -> Iterator[Result | None]:
    """Yield the results as they come, and None after those of each job. count: how many jobs run at once."""
    count = max(1, min(count, len(jobs)))
    with contextlib.ExitStack() as closing:
        decoders = [closing.enter_context(contextlib.closing(Decoder())) for _ in range(count)]
        for decoder in decoders:
            decoder.warm()
        if count == 1:
            for job in jobs:
                yield from work(job, decoders[0])
                yield None
            return
        crew = _Crew(jobs, work)
        try:
            crew.start(decoders)
            yield from crew.results()
        finally:
            crew.stop(decoders)


class _Crew:
    """Threads that take jobs in order and pass their results to one reader."""

    def __init__(self, jobs: Sequence[Job], work: Work) -> None:
        self._jobs = iter(jobs)
        self._left = len(jobs)
        self._work = work
        self._taking = threading.Lock()
        self._stopped = threading.Event()
        self._results: queue.Queue[Result | BaseException | None] = queue.Queue(_WAITING_RESULTS)
        self._threads: list[threading.Thread] = []

    def start(self, decoders: Sequence[Decoder]) -> None:
        for number, decoder in enumerate(decoders, 1):
            name = f"classify {number}"
            self._threads.append(threading.Thread(target=self._run, args=(decoder,), name=name, daemon=True))
            self._threads[-1].start()

    def results(self) -> Iterator[Result | None]:
        """Yield the results. Raises what a job raised, except for the errors that are results."""
        while self._left:
            item = self._results.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                self._left -= 1
            yield item

    def stop(self, decoders: Sequence[Decoder]) -> None:
        """Stop the threads; one that is not done within _STOP_S is abandoned."""
        self._stopped.set()
        for decoder in decoders:
            decoder.close()
        for thread in self._threads:
            thread.join(_STOP_S)

    def _run(self, decoder: Decoder) -> None:
        try:
            while not self._stopped.is_set():
                with self._taking:
                    job = next(self._jobs, None)
                if job is None:
                    return
                for result in self._work(job, decoder):
                    self._hand_on(result)
                self._hand_on(None)
        except BaseException as error:
            self._hand_on(error)

    def _hand_on(self, item: Result | BaseException | None) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._results.put(item, timeout=_TURN_S)
                return
