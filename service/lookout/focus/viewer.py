"""A network with a focus: classifies a frame of a fixed scene from the whole region and from one square of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from lookout.focus.focus import Focus, Why
from lookout.frame import Pixels
from lookout.geometry import WHOLE, Rect
from lookout.pipeline.classifier import Classifier, Prediction, Timing


@dataclass(frozen=True, slots=True)
class Viewed:
    """The result for a frame. why: why the part seen was chosen; None if the whole region decided."""

    prediction: Prediction
    why: Why | None = None


class Viewer:
    """Classifies frames, with a focus or without. Owned by the worker; gets each frame that is classified, in order.

    focused: whether to zoom in. If the model has no label for "none of these", an empty part cannot be recognised, so
    that the whole region decides as without a focus.
    """

    def __init__(self, classifier: Classifier, *, focused: bool) -> None:
        self.classifier = classifier
        reject = [label.reject for label in classifier.card.labels]
        has_focus = focused and any(reject) and not all(reject)
        self._focus = Focus(reject, mirror=classifier.card.mirror) if has_focus else None

    @property
    def focused(self) -> bool:
        return self._focus is not None

    @property
    def searching(self) -> bool:
        """Whether the scan of a new scene is in progress, which needs frames although nothing changes."""
        return self._focus is not None and self._focus.searching

    def view(self, pixels: Pixels, region: Rect, now: float) -> Viewed:
        """Classify one frame. pixels: uint8, height x width x 3, blue-green-red. now: its capture in monotonic seconds.

        Raises ModelRejected if the network fails.
        """
        whole = self.classifier.classify(pixels, region)
        if self._focus is None:
            return Viewed(whole)
        part = _part(pixels, region)
        square = self._focus.look(part, whole.probabilities, now)
        close = self._look_closer(part, square, self._focus.mirrored) if square is not None else None
        found = self._focus.conclude(close.probabilities if close else None, now)
        prediction = replace(
            whole,
            probabilities=found.probabilities,
            seen=_within(region, found.square) if found.square is not None else whole.seen,
            timing=_together(whole.timing, close.timing) if close is not None else whole.timing,
        )
        return Viewed(prediction, found.why)

    def _look_closer(self, pixels: Pixels, square: Rect, mirrored: bool) -> Prediction:
        if mirrored:
            return self.classifier.classify(np.asarray(cv2.flip(_part(pixels, square), 1), np.uint8))
        return self.classifier.classify(pixels, square)


def _part(pixels: Pixels, region: Rect) -> Pixels:
    if region == WHOLE:
        return pixels
    height, width = pixels.shape[:2]
    top, left = round(region.y * height), round(region.x * width)
    bottom, right = round((region.y + region.height) * height), round((region.x + region.width) * width)
    return pixels[top : max(top + 1, bottom), left : max(left + 1, right)]


def _within(region: Rect, square: Rect) -> Rect:
    """Convert a square relative to the region into one relative to the picture."""
    return Rect(
        region.x + square.x * region.width,
        region.y + square.y * region.height,
        square.width * region.width,
        square.height * region.height,
    )


def _together(one: Timing, other: Timing) -> Timing:
    return Timing(
        one.preprocess_ms + other.preprocess_ms,
        one.inference_ms + other.inference_ms,
        one.postprocess_ms + other.postprocess_ms,
    )
