"""The loop around the network: what it adds to each picture, and whether it keeps up with a fast source."""

from __future__ import annotations

import itertools
import logging
import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np

from lookout.bench.measure import Row, milliseconds
from lookout.camera.interface import Camera, CameraOptions
from lookout.engine.source import isolated_camera
from lookout.engine.worker import Engine, first_state
from lookout.pipeline.card import Card
from lookout.pipeline.classifier import Classifier
from lookout.registry.catalogue import Catalogue
from lookout.settings.schema import Settings
from lookout.state.hub import Hub

FIRST_S = 30.0
# With fewer pictures, there is no time between two that could be measured.
MIN_RUNS = 3
MAX_SHARE = {"fp32": 0.08, "int8": 0.15}
MIN_RATE = 0.97
# A source that never makes the network wait, and still leaves it a core.
FASTER = 1.5


def measure_loop(card: Card, precisions: tuple[str, ...], seconds: float) -> list[Row]:
    """Measure one engine after another, with the real worker and a camera in a separate process, as in the service."""
    costs, rates = [], []
    for precision in precisions:
        timed = _run(card, precision, "vga", {}, seconds)
        costs.append(_cost(timed, precision, "640 × 480", MAX_SHARE.get(precision, 1.0)))
        rates.append(_kept_up(timed, precision))
    first, part = precisions[0], {"x": 0.1, "y": 0.1, "width": 0.5, "height": 0.5}
    for script, region, what in (
        ("vga", part, "640 × 480, a region of a quarter"),
        ("hd", {}, "1280 × 720"),
        ("full_hd", {}, "1920 × 1080"),
    ):
        costs.append(_cost(_run(card, first, script, region, seconds / 2), first, what, None))
    return costs + rates


class _Timed:
    """A session that records when each run began and ended.

    On two clocks: the thread's own, which excludes all waiting and other work of the machine; and the wall clock.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._spans: list[tuple[float, float]] = []
        self._ends: list[float] = []

    def run(self, *arguments: Any) -> Any:
        started = time.thread_time()
        try:
            return self._session.run(*arguments)
        finally:
            self._spans.append((started, time.thread_time()))
            self._ends.append(time.perf_counter())

    @property
    def runs(self) -> int:
        return len(self._ends)

    def clear(self) -> None:
        self._spans.clear()
        self._ends.clear()

    def medians_ms(self) -> tuple[float, float]:
        """Return the median processor time in milliseconds of a run, and of the time between two runs."""
        spans = list(self._spans)
        runs = [end - start for start, end in spans]
        gaps = [after[0] - before[1] for before, after in itertools.pairwise(spans)]
        return statistics.median(runs) * 1e3, statistics.median(gaps) * 1e3

    def per_second(self) -> float:
        return (len(self._ends) - 1) / (self._ends[-1] - self._ends[0])


def _cost(timed: _Timed, precision: str, what: str, most: float | None) -> Row:
    """Return the row for the loop's cost beside the network's. most: the goal; None if there is none."""
    session_ms, loop_ms = timed.medians_ms()
    share = loop_ms / session_ms
    measured = f"{share:.1%} ({milliseconds(loop_ms)} beside {milliseconds(session_ms)})"
    figures = {"share": share, "loop_ms": loop_ms, "session_ms": session_ms}
    goal, met = ("", None) if most is None else (f"at most {most:.0%}", share <= most)
    return Row(f"loop beside {precision}, {what}", goal, measured, met, figures)


def _kept_up(timed: _Timed, precision: str) -> Row:
    """Measure whether anything besides the session and the loop's own work takes the worker's time.

    That is another program on its core, or a picture that came late because the camera's process was not scheduled
    when it was due: seen on a virtual machine, in one round of a hundred.
    """
    expected, rate = 1e3 / sum(timed.medians_ms()), timed.per_second()
    share = rate / expected
    measured = f"{share:.1%} ({rate:.0f} of {expected:.0f} a second)"
    figures = {"share": share, "rate": rate, "expected": expected}
    return Row(f"rate with a faster source, {precision}", "97% or more", measured, share >= MIN_RATE, figures)


def _run(card: Card, precision: str, script: str, region: dict[str, float], seconds: float) -> _Timed:
    """Run an engine and return its times. script: one of those in `lookout.bench.script`."""
    logging.getLogger("lookout").setLevel(logging.ERROR)
    settings = Settings.model_validate(
        {
            "camera": {"source": f"scripted:lookout.bench.script:{script}"},
            "model": {"name": card.name, "folder": card.folder.parent, "precision": precision, "threads": 1},
            "answer": {"max_rate": 0.0, "region": region or {}, "focus": "off"},  # focus is measured separately
        }
    )
    catalogue = Catalogue.of(settings)
    faster = FASTER * _rate_alone(Classifier.load(card, precision, 1))

    def make_camera(address: str, options: CameraOptions) -> Camera:
        return isolated_camera(address, replace(options, fps=faster))  # no setting allows that many

    hub = Hub(first_state(settings, time.monotonic()))
    engine = Engine(settings, catalogue, hub, make_camera=make_camera)
    engine.start()
    try:
        classifier = engine.classifier
        assert classifier is not None, "the model was loaded before, to look at its card"
        classifier.session = timed = _Timed(classifier.session)
        _wait(timed, 1)
        time.sleep(0.2 + seconds / 10)
        timed.clear()
        time.sleep(seconds)
        _wait(timed, MIN_RUNS)
        return timed
    finally:
        engine.stop()


def _wait(timed: _Timed, runs: int) -> None:
    """Wait until this many runs were made, which on a busy machine takes longer than what is measured."""
    until = time.monotonic() + FIRST_S
    while timed.runs < runs and time.monotonic() < until:
        time.sleep(0.01)


def _rate_alone(classifier: Classifier, pictures: int = 20) -> float:
    """Return the maximum pictures per second of the network without the loop."""
    grey = np.full((480, 640, 3), 128, np.uint8)
    times = [classifier.classify(grey).timing.inference_ms for _ in range(pictures)]
    return 1e3 / min(times)
