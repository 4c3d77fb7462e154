"""The cameras of this machine, for pages that offer them: searched for at most once every few seconds."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from lookout.camera.discover import Discovery, discover
from lookout.deadline import Deadline

# The first import of picamera2 from a cold card takes seconds, for each interpreter that is tried.
LOOK_S = 30.0
# A search starts processes; a crowd of pages must not start a crowd of those.
KEEP_S = 5.0


class CameraList:
    """Threads may share one. Opens no camera."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked: Future[Discovery] | None = None
        self._looked_at = float("-inf")

    def look(self, python: str) -> Future[Discovery]:
        """What is connected: as of now, of a search in progress, or of `KEEP_S` ago. Does not block.

        python: the setting camera.python. The result is available after `LOOK_S` at the latest.
        """
        with self._lock:
            if self._looked is None or (self._looked.done() and time.monotonic() - self._looked_at > KEEP_S):
                self._looked = future = Future[Discovery]()
                # A daemon: stopping the service must not wait for a slow interpreter.
                threading.Thread(target=self._run, args=(future, python), name="cameras", daemon=True).start()
            return self._looked

    def _run(self, future: Future[Discovery], python: str) -> None:
        try:
            found = discover(python, Deadline.after(LOOK_S))
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(found)
        self._looked_at = time.monotonic()
