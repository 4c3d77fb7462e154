"""Focus in the real engine with a real network: one that says "cat" of red."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from lookout.engine.worker import Engine, first_state
from lookout.geometry import Rect
from lookout.registry.catalogue import Catalogue
from lookout.settings.schema import Settings
from lookout.state.hub import Hub
from lookout.state.state import State

from tests.benchmarks.films import CutOut, Film, Visit
from tests.benchmarks.focus import FilmCamera
from tests.focus.rooms import room
from tests.models import write_model


class Record(Hub):
    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.states: list[State] = []

    def publish(self, state: State) -> None:
        super().publish(state)
        if state.frame is not None and state.prediction is not None:
            self.states.append(replace(state, frame=None))


def played(film: Film, models: Path, **answer: object) -> list[State]:
    write_model(models, "colours")
    settings = Settings.model_validate(
        {
            "camera": {"source": "file:film"},
            "model": {"name": "colours", "folder": models, "precision": "fp32", "threads": 1},
            "answer": {"max_rate": 0, **answer},
        }
    )
    camera = FilmCamera(film)
    with mock.patch("lookout.engine.worker.time", camera), mock.patch("lookout.engine.source.time", camera):
        hub = Record(first_state(settings, camera.monotonic()))
        engine = Engine(settings, Catalogue.of(settings), hub, make_camera=lambda *_: camera)
        engine.start()
        until = time.monotonic() + 60
        while hub.latest().camera.status != "ended":
            assert time.monotonic() < until
            time.sleep(0.02)
        engine.stop()
    return hub.states


def red_visitor(x: float) -> Film:
    red = np.full((60, 45, 3), (0, 0, 255), np.float32)
    who = CutOut("cat", "red", red, np.ones((60, 45), np.float32))
    grey = np.full_like(room(), 128)
    return Film("red", grey, [Visit(who, 6, 14, 0.3, x, 0.9)], 16, noise=1.0, fps=5.0)


@pytest.mark.parametrize("focus", ["auto", "off"])
def test_somebody_small_is_named_where_they_are(tmp_path: Path, focus: str) -> None:
    states = played(red_visitor(0.8), tmp_path, focus=focus)
    named = [state for state in states if state.answer.label == "cat"]
    if focus == "off":
        assert not named
        assert all(state.focus is None for state in states)
        return
    assert len(named) > 20
    settled = named[5:-15]
    assert all(state.focus == "changed" and state.region_seen.x > 0.5 for state in settled)
    assert all(state.region_seen.width < 0.5 for state in settled)
    assert states[-1].answer.label is None


def test_the_region_bounds_the_focus(tmp_path: Path) -> None:
    left = {"x": 0.0, "y": 0.0, "width": 0.5, "height": 1.0}
    states = played(red_visitor(0.8), tmp_path, region=left)
    assert all(state.answer.label is None for state in states)
    inside = Rect(0.0, 0.0, 0.5, 1.0)
    assert all(state.region_seen.x + state.region_seen.width <= inside.width + 0.02 for state in states)
