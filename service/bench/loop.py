"""The loop around the network: what it adds to each picture, and whether a fast source is kept up with."""

from __future__ import annotations

import itertools
import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from service.bench.measure import Row, milliseconds
from service.camera.protocol import Camera, CameraInfo, CameraOptions
from service.camera.scripted import Repeat, Show, Step
from service.catalogue import Catalogue
from service.engine import Engine, first_state
from service.frame import Deadline, Frame
from service.hub import Hub
from service.settings import Settings
from service.source import isolated_camera

# Distinct pictures, more than are compared when a stuck camera is looked for.
PICTURES = 80
# Of large ones a few must do; that check is left out for them.
FEW_PICTURES, LARGE = 4, 640 * 480
FIRST_S = 30.0
_SCRIPT = "scripted:service.bench.loop:fast_pictures"
MOST_SHARE = {"fp32": 0.08, "int8": 0.15}
LEAST_RATE = 0.97
# A source that never lets the network wait, and still leaves it its core.
FASTER = 1.5


def measure_loop(model: str, precisions: tuple[str, ...], seconds: float) -> list[Row]:
    """One engine after the other, with the real worker; whatever a picture takes beside the session is the loop's."""
    take_ms = _take_ms(seconds)
    rows = []
    for precision in precisions:
        rows.append(_cost(model, precision, 640, 480, {}, seconds, take_ms, goal=True))
    first = precisions[0]
    for width, height, region in ((640, 480, 0.5), (1280, 720, 1.0), (1920, 1080, 1.0)):
        part = {"x": 0.1, "y": 0.1, "width": region, "height": region} if region < 1 else {}
        rows.append(_cost(model, first, width, height, part, seconds / 2, 0.0, goal=False))
    rows += [_kept_up(model, precision, seconds) for precision in precisions]
    return rows


def _take_ms(seconds: float) -> float:
    """What it takes to fetch a picture that waits in the camera's process; the sources in memory spare it."""
    camera = isolated_camera(_SCRIPT, CameraOptions(fps=240.0))
    times = []
    try:
        camera.open(Deadline.after(FIRST_S))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.01)  # two pictures have come meanwhile
            started = time.perf_counter()
            camera.read(Deadline.after(FIRST_S))
            times.append((time.perf_counter() - started) * 1e3)
    finally:
        camera.close()
    return statistics.median(times)


class _AtOnce:
    """Pictures from memory, as fast as they are asked for."""

    def __init__(self, width: int, height: int) -> None:
        self._pictures = pictures(width, height)
        self._sequence = -1
        self.info = CameraInfo("scripted", "memory", width, height, None, live=True)

    def open(self, deadline: Deadline) -> None:
        """Nothing to do."""

    def read(self, deadline: Deadline) -> Frame:  # noqa: ARG002 - never waits
        self._sequence += 1
        pixels = self._pictures[self._sequence % len(self._pictures)]
        return Frame(pixels, time.monotonic(), self._sequence, "scripted:memory")

    def close(self) -> None:
        """Nothing to do."""


def pictures(width: int, height: int) -> list[Any]:
    """Distinct pictures that are not nearly uniform."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return [
        np.ascontiguousarray(np.roll(noise, shift, 1))
        for shift in range(PICTURES if width * height <= LARGE else FEW_PICTURES)
    ]


class _Timed:
    """A session that notes when each run began and ended."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.spans: list[tuple[float, float]] = []

    def run(self, *arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            return self._session.run(*arguments)
        finally:
            self.spans.append((started, time.perf_counter()))

    def clear(self) -> None:
        self.spans.clear()

    def medians_ms(self) -> tuple[float, float]:
        """Of a run, and of what lies between two runs."""
        spans = list(self.spans)
        runs = [end - start for start, end in spans]
        gaps = [after[0] - before[1] for before, after in itertools.pairwise(spans)]
        return statistics.median(runs) * 1e3, statistics.median(gaps) * 1e3

    def per_second(self) -> float:
        return (len(self.spans) - 1) / (self.spans[-1][0] - self.spans[0][0])


def _cost(
    model: str, precision: str, width: int, height: int, region: dict[str, float], seconds: float, take_ms: float, *,
    goal: bool,
) -> Row:  # fmt: skip
    repeats = "stalled" if width * height <= LARGE else "ignore"
    timed = _run(model, precision, region, lambda _address, _options: _AtOnce(width, height), seconds, repeats)
    session_ms, loop_ms = timed.medians_ms()
    loop_ms += take_ms
    share = loop_ms / session_ms
    most = MOST_SHARE.get(precision, 1.0)
    where = f"{width} × {height}" + (", a region of a quarter" if region else "")
    measured = f"{share:.1%} ({milliseconds(loop_ms)} beside {milliseconds(session_ms)})"
    figures = {"share": share, "loop_ms": loop_ms, "session_ms": session_ms}
    name = f"loop beside {precision}, {where}"
    return Row(name, f"{most:.0%} at most" if goal else "", measured, share <= most if goal else None, figures)


def _kept_up(model: str, precision: str, seconds: float) -> Row:
    """With the camera in its own process, as the service has it, and faster than the network."""
    alone = _run(model, precision, {}, lambda _address, _options: _AtOnce(640, 480), seconds)
    expected = 1e3 / sum(alone.medians_ms())

    def faster(address: str, options: CameraOptions) -> Camera:
        return isolated_camera(address, replace(options, fps=FASTER * expected))

    rate = _run(model, precision, {}, faster, seconds).per_second()
    share = rate / expected
    measured = f"{share:.1%} ({rate:.0f} of {expected:.0f} a second)"
    figures = {"share": share, "rate": rate, "expected": expected}
    return Row(f"rate with a faster source, {precision}", "97% or more", measured, share >= LEAST_RATE, figures)


def fast_pictures() -> list[Step]:
    """The script of a source that is faster than any network: for the camera's process."""
    return [Repeat([Show(pixels) for pixels in pictures(640, 480)])]


def _run(
    model: str,
    precision: str,
    region: dict[str, float],
    make_camera: Callable[[str, CameraOptions], Camera],
    seconds: float,
    repeats: str = "stalled",
) -> _Timed:
    logging.getLogger("service").setLevel(logging.ERROR)
    settings = Settings.model_validate(
        {
            "camera": {"source": _SCRIPT, "fps": 240.0, "repeats": repeats},
            "model": {"name": model, "precision": precision, "threads": 1},
            "answer": {"max_rate": 0.0, "region": region or {}},
        }
    )
    hub = Hub(first_state(settings, time.monotonic()))
    engine = Engine(settings, Catalogue.of(settings), hub, make_camera=make_camera)
    engine.start()
    try:
        classifier = engine.classifier
        assert classifier is not None, "the model was loaded before, to look at its card"
        timed = _Timed(classifier._session)
        classifier._session = timed
        until = time.monotonic() + FIRST_S
        while not timed.spans and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2 + seconds / 10)
        timed.clear()
        time.sleep(seconds)
        return timed
    finally:
        engine.stop()
