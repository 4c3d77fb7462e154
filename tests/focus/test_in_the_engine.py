"""Focus in the real engine with a real network: one that says "cat" of red."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lookout.focus.viewer import Viewer
from lookout.frame import Pixels
from lookout.geometry import WHOLE, Rect
from lookout.pipeline.classifier import Classifier, Prediction
from lookout.pipeline.preprocess import picture_seen
from lookout.settings.schema import Settings
from lookout.state.state import State

from tests.benchmarks.films import CutOut, Film, Visit
from tests.focus.rooms import HEIGHT, WIDTH, room
from tests.models import write_card, write_model
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


def test_every_other_look_at_a_square_is_at_its_mirror_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = Classifier.load(write_card(tmp_path, mirror=True), "fp32", 1)
    looks: list[Pixels] = []
    classify = classifier.classify

    def noting(pixels: Pixels, region: Rect = WHOLE) -> Prediction:
        looks.append(picture_seen(pixels, classifier.card.input, region)[0])
        return classify(pixels, region)

    monkeypatch.setattr(classifier, "classify", noting)
    viewer = Viewer(classifier, focused=True)
    empty = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    visited = empty.copy()
    visited[60:130, 100:132] = (0, 0, 255)
    visited[60:130, 132:160] = (255, 0, 0)
    for number in range(20):
        viewer.view(empty, WHOLE, number / 5)
    looks.clear()
    answers = [viewer.view(visited, WHOLE, 4 + number / 5) for number in range(40)]
    reds = {round(float(look[:, : look.shape[1] // 2, 2].mean()), 1) for look in looks[-4:] if look[..., 0].max() > 200}
    assert len(reds) > 1  # red is left in one look and right in the next
    assert answers[-1].prediction.probabilities == pytest.approx(answers[-2].prediction.probabilities, abs=1e-6)
