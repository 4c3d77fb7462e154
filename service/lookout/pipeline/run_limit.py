"""Limits how long one run of a network may take.

onnxruntime checks a flag between two operators, also inside loop bodies. One thread sets it for all sessions.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnxruntime as ort

# Shorter than the silence after which the worker counts as stuck. A slower network cannot watch anything.
RUN_LIMIT_S = 8.0
# Log fatal errors only, since the exception contains everything that onnxruntime would log.
_LOG_FATAL_ONLY = 4


class RunTooLong(TimeoutError):
    """The run was ended at its time limit."""


@dataclass(slots=True, eq=False)
class _Run:
    options: ort.RunOptions
    ends_at: float
    ended: bool = False


class _Watch:
    """Watches the runs in progress and ends those that are overdue. Its thread sleeps while there are none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._runs: list[_Run] = []
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf

    # Called for each frame, so they take the lock itself: a condition's `with` is slower, being written in Python.

    def begin(self, run: _Run) -> None:
        with self._lock:
            self._runs.append(run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="run limit", daemon=True)
                self._thread.start()
            elif run.ends_at < self._wakes_at:
                self._changed.notify()

    def end(self, run: _Run) -> None:
        with self._lock:
            self._runs.remove(run)

    def _watch(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for run in self._runs:
                    if not run.ended and now >= run.ends_at:
                        run.ended = run.options.terminate = True
                # Runs usually end long before this, but `end` leaves the time as it is, so as not to wake this thread.
                self._wakes_at = min((run.ends_at for run in self._runs if not run.ended), default=math.inf)
                self._changed.wait(None if self._wakes_at == math.inf else self._wakes_at - now)


_watch = _Watch()


def run_limited(
    session: ort.InferenceSession, outputs: Sequence[str], feeds: Mapping[str, Any], limit_s: float | None = None
) -> list[Any]:
    """Run the session. Raises RunTooLong after limit_s seconds, by default RUN_LIMIT_S."""
    options = ort.RunOptions()
    options.log_severity_level = _LOG_FATAL_ONLY
    run = _Run(options, time.monotonic() + (RUN_LIMIT_S if limit_s is None else limit_s))
    _watch.begin(run)
    try:
        values: list[Any] = session.run(list(outputs), dict(feeds), options)
    except Exception as error:  # onnxruntime's errors have no common base class
        if run.ended:
            raise RunTooLong(f"it takes longer than {limit_s or RUN_LIMIT_S:g} s for a picture") from error
        raise
    finally:
        _watch.end(run)
    return values
