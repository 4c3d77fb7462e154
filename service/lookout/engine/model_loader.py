"""Loads a model on a separate thread while the worker keeps using the old one; one load at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from lookout.errors import ModelBusy, TooBusy
from lookout.system.threads import start_pool


class ModelLoader:
    """Runs one load at a time; a second one is refused rather than queued."""

    def __init__(self) -> None:
        self._pool = start_pool(1, "loader")
        self._busy = threading.Lock()

    def load(self, work: Callable[[Future[None]], None]) -> Future[None]:
        """Run `work` on the loader's thread, and return a future that is done when `work` is.

        `work` gets that future, so that the swap at its end can be cancelled until it starts. An exception of `work`
        becomes the future's. Raises ModelBusy while another model is being loaded, and once the loader is closed.
        """
        if not self._busy.acquire(blocking=False):
            raise ModelBusy("Another model is being loaded.", "Try again when it is done.")
        done: Future[None] = Future()
        try:
            running = self._pool.submit(self._run, work, done)
        except RuntimeError as error:  # the pool was shut down
            self._busy.release()
            raise ModelBusy("The service is stopping.", "Start it again first.") from error
        running.add_done_callback(lambda ended: self._refuse(done) if ended.cancelled() else None)
        return done

    def close(self) -> None:
        """Accept no further work, and refuse work that has not started. Never blocks."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _refuse(self, done: Future[None]) -> None:
        self._busy.release()
        if done.set_running_or_notify_cancel():
            done.set_exception(TooBusy("The service is stopping.", "Try again when it runs."))

    def _run(self, work: Callable[[Future[None]], None], done: Future[None]) -> None:
        failure: Exception | None = None
        try:
            work(done)
        except Exception as error:  # passed on to the caller through the future
            failure = error
        finally:
            self._busy.release()
        if done.running() or (not done.cancelled() and done.set_running_or_notify_cancel()):
            done.set_result(None) if failure is None else done.set_exception(failure)
