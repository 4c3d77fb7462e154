"""Real photographs through the shipped networks, in every precision: scikit-image's, which are free to use."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import skimage.data
from lookout.frame import Pixels
from lookout.pipeline.classifier import Classifier
from lookout.registry.catalogue import Catalogue
from lookout.settings.schema import Settings

CARDS = [Catalogue.of(Settings()).card(name) for name in ("cat-dog-lite0", "cat-dog-resnet18")]
FILES = {f"{card.name} {precision}": (card, precision) for card in CARDS for precision in card.precisions}


@pytest.fixture(scope="module", params=FILES)
def network(request: pytest.FixtureRequest) -> Classifier:
    card, precision = FILES[request.param]
    return Classifier.load(card, precision)


def photograph(name: str) -> Pixels:
    return np.asarray(cv2.cvtColor(getattr(skimage.data, name)(), cv2.COLOR_RGB2BGR), np.uint8)


def across_the_room(picture: Pixels) -> Pixels:
    """The picture as a camera sees it from some steps away, 640 x 480, before a plain wall."""
    scene = np.full((480, 640, 3), (165, 160, 150), np.uint8)
    small = cv2.resize(
        picture, None, fx=380 / picture.shape[1], fy=380 / picture.shape[1], interpolation=cv2.INTER_AREA
    )
    top, left = (480 - small.shape[0]) // 2, 130
    scene[top : top + small.shape[0], left : left + 380] = small
    return scene


def likeliest(network: Classifier, picture: Pixels) -> str:
    probabilities = network.classify(picture).probabilities
    return network.card.label_names[int(np.argmax(probabilities))]


@pytest.mark.parametrize("way", [across_the_room, lambda picture: picture], ids=["across the room", "close up"])
def test_a_cat_is_a_cat(network: Classifier, way: Callable[[Pixels], Pixels]) -> None:
    seen = network.classify(way(photograph("chelsea")))
    at = dict(zip(network.card.label_names, seen.probabilities, strict=True))
    assert at["cat"] >= network.card.thresholds_of("cat").enter


@pytest.mark.parametrize("name", ["coffee", "rocket", "astronaut"])
def test_where_no_cat_or_dog_is_none_is_seen(network: Classifier, name: str) -> None:
    seen = network.classify(photograph(name)).probabilities
    for label, probability in zip(network.card.labels, seen, strict=True):
        assert label.reject or probability < network.card.thresholds_of(label.name).enter
    assert likeliest(network, photograph(name)) == "neither"


def test_the_default_network_is_one_of_them() -> None:
    assert Settings().model.name in {card.name for card in CARDS}
