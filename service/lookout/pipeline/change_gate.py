"""Decides whether the picture has changed enough to be classified again, so that a still scene costs little.

A reduced copy of the part that the network sees is compared with the copy from the last change. A change of light
brightens or dims all cells by the same factor, which is removed first. Sensor noise changes all cells a little, while
an object that enters changes a few cells a lot; so the cells that differ most are compared with a threshold that
follows the noise of the median cell. In doubt the picture counts as changed.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lookout.frame import Pixels
from lookout.geometry import Rect

Cells = NDArray[np.float32]

SIDE = 24
# Each cell is the mean of this many pixels per side; averaging all pixels would take longer than the rest of the loop.
_PIXELS_A_CELL = 6
_COLOURS = np.full(3, 1.0 / 3.0, np.float32)
# How many of the cells that differ most are averaged; a cat of a twelfth of the picture's width and height covers four.
_MAX_CHANGED = 16
_MIDDLE = SIDE * SIDE // 2
# In grey levels of 255. A video repeats the noise of each key frame until the next one, so the median cell shows none,
# and by day the most changed cells differ by 2 to 3. A change that a network would notice makes a difference of 7 or
# more.
FLOOR = 4.0
# With normally distributed noise, the most changed cells differ 2.5 times as much as the median one; 5 times if bright
# cells are noisier than dark ones.
NOISE_FACTOR = 6.0
# The noise estimate is capped at this, so that a noisier picture, at night, never counts as unchanged.
MAX_NOISE = 2.0
# The noise estimate rises slowly, since the cause may be something moving, and falls ten times as fast.
_RISE, _FALL = 0.02, 0.2
# A cloud changes the light of a scene by up to this factor within seconds; a larger factor counts as a change.
MAX_GAIN = 1.5
# After a change, every picture is classified for this long, until the smoothed answer has followed.
SETTLE_S = 2.0
# Tolerance, because frames do not arrive exactly when they are due.
_EARLY_S = 0.02


class ChangeGate:
    """Gets every picture that is due for classification. Times are monotonic seconds, passed in."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all pictures, because the source, the model or the region has changed."""
        self._reference: Cells | None = None
        self._previous: Cells | None = None
        self._noise = 0.0
        self._busy_until = float("-inf")
        self._looked_at = float("-inf")
        self.resting = False

    def rests(self, pixels: Pixels, part: Rect, now: float, keep_alive: float) -> bool:
        """Whether this picture may be skipped. keep_alive: classifications per second while nothing changes.

        pixels: uint8, height x width x 3. part: the part of it that the network sees.
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
    """The factor by which the cells are brighter, by least squares; about 1 if both are dark."""
    dark = float(reference.size)  # regularisation: as much as one grey level in every cell
    return float((np.vdot(cells, reference) + dark) / (np.vdot(reference, reference) + dark))


def _difference(one: Cells, other: Cells) -> Cells:
    """The absolute difference of each cell, averaged over its colours: SIDE * SIDE values."""
    return np.asarray(np.abs(one - other).reshape(-1, 3) @ _COLOURS, np.float32)
