"""How a network comes to its answer: its logits, and what speaks for a label where it has no map of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lookout.geometry import WHOLE
from lookout.inspection.answers import heat, scores
from lookout.pipeline.card import load_card
from lookout.pipeline.classifier import Classifier, softmax
from lookout.resources import models_folder

from tests.models import RED, picture, write_model


def test_the_logits_give_the_probabilities(tmp_path: Path) -> None:
    classifier = Classifier.load(load_card(write_model(tmp_path / "m")), "fp32")
    found = scores(classifier, picture(RED))
    assert found.are_logits
    assert softmax(found.values, found.temperature) == pytest.approx(found.probabilities, abs=1e-6)
    assert max(found.probabilities) == found.probabilities[0] == classifier.classify(picture(RED)).probabilities[0]


def test_a_network_without_maps_is_covered_up_place_by_place(tmp_path: Path) -> None:
    """Red in the left half only: covering that takes the cat away, covering the dark half does not."""
    classifier = Classifier.load(load_card(write_model(tmp_path / "m")), "fp32")
    half = np.zeros((240, 240, 3), np.uint8)
    half[:, :120] = RED
    found = heat(classifier, half, 0)
    assert found.method == "cover"
    assert found.cells.shape == (7, 7)
    assert found.cells[:, :3].min() > found.cells[:, -2:].max()


def test_the_shipped_network_has_a_map_for_each_label() -> None:
    classifier = Classifier.load(load_card(models_folder() / "cat-dog-resnet18"), "int8")
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    found = [heat(classifier, pixels, label, WHOLE) for label in range(3)]
    assert {one.method for one in found} == {"activation"}
    assert {one.cells.shape for one in found} == {(3, 3)}
