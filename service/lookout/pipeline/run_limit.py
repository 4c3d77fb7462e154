"""Limits how long one run of a network may take.

onnxruntime checks a flag between two operators, also inside loop bodies. One thread sets it for all sessions.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import onnxruntime as ort

# Shorter than the silence after which the worker counts as stuck. A slower network cannot watch anything.
RUN_LIMIT_S = 8.0
# Log fatal errors only, since the exception contains everything that onnxruntime would log.
_LOG_FATAL_ONLY = 4


class RunTooLong(TimeoutError):
    """The run was ended at its time limit."""


class _Watch:
    """Watches the runs in progress and ends those that are overdue. Its thread sleeps while there are none.

    runs: when each run must end, by its options. Each frame adds and removes one, which takes no lock: changing one
    item of a dictionary is a single step for all threads.
    wakes_at: when the thread looks again. Who adds a run that must end before that calls `wake`.
    """

    def __init__(self) -> None:
        self.runs: dict[ort.RunOptions, float] = {}
        self.wakes_at = math.inf
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="run limit", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while True:
                self.wakes_at = math.inf  # before looking at the runs, so that one that begins meanwhile calls `wake`
                runs, now = self.runs.copy(), time.monotonic()
                for options, ends_at in runs.items():
                    if now >= ends_at:
                        options.terminate = True
                # Most runs end long before this; they leave the time as it is, so as not to wake this thread.
                self.wakes_at = min((ends_at for ends_at in runs.values() if ends_at > now), default=math.inf)
                self._changed.wait(None if self.wakes_at == math.inf else self.wakes_at - now)


_watch = _Watch()


def run_limited(
    session: ort.InferenceSession, outputs: Sequence[str], feeds: Mapping[str, Any], limit_s: float | None = None
) -> list[Any]:
    """Run the session. Raises RunTooLong after limit_s seconds, by default RUN_LIMIT_S."""
    options = ort.RunOptions()
    options.log_severity_level = _LOG_FATAL_ONLY
    _watch.runs[options] = ends_at = time.monotonic() + (RUN_LIMIT_S if limit_s is None else limit_s)
    if ends_at < _watch.wakes_at:
        _watch.wake()
    try:
        values: list[Any] = session.run(list(outputs), dict(feeds), options)
    except Exception as error:  # onnxruntime's errors have no common base class
        if options.terminate:
            raise RunTooLong(f"it takes longer than {limit_s or RUN_LIMIT_S:g} s for a picture") from error
        raise
    finally:
        del _watch.runs[options]
    return values
