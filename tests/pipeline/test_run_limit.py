"""The time limit on a run of a network, with a session that never ends by itself."""

from __future__ import annotations

import threading
import time
from typing import Any

import onnxruntime as ort
import pytest
from lookout.pipeline import run_limit
from lookout.pipeline.run_limit import RunTooLong, run_limited


class Endless:
    """Runs until onnxruntime would: until the options say that it is over."""

    def run(self, _names: list[str], _feeds: dict[str, Any], options: ort.RunOptions) -> list[Any]:
        while not options.terminate:
            time.sleep(0.001)
        raise RuntimeError("terminated")


class Quick:
    def run(self, *_: Any) -> list[Any]:
        return [1]


def ended_after(limit_s: float) -> float:
    began = time.monotonic()
    with pytest.raises(RunTooLong):
        run_limited(Endless(), ["answer"], {}, limit_s)  # type: ignore[arg-type]
    return time.monotonic() - began


def test_a_run_that_begins_while_the_watch_looks_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes too late to be seen in that look, and must end after the time for which no look is planned."""
    done = threading.Event()
    thread = threading.Thread(target=lambda: (ended_after(0.3), done.set()), daemon=True)

    class Watched(dict[ort.RunOptions, float]):
        def copy(self) -> dict[ort.RunOptions, float]:
            seen = dict(self)
            if thread.ident is None:
                thread.start()
                while len(self) == len(seen):
                    time.sleep(0.001)
                time.sleep(0.05)  # until it has decided whether to wake the watch
            return seen

    ended_after(0.0)
    time.sleep(0.1)  # until the watch sleeps
    monkeypatch.setattr(run_limit._watch, "runs", Watched())
    run_limit._watch.wakes_at = 0.0  # as after a look that was planned and has begun
    run_limit._watch.wake()
    assert done.wait(10.0)


def test_a_shorter_limit_does_not_wait_for_a_longer_one() -> None:
    longer: list[float] = []
    thread = threading.Thread(target=lambda: longer.append(ended_after(3.0)))
    thread.start()
    time.sleep(0.1)
    assert ended_after(0.05) < 2.0
    thread.join()
    assert longer[0] >= 3.0


def test_runs_side_by_side_are_each_ended() -> None:
    took: list[float] = []
    threads = [threading.Thread(target=lambda: took.append(ended_after(0.05))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 8
    assert max(took) < 5.0


def test_a_session_is_not_ended_twice() -> None:
    """The options of a run that was ended must not end the next one."""
    ended_after(0.0)
    assert run_limited(Quick(), ["answer"], {}, 5.0) == [1]  # type: ignore[arg-type]
