"""What the camera loop costs beside the network: calls are counted, since times depend on the machine."""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import replace
from types import FrameType
from typing import Any

from lookout.camera.interface import Camera, CameraOptions
from lookout.engine.source import isolated_camera

from tests.support.engines import Bench, settings_of

# As before events, focus and the other programs came; it stays that, whatever is added.
MAX_CALLS = 175
FIRST, COUNTED = 20, 20


class Counted:
    """The network's session, which counts from one run to the next whatever the worker's thread calls."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._runs = self._calls = 0
        self.counts: list[int] = []

    def run(self, *arguments: Any) -> Any:
        self._runs += 1
        if self._runs == FIRST:
            sys.setprofile(self._count)
        elif FIRST < self._runs <= FIRST + COUNTED:
            self.counts.append(self._calls)
        if self._runs == FIRST + COUNTED:
            sys.setprofile(None)
        answer = self._session.run(*arguments)
        self._calls = 0
        return answer

    def _count(self, _: FrameType, event: str, __: object) -> None:
        self._calls += event in ("call", "c_call")


def test_a_frame_takes_no_more_calls_than_it_used_to(bench: Bench) -> None:
    """With the real camera process, and focus off, which classifies twice."""

    def make_camera(address: str, options: CameraOptions) -> Camera:
        return isolated_camera(address, replace(options, fps=30))

    camera = {"source": "scripted:lookout.bench.script:vga", "repeats": "stalled"}
    engine = bench.running(make_camera, settings_of(camera=camera, answer={"focus": "off"}))
    assert engine.classifier is not None
    engine.classifier.session = counted = Counted(engine.classifier.session)  # type: ignore[assignment]
    until = time.monotonic() + 60
    while len(counted.counts) < COUNTED and time.monotonic() < until:
        time.sleep(0.05)
    assert len(counted.counts) == COUNTED
    assert statistics.median(counted.counts) <= MAX_CALLS
