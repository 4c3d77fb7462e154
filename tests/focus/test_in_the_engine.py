"""Focus in the real engine with a real network: one that says "cat" of red."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lookout.geometry import Rect
from lookout.settings.schema import Settings
from lookout.state.state import State

from tests.benchmarks.films import CutOut, Film, Visit
from tests.focus.rooms import HEIGHT, WIDTH, room
from tests.models import write_model
from tests.support.player import PictureCamera, play


def played(film: Film, models: Path, **answer: object) -> list[State]:
    """The state of each frame, without its picture."""
    write_model(models, "colours")
    settings = Settings.model_validate(
        {
            "camera": {"source": "file:film"},
            "model": {"name": "colours", "folder": models, "precision": "fp32", "threads": 1},
            "answer": {"max_rate": 0, **answer},
        }
    )
    states: list[State] = []
    camera = PictureCamera(film.frames(), WIDTH, HEIGHT, film.fps)
    play(settings, camera, lambda state: states.append(replace(state, frame=None)), within_s=60)
    return states


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
