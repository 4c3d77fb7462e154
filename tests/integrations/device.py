"""The MQTT integration on a real hub, fed by the test as the worker would: ten states a second.

`python -m tests.integrations.device FOLDER KEY=VALUE ...` runs one in a process of its own, to be killed or stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from lookout.events.feed import Feed
from lookout.events.retention import Forecast
from lookout.frame import Frame
from lookout.integrations.interface import Parts
from lookout.integrations.mqtt.integration import Mqtt
from lookout.pipeline.smoothing import Answer, Reason, Threshold
from lookout.settings.sources import load
from lookout.state.hub import Hub
from lookout.state.state import CameraState, ModelState, PredictionRecord, State
from lookout.storage import Storage

from tests.support.waiting import until as until

EVERY_S = 0.1
ID = "k3f9"
CONFIG = f"homeassistant/device/lookout_{ID}/config"


@dataclass
class Scene:
    """What the worker would see; a test changes it."""

    label: str | None = "cat"
    reason: Reason | None = None
    probability: float = 0.984
    labels: tuple[str, ...] = ("cat", "dog", "neither")
    model: str | None = "cat-dog-resnet18"
    stalled: bool = False
    paused: bool = False
    since: float = field(default_factory=time.monotonic)

    def state(self, sequence: int) -> State:
        now = time.monotonic()
        rest = (1 - self.probability) / max(1, len(self.labels) - 1)
        shown = tuple(self.probability if label == self.label else rest for label in self.labels)
        model = ModelState(
            self.model or "",
            "1",
            "int8",
            2,
            self.labels,
            {label: label.capitalize() for label in self.labels},
            {label: Threshold(0.85, 0.6) for label in self.labels[:-1]},
        )
        status: Any = "paused" if self.paused else "stalled" if self.stalled else "streaming"
        return State(
            instance="k3f9",
            sequence=sequence,
            started_at=self.since,
            camera=CameraState(status, "demo", self.since, "demo", 64, 48),
            answer=Answer(self.label, self.reason, self.since, shown),
            stale_after_s=2.0,
            interval_s=EVERY_S,
            prediction=PredictionRecord(shown, sequence, now),
            frame=Frame(np.zeros((48, 64, 3), np.uint8), now, sequence, "demo"),
            model=model if self.model else None,
            paused=self.paused,
        )


class RecordedControl:
    """Takes what is asked for and says so; what is valid is the business of the real one."""

    def __init__(self, loaded: Any, scene: Scene) -> None:
        self.loaded = loaded
        self.asked: list[Any] = []
        self._scene = scene

    def pause(self, paused: bool) -> None:
        self.asked.append(paused)
        self._scene.paused = paused

    def patch(self, patch: dict[str, Any]) -> None:
        self.asked.append(patch)


FORECAST = Forecast(9, 1, 4_000, 8_000, 100, 41.5, None)


class Silenced:
    """Notices, as far as they can be silenced."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []

    def quiet_for_s(self) -> float:
        return self.asked[-1][1] if self.asked else 0.0

    def snooze(self, rule: str, for_s: float) -> None:
        self.asked.append((rule, for_s))


class Device:
    """Runs on an event loop in a thread of its own, as in the service."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        flags = {"state.folder": str(folder)} | {f"mqtt.{name}": str(value) for name, value in settings.items()}
        (folder / "lookout.toml").write_text("")
        (folder / "device_id").write_text(f"{ID}\n")
        loaded = load(flags, folder / "lookout.toml", {})
        self.scene, self.feed = Scene(), Feed()
        self.control = RecordedControl(loaded, self.scene)
        self.hub = Hub(self.scene.state(1))
        self.longest_s = 0.0
        self.trouble: list[dict[str, Any]] = []
        self.notices = Silenced()
        given = (self.hub, cast("Any", self.control), Storage(folder), self.feed, "http://127.0.0.1:8642/")
        parts = Parts(*given, forecast=lambda: FORECAST, quiet=lambda: self.notices)
        self.mqtt = Mqtt(parts)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.run()), name="device")

    @property
    def base(self) -> str:
        return f"lookout/{ID}"

    def __call__(self, *levels: str) -> str:
        return "/".join((self.base, *levels))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> float:
        began = time.monotonic()
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        return time.monotonic() - began

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.trouble.append(context))
        self.hub.attach(loop)
        await self.mqtt.start()
        sequence = 1
        while not self._stop.is_set():
            sequence += 1
            if not self.scene.stalled:
                self.hub.publish(self.scene.state(sequence))
            began = time.monotonic()
            await asyncio.sleep(EVERY_S)
            self.longest_s = max(self.longest_s, time.monotonic() - began - EVERY_S)
        await self.mqtt.stop()
        self.hub.detach()


@contextlib.contextmanager
def device(folder: Path, **settings: Any) -> Iterator[Device]:
    one = Device(folder, **settings)
    one.start()
    try:
        yield one
    finally:
        one.stop()


if __name__ == "__main__":
    pairs = dict(argument.split("=", 1) for argument in sys.argv[2:])
    asyncio.run(Device(Path(sys.argv[1]), **pairs).run())
