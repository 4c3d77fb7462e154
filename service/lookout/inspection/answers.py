"""How a network arrives at its answer: the values before the softmax, and the parts of the picture that favour a label.

If the graph has class activation maps (Zhou et al. 2016), they are used. Otherwise a grey square is moved over the
picture; the places where it lowers the probability most are the most important ones (Zeiler and Fergus 2014).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lookout.frame import Pixels
from lookout.geometry import WHOLE, Rect
from lookout.pipeline.classifier import Classifier
from lookout.pipeline.preprocess import new_tensor, picture_seen, preprocess

Floats = NDArray[np.float32]

# Positions of the square per side: 7, 5 or 3, depending on the network's speed. The square moves by half of its side.
_SIDES = (7, 5, 3)
_GREY = 128
# The time for all runs together. The thread sleeps for half of it, to leave the live picture its share.
_COVER_S = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The values that a network computes for a picture.

    values: the graph's raw output. are_logits: whether a softmax follows. temperature: the divisor of the logits before
    the softmax. probabilities: of the card's labels. seen: the part of the picture that the network saw.
    """

    values: tuple[float, ...]
    are_logits: bool
    temperature: float
    probabilities: tuple[float, ...]
    seen: Rect


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """How much each place favours a label, rows x columns over the part seen; negative values count against it.

    method: "activation": the graph's own map; "cover": by how much the probability fell when the place was covered.
    """

    cells: Floats
    method: Literal["activation", "cover"]


def scores(classifier: Classifier, pixels: Pixels, region: Rect = WHOLE) -> Scores:
    """Return the scores of one upright picture (uint8, height x width x 3, BGR).

    Raises ModelRejected if the network fails on it.
    """
    card = classifier.card
    prediction = classifier.classify(pixels, region)
    tensor = new_tensor(card.input)
    preprocess(pixels, card.input, tensor, region)
    (answer,) = classifier.session.run([card.outputs.answer], {card.input.name: tensor})
    values = tuple(float(value) for value in np.asarray(answer, np.float64).ravel())
    temperature = card.temperature(classifier.precision)
    return Scores(values, card.outputs.logits is not None, temperature, prediction.probabilities, prediction.seen)


def heat(classifier: Classifier, pixels: Pixels, label: int, region: Rect = WHOLE) -> Heat:
    """Return the heat map of the label with this index. Takes up to `_COVER_S` if the graph has no maps."""
    prediction = classifier.classify(pixels, region, activation_map=True)
    if prediction.activation_map is not None:
        return Heat(prediction.activation_map[label], "activation")
    return Heat(_covered(classifier, pixels, label, region, prediction.probabilities[label]), "cover")


def _covered(classifier: Classifier, pixels: Pixels, label: int, region: Rect, before: float) -> Floats:
    """Measure by how much the label's probability falls for each position of a grey square."""
    small, _ = picture_seen(pixels, classifier.card.input, region)
    began = time.perf_counter()
    classifier.classify(small)
    run_s = time.perf_counter() - began
    count = next((side for side in _SIDES if 2 * run_s * side * side <= _COVER_S), _SIDES[-1])
    height, width = small.shape[:2]
    fall = np.zeros((count, count), np.float32)
    for i in range(count):
        for j in range(count):
            part = small.copy()
            top, left = i * height // (count + 1), j * width // (count + 1)
            part[top : top + 2 * height // (count + 1), left : left + 2 * width // (count + 1)] = _GREY
            began = time.perf_counter()
            fall[i, j] = before - classifier.classify(part).probabilities[label]
            time.sleep(time.perf_counter() - began)
    return fall
