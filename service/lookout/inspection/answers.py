"""How a network comes to its answer: the numbers before the softmax, and which parts of the picture speak for a label.

Where the graph has a map for each label (Zhou et al. 2016), that is shown. For all others a grey square wanders over
the picture, and where it lowers the probability most, the network had looked (Zeiler and Fergus 2014).
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

# The square covers so much of a side and moves by half of it: 7 x 7 places, 5 x 5, 3 x 3.
_SIDES = (7, 5, 3)
_GREY = 128
# All runs together may take this long; half of it the thread rests, so that the live picture keeps its share.
_COVER_S = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What a network answers, number by number.

    values: as the graph puts them out. are_logits: whether a softmax is still to come. temperature: divides them
    before it. probabilities: of the card's labels. seen: the part of the picture that was looked at.
    """

    values: tuple[float, ...]
    are_logits: bool
    temperature: float
    probabilities: tuple[float, ...]
    seen: Rect


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """How much each place speaks for a label, rows x columns over what was seen; negative speaks against it.

    method: "activation" is the graph's own map; "cover": by how much the probability fell while the place was covered.
    """

    cells: Floats
    method: Literal["activation", "cover"]


def scores(classifier: Classifier, pixels: Pixels, region: Rect = WHOLE) -> Scores:
    """Of one picture (uint8, height x width x 3, BGR, upright). Raises ModelRejected where the network fails on it."""
    card = classifier.card
    prediction = classifier.classify(pixels, region)
    tensor = new_tensor(card.input)
    preprocess(pixels, card.input, tensor, region)
    (answer,) = classifier.session.run([card.outputs.answer], {card.input.name: tensor})
    values = tuple(float(value) for value in np.asarray(answer, np.float64).ravel())
    temperature = card.temperature(classifier.precision)
    return Scores(values, card.outputs.logits is not None, temperature, prediction.probabilities, prediction.seen)


def heat(classifier: Classifier, pixels: Pixels, label: int, region: Rect = WHOLE) -> Heat:
    """What speaks for the label of this number. Takes up to `_COVER_S` where the graph has no maps."""
    prediction = classifier.classify(pixels, region, activation_map=True)
    if prediction.activation_map is not None:
        return Heat(prediction.activation_map[label], "activation")
    return Heat(_covered(classifier, pixels, label, region, prediction.probabilities[label]), "cover")


def _covered(classifier: Classifier, pixels: Pixels, label: int, region: Rect, before: float) -> Floats:
    """By how much the label's probability falls for each place of a grey square."""
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
