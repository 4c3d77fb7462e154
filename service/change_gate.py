"""Whether the picture has changed enough to be looked at again: a still scene need not be classified all the time.

Compares a reduction of the part that the network sees with the one from when the scene came to rest. Sensor noise
moves all cells a little, something that enters moves few of them much: so the cells that differ most are held against
a threshold that follows the noise of the middle cell. In doubt the picture counts as changed.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from service.frame import Rect

Pixels = NDArray[np.uint8]
Cells = NDArray[np.float32]

SIDE = 24
# Only every so manieth pixel is averaged: at least this many a side are left for each cell's side.
_PIXELS_A_CELL = 4
# The cells that differ most; a cat of a twelfth of the picture's width and height covers four.
_MOST_CHANGED = 16
# Grey levels of 255. Below the floor nothing that a network would notice happens.
FLOOR = 2.0
# For normal noise the most changed cells differ 2.5 times as much as the middle one.
NOISE_FACTOR = 4.0
# A night so noisy that more would be needed is never called unchanged.
MOST_NOISE = 2.0
# Noise is believed slowly when it rises, since that may be something moving, and at once when it falls.
_RISE, _FALL = 0.02, 0.2
# After a change the picture is looked at as often as ever, until the smoothed answer has followed.
SETTLE_S = 2.0
# Frames do not come at the very moment they are due.
_EARLY_S = 0.02


class ChangeGate:
    """Asked about every picture that is due for classification. Times are monotonic seconds, passed in."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Another source, model or region: what was seen says nothing."""
        self._reference: Cells | None = None
        self._previous: Cells | None = None
        self._noise = 0.0
        self._busy_until = float("-inf")
        self._looked_at = float("-inf")
        self.resting = False

    def rests(self, pixels: Pixels, part: Rect, now: float, keep_alive: float) -> bool:
        """Whether this picture may be left out. keep_alive: classifications a second while nothing changes.

        pixels: uint8, height x width x 3. part: what of it the network sees.
        """
        cells = reduced(pixels, part)
        if self._has_changed(cells):
            self._busy_until = now + SETTLE_S
        self.resting = now >= self._busy_until
        if not self.resting:
            self._reference = cells
        if self.resting and now < self._looked_at + 1.0 / keep_alive - _EARLY_S:
            return True
        self._looked_at = now
        return False

    def _has_changed(self, cells: Cells) -> bool:
        previous, self._previous = self._previous, cells
        if self._reference is None or previous is None:
            return True
        middle = float(np.median(_difference(cells, previous)))
        self._noise += (_RISE if middle > self._noise else _FALL) * (middle - self._noise)
        most = np.partition(_difference(cells, self._reference).ravel(), -_MOST_CHANGED)[-_MOST_CHANGED:]
        return float(most.mean()) > max(FLOOR, NOISE_FACTOR * min(self._noise, MOST_NOISE))


def reduced(pixels: Pixels, part: Rect) -> Cells:
    """SIDE x SIDE x 3 means of the part, 0..255."""
    height, width = pixels.shape[:2]
    top, left = int(part.y * height), int(part.x * width)
    bottom, right = (
        max(top + 1, round((part.y + part.height) * height)),
        max(left + 1, round((part.x + part.width) * width)),
    )
    step = max(1, min(bottom - top, right - left) // (SIDE * _PIXELS_A_CELL))
    sampled = np.ascontiguousarray(pixels[top:bottom:step, left:right:step])
    return np.asarray(cv2.resize(sampled, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _difference(one: Cells, other: Cells) -> Cells:
    """Of each cell, over its colours."""
    return np.asarray(np.abs(one - other).mean(axis=2), np.float32)
