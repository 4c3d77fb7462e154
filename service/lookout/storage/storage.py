"""The one writer. Changes by people wait for it, up to a deadline; caches are written when it is free."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from typing_extensions import Buffer

from lookout.errors import DiskGone, LookoutError, StateFolderUnusable
from lookout.storage.atomic_files import sweep_folder
from lookout.storage.budget import Budget, Limits, utc_day
from lookout.storage.job import GivenUp, Job
from lookout.storage.timeout import DEADLINE_S
from lookout.storage.watch import DiskWatch, slow
from lookout.storage.writer import Writer

log = logging.getLogger(__name__)

# A disk that does not respond for this long is reported as slow.
SLOW_AFTER_S = 2.0
# A check costs microseconds and writes nothing.
CHECK_EVERY_S = 1.0
# The whole service has five seconds to stop.
_CLOSE_S = 1.0
# People make one change at a time; if more than this are waiting, the disk hangs.
_MAX_WAITING = 32

T = TypeVar("T")


class Storage:
    """Writes below a state folder and a cache folder. All methods may be called from any thread.

    Before `start` there is no thread: writes happen on the caller's thread, as in the command line.
    """

    def __init__(
        self,
        state_folder: Path,
        cache_folder: Path | None = None,
        limits: Limits | None = None,
        *,
        today: Callable[[], str] = utc_day,
    ) -> None:
        self._folder = state_folder
        self._folders = [folder for folder in (state_folder, cache_folder) if folder is not None]
        self._budget = Budget(limits or Limits(), state_folder, self._folders, today)
        self._watch = DiskWatch(state_folder)
        self._changed = threading.Condition()
        self._waiting: deque[Job[Any]] = deque()
        self._later: deque[Job[Any]] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._busy_since: float | None = None
        self._seen: LookoutError | None = None
        self._inline = threading.RLock()

    def start(self) -> None:
        """Write on a separate thread from now on, and watch the disk."""
        self._thread = threading.Thread(target=self._run, name="storage", daemon=True)
        self._thread.start()

    def close(self) -> bool:
        """Write the changes that are waiting, then stop. Caches are dropped, and a hanging disk is abandoned.

        Returns whether all writing has stopped.
        """
        with self._changed:
            self._closed = True
            self._later.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)
        return self._thread is None or not self._thread.is_alive()

    # --- changes by people: any thread but the event loop's -----------------------------------------------------------

    def keep(self, path: Path, content: Buffer) -> None:
        """Replace a file durably. Raises StateFolderUnusable, DiskBudgetSpent; then the old file remains."""
        self.run(lambda writer: writer.replace(path, content))

    def remove(self, path: Path) -> None:
        """Remove a file durably. Raises StateFolderUnusable."""
        self.run(lambda writer: writer.remove(path))

    def run(self, work: Callable[[Writer], T], *, reserved: bool = True) -> T:
        """Run the work and return its result. Raises what it raises; OSError becomes StateFolderUnusable.

        With a slow disk, the wait ends after `DEADLINE_S`, and what was not written by then never will be.
        reserved: the change was made by a person, for whom part of the budget is reserved.
        """
        job = Job(work, reserved=reserved)
        if not self._enqueue(self._waiting, job):
            self._perform_now(job)
        elif not job.done.wait(DEADLINE_S) and (job.give_up() or not job.done.wait(DEADLINE_S)):
            raise _refused(slow(self._folder))
        return self._outcome(job)

    # --- writes that nobody waits for: any thread ---------------------------------------------------------------------

    def later(self, work: Callable[[Writer], object], what: str) -> None:
        """Queue the work for when the writer is free. If the disk or the budget refuses it, only `what` is lost."""

        def gently(writer: Writer) -> None:
            try:
                work(writer)
            except LookoutError as error:
                log.info("%s is not kept: %s", what, error.detail)
            except OSError as error:
                log.info("%s is not kept: %s.", what, error.strerror or error)

        job = Job(gently, reserved=False)
        try:
            if not self._enqueue(self._later, job):
                self._perform_now(job)
        except StateFolderUnusable as error:
            log.info("%s is not kept: %s", what, error.detail)

    def trouble(self) -> LookoutError | None:
        """Return what is wrong with the disk now; None if nothing is. Never waits."""
        since = self._busy_since
        if since is not None and time.monotonic() - since > SLOW_AFTER_S:
            return slow(self._folder)
        return self._seen

    def is_gone(self) -> bool:
        """Whether the disk that held the state folder is missing. May wait for the disk; raises OSError."""
        with self._inline:
            return self._watch.is_gone()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._run_timed(self._sweep)
        while True:
            self._run_timed(self._check_disk)
            with self._changed:
                if not (self._waiting or self._later or self._closed):
                    self._changed.wait(CHECK_EVERY_S)
                if self._closed and not (self._waiting or self._later):
                    return
            while (job := self._next()) is not None:
                self._run_timed(partial(self._perform, job))

    def _run_timed(self, work: Callable[[], None]) -> None:
        """Run the work and record when it started, so that a hanging disk is noticed."""
        self._busy_since = time.monotonic()
        try:
            work()
        finally:
            self._busy_since = None

    def _sweep(self) -> None:
        """Remove, once at the start, files that a power cut left half written."""
        for folder in self._folders:
            sweep_folder(folder)
            sweep_folder(folder / "graphs")

    def _check_disk(self) -> None:
        with self._inline:
            self._seen = self._watch.look() or self._budget.spent()

    def _next(self) -> Job[Any] | None:
        with self._changed:
            return self._waiting.popleft() if self._waiting else self._later.popleft() if self._later else None

    def _enqueue(self, queue: deque[Job[Any]], job: Job[Any]) -> bool:
        """Return False if there is no thread to run the job. Raises StateFolderUnusable if the disk already hangs."""
        if self._thread is None:
            return False
        since = self._busy_since
        stuck = since is not None and time.monotonic() - since > SLOW_AFTER_S
        with self._changed:
            if self._closed:
                raise StateFolderUnusable("The service is stopping and saves nothing more.", "Try again when it runs.")
            if stuck or len(queue) >= _MAX_WAITING:
                raise _refused(slow(self._folder))
            queue.append(job)
            self._changed.notify_all()
        return True

    # --- one job ------------------------------------------------------------------------------------------------------

    def _perform_now(self, job: Job[Any]) -> None:
        with self._inline:
            self._perform(job)

    def _perform(self, job: Job[Any]) -> None:
        between = _nothing if job.reserved else self._run_waiting_changes
        writer = Writer(self._budget, reserved=job.reserved, between=between, commit=job.commit)
        with self._inline:
            try:
                self._watch.refuse_if_gone()
                job.succeed(job.work(writer))
                if job.reserved:
                    self._watch.wrote(None)
            except GivenUp as error:
                job.fail(error)
            except Exception as error:
                if isinstance(error, OSError):
                    self._watch.wrote(error)
                job.fail(error)

    def _run_waiting_changes(self) -> None:
        """Between two chunks of a large cache, run waiting changes by people and note that the disk responds."""
        if self._thread is None:
            return
        if self._closed:
            raise GivenUp
        self._busy_since = time.monotonic()
        with self._changed:
            waiting = list(self._waiting)
            self._waiting.clear()
        for job in waiting:
            self._perform(job)

    def _outcome(self, job: Job[T]) -> T:
        try:
            return job.outcome()
        except DiskGone as error:
            raise _refused(error) from error
        except OSError as error:
            where = error.filename or self._folder
            raise StateFolderUnusable(
                f"{where} cannot be written ({error.strerror or error}).",
                "Free some space, make the service's user the folder's owner, or set state.folder to one it owns.",
            ) from error


def _refused(trouble: StateFolderUnusable) -> StateFolderUnusable:
    """A refused change has the same code whatever is wrong with the disk; only the sentence differs."""
    return StateFolderUnusable(trouble.detail, trouble.remedy)


def _nothing() -> None:
    pass
