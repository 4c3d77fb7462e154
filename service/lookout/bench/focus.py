"""The cost of focus itself, without the network's second run: learning the scene and finding what is new."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from lookout.bench.measure import Row, in_turns, milliseconds
from lookout.focus.background import Background
from lookout.pipeline.card import Card
from lookout.pipeline.classifier import Classifier

MAX_SHARE = 0.15
_FPS = 10.0


def measure_focus(card: Card, seconds: float) -> list[Row]:
    """Measure focus against one inference of the model's fastest precision, on one thread, at 640 x 480."""
    precision = "int8" if "int8" in card.precisions else card.precisions[0]
    classifier = Classifier.load(card, precision, 1)
    empty, visited = _frames(visitor=False), _frames(visitor=True)
    times = in_turns(
        {
            "inference": lambda: classifier.classify(empty[0]),
            "still": _watching(empty, []),
            "somebody": _watching(visited, empty),
        },
        seconds / 2,
    )
    return [
        _row("still scene", times["still"], times["inference"], precision),
        _row("somebody new", times["somebody"], times["inference"], precision),
    ]


def _watching(frames: list[NDArray[np.uint8]], before: list[NDArray[np.uint8]]) -> Callable[[], object]:
    background, moments = Background(), itertools.count()
    for _ in range(30):
        background.changed((before or frames)[0], next(moments) / _FPS)
    shown = itertools.cycle(frames)
    return lambda: background.changed(next(shown), next(moments) / _FPS)


def _frames(*, visitor: bool) -> list[NDArray[np.uint8]]:
    """Return a few frames of one scene with sensor noise."""
    dice = np.random.default_rng(1)
    scene = cv2.resize(dice.integers(40, 220, (12, 16, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    if visitor:
        cv2.ellipse(scene, (400, 330), (70, 90), 0, 0, 360, (30, 50, 90), -1)
    return [
        np.clip(scene + 3 * dice.standard_normal(scene.shape, np.float32), 0, 255).astype(np.uint8) for _ in range(4)
    ]


def _row(name: str, own_ms: float, inference_ms: float, precision: str) -> Row:
    share = own_ms / inference_ms
    measured = f"{share:.1%} ({milliseconds(own_ms)} beside {milliseconds(inference_ms)}, {precision})"
    goal = f"{MAX_SHARE:.0%} of an inference or less"
    figures = {"share": share, "own_ms": own_ms, "inference_ms": inference_ms}
    return Row(f"focus, {name}, 640 × 480", goal, measured, share <= MAX_SHARE, figures)
