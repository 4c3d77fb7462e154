"""Pools whose threads run before they are needed."""

from __future__ import annotations

import threading

import pytest
from lookout.deadline import Deadline, DeadlineExceeded, run_with_deadline
from lookout.system.threads import start_pool


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_pool_needs_no_thread_once_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = start_pool(3, "three")
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    together = threading.Barrier(3)
    waiting = [pool.submit(together.wait, 10) for _ in range(3)]
    assert sorted(one.result(10) for one in waiting) == [0, 1, 2]
    pool.shutdown()


def test_a_call_with_a_deadline_is_late_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(DeadlineExceeded):
        run_with_deadline(lambda: None, Deadline.after(1), "disk")
