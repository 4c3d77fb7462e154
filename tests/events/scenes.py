"""States as the camera loop would publish them, by a clock of the test's: no camera, no network, no waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from lookout.events.event import Event
from lookout.events.feed import Feed
from lookout.events.queries import Filter
from lookout.events.recorder import Recorder
from lookout.events.store import Store
from lookout.frame import Frame
from lookout.pipeline.smoothing import Answer, Smoother, Threshold
from lookout.settings.schema import Settings
from lookout.state.hub import Hub
from lookout.state.state import CameraState, ModelState, PredictionRecord, State
from lookout.system.reading import SystemReading

LABELS = ("cat", "dog", "neither")
CAT, DOG, NOBODY = (0.96, 0.02, 0.02), (0.02, 0.96, 0.02), (0.01, 0.01, 0.98)
THRESHOLDS = {"cat": Threshold(0.8, 0.6), "dog": Threshold(0.8, 0.6)}
FRAME_S = 0.1
# 2026-05-01T07:00:00Z, less what the monotonic clock shows then.
OFFSET = 1_777_618_800.0 - 1000.0


def model(name: str = "pets", version: str = "1") -> ModelState:
    return ModelState(name, version, "fp32", 1, LABELS, {}, THRESHOLDS)


class Scene:
    """A hub, a recorder and its store; `show` is the camera."""

    def __init__(self, store: Store, settings: dict[str, Any] | None = None, **more: Any) -> None:
        self.now = 1000.0
        self.offset = OFFSET
        self.settings = Settings.model_validate({"events": settings or {}})
        self.store = store
        self.feed = Feed()
        self.state = State(
            instance="run-1",
            sequence=1,
            started_at=self.now,
            camera=CameraState("streaming", "demo", self.now),
            answer=Answer(None, "no_data", self.now),
            stale_after_s=2.0,
            interval_s=0.1,
            model=model(),
        )
        self.hub = Hub(self.state)
        self.hub.set_system(SystemReading(clock_synchronised=True))
        self.recorder = Recorder(
            self.hub,
            store,
            self.feed,
            lambda: self.settings,
            clock=lambda: self.now,
            wall=lambda: self.now + self.offset,
            boot=more.pop("boot", "boot-1"),
            **more,
        )
        self.hub.listen(self.recorder.watcher.observe)
        self.recorder.turn()
        self._frames = 0
        self._new_smoother()

    def _new_smoother(self) -> None:
        self._smoother = Smoother(LABELS, ["neither"], THRESHOLDS, window_s=0.0, hold_s=0.0, gap_s=2.0, now=self.now)

    def show(self, probabilities: tuple[float, ...], seconds: float, *, turn_every: int = 3) -> None:
        """Frames that the network sees so, for that long."""
        for _ in range(round(seconds / FRAME_S)):
            self.now += FRAME_S
            self._frames += 1
            pixels = np.full((96, 128, 3), self._frames % 251, np.uint8)
            frame = Frame(pixels, self.now, self._frames, "demo")
            answer = self._smoother.add(probabilities, self.now)
            prediction = PredictionRecord(probabilities, self._frames, self.now)
            self.publish(frame=frame, answer=answer, prediction=prediction)
            if self._frames % turn_every == 0:
                self.recorder.turn()
        self.recorder.turn()

    def publish(self, **changes: Any) -> None:
        self.state = self.state.but(sequence=self.state.sequence + 1, **changes)
        self.hub.publish(self.state)

    def silence(self, seconds: float) -> None:
        """The camera delivers nothing."""
        for _ in range(round(seconds / 0.25)):
            self.now += 0.25
            self.recorder.turn()

    def pause(self, paused: bool) -> None:
        self._new_smoother()
        answer = Answer(None, "no_data", self.now)
        self.publish(paused=paused, frame=None, prediction=None, answer=answer)
        self.recorder.turn()

    def use_model(self, name: str) -> None:
        self._new_smoother()
        self.publish(model=model(name), prediction=None, answer=Answer(None, "no_data", self.now))
        self.recorder.turn()

    def end(self) -> None:
        self.recorder.finish()
        self.flush()

    def flush(self) -> None:
        while self.recorder.journal.unwritten or self.recorder.journal._run_row is not None:
            assert self.recorder.journal.flush()

    def events(self, **wanted: Any) -> list[Event]:
        """Those on disk, the oldest first."""
        self.flush()
        return self.store.page(Filter(**wanted), None, 200)[0][::-1]

    def visits(self) -> list[Event]:
        return self.events(kind="seen")


def kinds(events: list[Event]) -> Iterator[str]:
    return (event.kind for event in events)
