"""Classifying pictures on other machines: chunks of them are tasks of a Dask scheduler, whose workers read them.

The workers see the pictures under the same paths, on a share, and have the same version of Lookout with the same
model. A chunk whose worker is lost is given to another one; its results are used once.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from lookout import __version__
from lookout.cli import batch
from lookout.cli.batch import Job
from lookout.cli.results import Result
from lookout.errors import ClusterUnusable, LookoutError, PictureUnreadable, SettingInvalid
from lookout.geometry import Rect
from lookout.integrations.packages import DASK
from lookout.pictures.decoder import Decoder
from lookout.pipeline.classifier import Classifier
from lookout.settings.sources import load

CHUNK = 64
CONNECT_S = 10.0
# A scheduler without workers may get some soon, such as when a machine restarts.
WORKERS_S = 60.0
_LOOK_S = 2.0
# Tasks queued at the scheduler per worker thread, so that no thread is idle between two tasks.
_AHEAD = 3

Here = Callable[[Sequence[Job]], Iterator[Result | None]]


@dataclass(frozen=True, slots=True)
class Order:
    """What all tasks have in common. version: that of the Lookout that submits them. sha256: that of the graph."""

    version: str
    model: str
    precision: str
    sha256: str
    max_pixels: int
    region: Rect | None

    @classmethod
    def of(cls, classifier: Classifier, max_pixels: int, region: Rect | None) -> Order:
        card, precision = classifier.card, classifier.precision
        return cls(__version__, card.name, precision, card.files[precision].sha256, max_pixels, region)


def run_on_cluster(jobs: Sequence[Job], address: str, order: Order, here: Here) -> Iterator[Result | None]:
    """Yield the results as they come, and None after those of each job. here: classifies what only this machine has.

    Raises ClusterUnusable, and an error of a worker's model or version as it is.
    """
    shared = [job for job in jobs if _is_shared(job)]
    own = [job for job in jobs if not _is_shared(job)]
    if shared:
        with contextlib.closing(_Tasks(address, order)) as tasks:
            yield from tasks.run(shared)
    if own:
        yield from here(own)


def _is_shared(job: Job) -> bool:
    """Return whether another machine can read the job's source: a regular file, or an address."""
    if job.problem is not None or job.kind == "camera":
        return False
    return job.kind == "download" or (Path(job.source).is_file() and not job.source.startswith("/dev/"))


class _Tasks:
    """The chunks at the scheduler, of which there is a bounded number at once."""

    def __init__(self, address: str, order: Order) -> None:
        self._client = _connected(address)
        self._address, self._order = address, order
        self._ended: queue.Queue[Any] = queue.Queue()
        self._chunks: dict[str, tuple[Job, ...]] = {}

    def run(self, jobs: Sequence[Job]) -> Iterator[Result | None]:
        threads = self._threads()
        size = max(1, min(CHUNK, len(jobs) // (threads * 4)))
        chunks = _chunks(jobs, size)
        for _ in range(threads * _AHEAD):
            self._submit(next(chunks, ()))
        while self._chunks:
            future = self._next()
            chunk = self._chunks.pop(future.key)
            yield from _as_named(chunk, self._results(future, chunk))
            self._submit(next(chunks, ()))

    def close(self) -> None:
        self._client.close(timeout=CONNECT_S)

    def _submit(self, chunk: tuple[Job, ...]) -> None:
        if not chunk:
            return
        there = tuple(replace(job, source=_whole(job)) for job in chunk)
        future = self._client.submit(classify_chunk, self._order, there, pure=False, retries=2)
        self._chunks[future.key] = chunk
        future.add_done_callback(self._ended.put)

    def _next(self) -> Any:
        """Return the next task that has ended. Raises ClusterUnusable if the scheduler or all workers are gone."""
        lost_at: float | None = None
        while True:
            with contextlib.suppress(queue.Empty):
                return self._ended.get(timeout=_LOOK_S)
            if self._client.status != "running":
                raise _lost(f"The Dask scheduler at {self._address} is gone.")
            if self._client.scheduler_info(n_workers=-1)["workers"]:
                lost_at = None
            elif lost_at is None:
                lost_at = time.monotonic()
            elif time.monotonic() - lost_at > WORKERS_S:
                raise _lost(f"The Dask scheduler at {self._address} has had no workers for {WORKERS_S:.0f} seconds.")

    def _results(self, future: Any, chunk: tuple[Job, ...]) -> list[list[Result]]:
        """Return the results of a task that has ended, one list per job."""
        from distributed import KilledWorker

        if future.status in ("cancelled", "lost"):
            raise _lost(f"The Dask scheduler at {self._address} has dropped its tasks.")
        try:
            results: list[list[Result]] = future.result(timeout=CONNECT_S)
            return results
        except LookoutError:
            raise
        except KilledWorker:
            error = ClusterUnusable("Several workers in a row were lost on this picture or its neighbours.")
            return [[Result(batch.shown_source(job), error=error, passing=True)] for job in chunk]
        except Exception as error:  # whatever the task raised
            raise ClusterUnusable(
                f"A worker failed with {type(error).__name__}: {error}.",
                f"Install lookout-camera {__version__} with its extra cluster on every worker.",
            ) from error

    def _threads(self) -> int:
        """Return the number of threads of all workers. Raises ClusterUnusable if there are none."""
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError as error:
            raise ClusterUnusable(
                f"The Dask scheduler at {self._address} has no workers.",
                f"Start one on each machine: dask worker {self._address}",
            ) from error
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return max(1, sum(int(worker["nthreads"]) for worker in workers))


def _connected(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise DASK.missing("--dask was asked for, but") from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # errors are reported by Lookout instead
    try:
        client: Any = Client
        return client(address, timeout=CONNECT_S, set_as_default=False)
    except ValueError as error:
        raise SettingInvalid(f"--dask {address} is not an address.", "Write it as tcp://host:8786") from error
    except OSError as error:
        raise ClusterUnusable(
            f"There is no Dask scheduler at {address}.", "Start one: dask scheduler. It prints its address."
        ) from error


def _lost(what: str) -> ClusterUnusable:
    return ClusterUnusable(what, "With --resume, the same command goes on where this one ended.")


def _chunks(jobs: Sequence[Job], size: int) -> Iterator[tuple[Job, ...]]:
    """Yield the jobs in chunks. A video takes as long as many pictures, so each is a chunk of its own."""
    chunk: list[Job] = []
    for job in jobs:
        if job.kind == "video":
            yield (job,)
            continue
        chunk.append(job)
        if len(chunk) == size:
            yield tuple(chunk)
            chunk = []
    if chunk:
        yield tuple(chunk)


def _whole(job: Job) -> str:
    return job.source if job.kind == "download" else str(Path(job.source).absolute())


def _as_named(chunk: tuple[Job, ...], results: list[list[Result]]) -> Iterator[Result | None]:
    """Yield the results under the names that the jobs have here, and None after those of each."""
    for job, some in zip(chunk, results, strict=True):
        there = len(_whole(job))
        for result in some:
            is_file = job.kind != "download"
            yield replace(result, source=job.source + result.source[there:]) if is_file else result
        yield None


# --- on a worker ----------------------------------------------------------------------------------------------------

_local = threading.local()
_loading = threading.Lock()


def classify_chunk(order: Order, jobs: tuple[Job, ...]) -> list[list[Result]]:
    """Return the results of each job; runs on a worker. Raises ClusterUnusable, UnknownModel or ModelRejected."""
    if order.version != __version__:
        raise ClusterUnusable(
            f"A worker has Lookout {__version__}, but {order.version} is needed.",
            "Install the same one on every worker.",
        )
    with _loading:
        classifier, settings = _network(order.model, order.precision, order.sha256)
    limited = settings.model_copy(
        update={"upload": settings.upload.model_copy(update={"max_pixels": order.max_pixels})}
    )
    if not hasattr(_local, "decoder"):
        _local.decoder = Decoder()  # one per thread; its process ends with the worker's
    return [_found(job) or list(batch.run(job, classifier, _local.decoder, limited, order.region)) for job in jobs]


@lru_cache(maxsize=1)
def _network(model: str, precision: str, sha256: str) -> tuple[Classifier, Any]:
    """Return the worker's one network, which all its threads share."""
    loaded = load({"model.name": model, "model.precision": precision})
    classifier = batch.classifier(loaded)
    if classifier.card.files[precision].sha256 != sha256:
        raise ClusterUnusable(
            f'A worker has another model of the name "{model}".', "Copy the model's folder to every worker."
        )
    return classifier, loaded.settings


def _found(job: Job) -> list[Result]:
    """Return an error if this worker does not have the file; otherwise nothing."""
    if job.kind == "download" or Path(job.source).exists():
        return []
    error = PictureUnreadable(
        "The worker does not have this file.", "Make the folder reachable under the same path on every worker."
    )
    return [Result(job.source, error=error, passing=True)]
