"""Whether the picture has changed enough to be classified again: a still scene need not be classified all the time.

Compares a reduced copy of the part that the network sees with the one of the last change. Changing light brightens or
dims all cells by the same factor; that factor is removed first. Sensor noise changes all cells a little, something
that enters changes few of them much: so the cells that differ most are compared with a threshold that follows the
noise of the median cell. In doubt the picture counts as changed.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lookout.frame import Pixels
from lookout.geometry import Rect

Cells = NDArray[np.float32]

SIDE = 24
# Of each cell this many pixels per side are averaged: all of them would take longer than the rest of the loop.
_PIXELS_A_CELL = 6
_COLOURS = np.full(3, 1.0 / 3.0, np.float32)
# The cells that differ most; a cat of a twelfth of the picture's width and height covers four.
_MAX_CHANGED = 16
_MIDDLE = SIDE * SIDE // 2
# Grey levels of 255. A video repeats the noise of each key frame until the next one, so the median cell sees none: by
# day the most changed cells then differ by 2 to 3. What a network would notice makes a difference of 7 or more.
FLOOR = 4.0
# For normal noise the most changed cells differ 2.5 times as much as the median one, 5 times if bright cells are
# noisier than dark ones.
NOISE_FACTOR = 6.0
# A night so noisy that more would be needed never counts as unchanged.
MAX_NOISE = 2.0
# The noise estimate follows slowly upwards, since that may be something moving, and at once downwards.
_RISE, _FALL = 0.02, 0.2
# A cloud changes a scene's light by up to this factor within seconds; a larger change is classified.
MAX_GAIN = 1.5
# After a change every picture is classified until the smoothed answer has followed.
SETTLE_S = 2.0
# Frames do not arrive exactly when they are due.
_EARLY_S = 0.02


class ChangeGate:
    """Called for every picture that is due for classification. Times are monotonic seconds, passed in."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Another source, model or region: forget what was seen."""
        self._reference: Cells | None = None
        self._previous: Cells | None = None
        self._noise = 0.0
        self._busy_until = float("-inf")
        self._looked_at = float("-inf")
        self.resting = False

    def rests(self, pixels: Pixels, part: Rect, now: float, keep_alive: float) -> bool:
        """Whether this picture may be skipped. keep_alive: classifications per second while nothing changes.

        pixels: uint8, height x width x 3. part: what the network sees of it.
        """
        cells = reduced(pixels, part)
        if self._has_changed(cells):
            self._reference = cells
            self._busy_until = now + SETTLE_S
        self.resting = now >= self._busy_until
        if self.resting and now < self._looked_at + 1.0 / keep_alive - _EARLY_S:
            return True
        self._looked_at = now
        return False

    def _has_changed(self, cells: Cells) -> bool:
        previous, self._previous = self._previous, cells
        if self._reference is None or previous is None:
            return True
        middle = float(np.partition(_difference(cells, previous), _MIDDLE)[_MIDDLE])
        self._noise += (_RISE if middle > self._noise else _FALL) * (middle - self._noise)
        gain = _gain(cells, self._reference)
        if not 1.0 / MAX_GAIN < gain < MAX_GAIN:
            return True
        most = np.partition(_difference(cells, gain * self._reference), -_MAX_CHANGED)[-_MAX_CHANGED:]
        return float(most.mean()) > max(FLOOR, NOISE_FACTOR * min(self._noise, MAX_NOISE))


def reduced(pixels: Pixels, part: Rect) -> Cells:
    """SIDE x SIDE x 3 means of the part, 0..255."""
    height, width = pixels.shape[:2]
    top, left = int(part.y * height), int(part.x * width)
    bottom, right = (
        max(top + 1, round((part.y + part.height) * height)),
        max(left + 1, round((part.x + part.width) * width)),
    )
    side = SIDE * _PIXELS_A_CELL
    sampled = cv2.resize(pixels[top:bottom, left:right], (side, side), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.resize(sampled, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _gain(cells: Cells, reference: Cells) -> float:
    """How much brighter the cells are overall, by least squares. About 1 if there is no light to compare."""
    dark = float(reference.size)  # as much as one grey level everywhere
    return float((np.vdot(cells, reference) + dark) / (np.vdot(reference, reference) + dark))


def _difference(one: Cells, other: Cells) -> Cells:
    """For each cell, over its colours: SIDE * SIDE values."""
    return np.asarray(np.abs(one - other).reshape(-1, 3) @ _COLOURS, np.float32)
