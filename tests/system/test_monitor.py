"""The machine is read in time, whatever the kernel does meanwhile."""

from __future__ import annotations

import threading
import time

import pytest
from lookout.system import monitor
from lookout.system.monitor import SystemMonitor


def test_it_reports_memory_and_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "READ_S", 10.0)
    reading = SystemMonitor().read()
    assert reading.memory_bytes is not None
    assert reading.memory_bytes > 1_000_000
    assert reading.cpu_percent is not None


def test_a_kernel_that_does_not_answer_keeps_nobody_waiting_and_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a driver hangs while it holds the memory of the camera's process."""
    answers, asked = threading.Event(), []

    def hang() -> None:
        asked.append(True)
        answers.wait(60)

    monkeypatch.setattr(monitor, "READ_S", 0.1)
    monkeypatch.setattr(monitor, "temperature_c", hang)
    made = SystemMonitor()
    begun = time.monotonic()
    for _ in range(5):
        with pytest.raises(TimeoutError):
            made.read()
    assert time.monotonic() - begun < 30, "as long as the kernel would keep one of them"
    assert asked == [True]
    monkeypatch.setattr(monitor, "READ_S", 10.0)  # a busy machine may take its time over what answers
    monkeypatch.setattr(monitor, "temperature_c", lambda: None)
    answers.set()
    while made._reading.locked():
        time.sleep(0.01)
    assert made.read().memory_bytes is not None, "and it is read again"
