"""Statistics of the Open Inference Protocol: how many inferences were requested, and how long they took."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class _Sum:
    count: int = 0
    ns: int = 0

    def add(self, ns: int) -> None:
        self.count += 1
        self.ns += ns

    def as_json(self) -> dict[str, int]:
        return {"count": self.count, "ns": self.ns}


@dataclass(slots=True)
class Inferences:
    """Counts and durations for the model in use, since the first request for it. For any thread."""

    _of: tuple[str, str] = ("", "")
    _last_ms: int = 0
    _success: _Sum = field(default_factory=_Sum)
    _fail: _Sum = field(default_factory=_Sum)
    _run: _Sum = field(default_factory=_Sum)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, model: tuple[str, str], ns: int, run_ns: int | None) -> None:
        """Count a request. model: name and version. ns: its duration. run_ns: the network's part; None if it failed."""
        with self._lock:
            if model != self._of:
                self._of, self._success, self._fail, self._run = model, _Sum(), _Sum(), _Sum()
            if run_ns is None:
                self._fail.add(ns)
                return
            self._last_ms = int(time.time() * 1000)
            self._success.add(ns)
            self._run.add(run_ns)

    def as_json(self, name: str, version: str) -> dict[str, Any]:
        """Return the model's entry of `model_stats`."""
        with self._lock:
            same = (name, version) == self._of
            success, fail, run = (self._success, self._fail, self._run) if same else (_Sum(), _Sum(), _Sum())
            around = _Sum(success.count, max(0, success.ns - run.ns))
            return {
                "name": name,
                "version": version,
                "last_inference": self._last_ms if same else 0,
                "inference_count": success.count,
                "execution_count": run.count,
                "inference_stats": {
                    "success": success.as_json(),
                    "fail": fail.as_json(),
                    "queue": _Sum(success.count).as_json(),
                    "compute_input": around.as_json(),
                    "compute_infer": run.as_json(),
                    "compute_output": _Sum(success.count).as_json(),
                    "cache_hit": _Sum().as_json(),
                    "cache_miss": _Sum().as_json(),
                },
                "batch_stats": [],
            }
