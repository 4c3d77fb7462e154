"""The cameras connected to this machine, for pages that offer a choice; searched for at most every few seconds."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from lookout.camera.discover import Discovery, discover
from lookout.deadline import Deadline

# The first import of picamera2 from an SD card takes seconds, and several interpreters may be tried.
LOOK_S = 30.0
# How long a result is reused. A search starts processes; many open pages must not start many searches.
KEEP_S = 5.0


class CameraList:
    """The result of the latest search. Thread-safe. Opens no camera."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked: Future[Discovery] | None = None
        self._looked_at = float("-inf")

    def look(self, python: str) -> Future[Discovery]:
        """Return a future of the connected cameras, at most `KEEP_S` old; a running search is shared. Does not block.

        python: the setting camera.python. The result is available after `LOOK_S` at the latest.
        """
        with self._lock:
            if self._looked is None or (self._looked.done() and time.monotonic() - self._looked_at > KEEP_S):
                self._looked = future = Future[Discovery]()
                # A daemon thread, because stopping the service must not wait for a slow interpreter.
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
