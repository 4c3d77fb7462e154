"""Engines with cameras that tests control, and helpers to wait for the states that they publish."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lookout.camera.interface import CameraInfo, CameraOptions
from lookout.deadline import Deadline
from lookout.engine.worker import Engine, first_state
from lookout.errors import CameraError, CameraSilent
from lookout.frame import Frame
from lookout.registry.catalogue import Catalogue
from lookout.settings.schema import Settings
from lookout.state.hub import Hub
from lookout.state.state import State, status

from tests.models import RED, picture


class FakeCamera:
    """Delivers one picture `fps` times a second, each time slightly different; calls `on_open` and `on_read`."""

    def __init__(self, color: tuple[int, int, int] = RED, fps: float = 50.0) -> None:
        self.pixels = picture(color, 64, 48)
        self.fps = fps
        self.opened = self.closed = 0
        self.cut = threading.Event()
        self.on_open: Callable[[], None] = lambda: None
        self.on_read: Callable[[], None] = lambda: None
        self.options: CameraOptions | None = None
        self._began = 0.0
        self._last = -1

    @property
    def is_open(self) -> bool:
        return self.opened > 0 and not self.cut.is_set()

    @property
    def info(self) -> CameraInfo:
        return CameraInfo("scripted", "fake", 64, 48, self.fps, live=True)

    def open(self, _: Deadline) -> None:
        self.opened += 1
        self.cut.clear()
        self.on_open()
        self._began, self._last = time.monotonic(), -1

    def read(self, deadline: Deadline) -> Frame:
        """Return the newest frame by the clock; a caller that is late misses the frames before."""
        self.on_read()
        due = self._began + (self._last + 1) / self.fps
        if self.cut.wait(max(0.0, min(due - time.monotonic(), deadline.remaining()))):
            raise CameraError("The camera was closed.", "Open it.")
        now = time.monotonic()
        if now < due:
            raise CameraSilent("Nothing yet.", "Wait.")
        self._last = int((now - self._began) * self.fps)
        return Frame(self.pixels, now, self._last, "scripted:fake:fake")

    def close(self) -> None:
        self.closed += 1
        self.cut.set()


def settings_of(**changes: dict[str, Any]) -> Settings:
    usual: dict[str, dict[str, Any]] = {
        "camera": {"source": "scripted:fake:fake", "repeats": "ignore"},
        "model": {"name": "colours"},
        "answer": {"max_rate": 0, "hold_s": 0.0, "window_s": 0.05},
    }
    for section, values in changes.items():
        usual[section] = usual.get(section, {}) | values
    return Settings.model_validate(usual)


class Bench:
    """Builds engines; the fixture stops all of them."""

    def __init__(self, models: Path) -> None:
        self.models = models
        self.engines: list[Engine] = []

    def engine(self, camera: Any = None, settings: Settings | None = None, **more: Any) -> Engine:
        """Return an engine that is not started; `engine.hub` is its hub."""
        settings = settings or settings_of()
        camera = camera or FakeCamera()
        make = camera if callable(camera) else lambda *_: camera
        hub = Hub(first_state(settings, time.monotonic()))
        engine = Engine(settings, Catalogue([self.models]), hub, make_camera=make, **more)
        engine.hub = hub  # type: ignore[attr-defined]
        self.engines.append(engine)
        return engine

    def running(self, camera: Any = None, settings: Settings | None = None, **more: Any) -> Engine:
        engine = self.engine(camera, settings, **more)
        engine.start()
        return engine


def latest(engine: Engine) -> State:
    state: State = engine.hub.latest()  # type: ignore[attr-defined]
    return state


def eventually(engine: Engine, condition: Callable[[State], bool], within_s: float = 5.0) -> State:
    """Return the first state for which the condition holds."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        state = latest(engine)
        if condition(state):
            return state
        time.sleep(0.002)
    raise AssertionError(f"not within {within_s} s: {latest(engine)}")


def is_ok(state: State) -> bool:
    return status(state, time.monotonic()) == "ok" and state.prediction is not None
