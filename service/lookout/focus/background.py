"""The background of a fixed scene, learnt slowly at low resolution; and the parts of a picture that differ from it.

The background follows changes of light at once (light.py) and small differences within seconds. It absorbs larger
differences by one grey level per second, so that a moved chair becomes part of it after a minute or two, but a
passer-by never does. Constant motion (leaves, a television) raises the threshold of its own cells. Parts that the
caller protects, such as a sleeping animal, are exempt from all of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lookout.focus.light import gain_between
from lookout.frame import Pixels
from lookout.geometry import Rect

Floats = NDArray[np.float32]
Mask = NDArray[np.uint8]

# Cells along the longer side; an animal of a seventh of the picture's height is ten cells high.
LONGER_SIDE = 128
# A cell counts as changed if it differs by more than this many grey levels, than this multiple of the picture's median
# difference, ...
FLOOR, NOISE_FACTOR = 14.0, 5.0
# ... and than this multiple of its own average difference.
UNREST_FACTOR = 2.5
# Shares of the picture: a change of less than the first is noise, one of more than the second another light or view.
MIN_CHANGED, MAX_CHANGED = 0.004, 0.6
# Seconds until another view is accepted, to learn a new background, and for small differences to become part of it.
UPSET_S, LEARN_S, DRIFT_S = 0.7, 1.5, 8.0
# Time constant of a cell's average difference, in seconds.
UNREST_S = 45.0
# Seconds between two updates; slow learning does not need every picture.
LEARN_EVERY_S = 0.45
# Grey levels per second by which differences become part of the background.
ABSORB_PER_S = 1.0
# More than this many new backgrounds within this many seconds mean that the camera is moving; it counts as moving for
# the last number of seconds.
MOVES, MOVES_WITHIN_S, MOVING_S = 3, 20.0, 10.0
# The camera was bumped if the whole view is shifted by at least this many cells, with more than this response of the
# phase correlation. Checked if more than this share of the picture differs, at most once in this many seconds.
_SHIFT, _SHIFT_SURE, _SHIFT_SHARE, _SHIFT_EVERY_S = 0.7, 0.4, 0.03, 1.0
# Kernels that close gaps within one animal and drop specks.
_CLOSE, _OPEN = np.ones((9, 9), np.uint8), np.ones((2, 2), np.uint8)


@dataclass(frozen=True, slots=True)
class Part:
    """A connected part that differs. box: its bounding box; share: its area as a share of the picture's."""

    box: Rect
    share: float


class Background:
    """The background model. Gets every picture that is classified, in order. Times are monotonic seconds, passed in."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, because the source or the region has changed."""
        self._cells: Floats | None = None
        self._unrest: Floats | None = None
        self._at = self._learnt_at = self._learning_until = self._moving_until = float("-inf")
        self._upset_since: float | None = None
        self._shift_at = float("-inf")
        self._renewed: list[float] = []

    @property
    def known(self) -> bool:
        return self._cells is not None and self._at >= self._learning_until

    @property
    def moving(self) -> bool:
        """Whether the camera itself moves, so that no background applies."""
        return self._at < self._moving_until

    @property
    def renewed_at(self) -> float:
        """When the current background was started; -inf if there is none."""
        return self._renewed[-1] if self._renewed else float("-inf")

    def changed(self, pixels: Pixels, now: float, protected: Sequence[Rect] = ()) -> tuple[Part, ...]:
        """Return the parts of the picture that differ, the largest first; none while the background is being learnt.

        pixels: uint8, height x width x 3. protected: parts of the picture that must not be learnt.
        """
        cells = _reduced(pixels)
        passed, self._at = now - self._at, now
        if self._cells is None or self._unrest is None or self._cells.shape != cells.shape:
            self._begin(cells, now)
            return ()
        if now < self._learning_until:
            cv2.accumulateWeighted(cells, self._cells, min(1.0, passed / LEARN_S))
            return ()
        difference = _largest(cv2.absdiff(cells, self._cells))
        if cv2.minMaxLoc(difference)[1] > FLOOR:  # otherwise there is no change of light to correct for
            lit = self._cells * gain_between(cells, self._cells)
            difference = _largest(cv2.absdiff(cells, lit))
        mask = self._mask(difference)
        share = cv2.countNonZero(mask) / mask.size
        if self._is_upset(share, cells, now):
            self._begin(cells, now)
            return ()
        if now >= self._learnt_at + LEARN_EVERY_S:
            self._learn(cells, difference, mask, min(now - self._learnt_at, 1.0), _held(mask.shape, protected))
            self._learnt_at = now
        return _parts(mask) if MIN_CHANGED <= share < MAX_CHANGED else ()

    def _begin(self, cells: Floats, now: float) -> None:
        self._cells = cells.copy()
        self._unrest = np.zeros(cells.shape[:2], np.float32)
        self._learning_until = self._learnt_at = now + LEARN_S
        self._upset_since = None
        self._renewed = [*(at for at in self._renewed if at > now - MOVES_WITHIN_S), now]
        if len(self._renewed) > MOVES:
            self._moving_until = now + MOVING_S

    def _mask(self, difference: Floats) -> Mask:
        assert self._unrest is not None
        smooth = cv2.blur(difference, (3, 3))
        middle = float(np.partition(smooth[::4, ::4].ravel(), smooth[::4, ::4].size // 2)[smooth[::4, ::4].size // 2])
        limit = np.maximum(np.float32(max(FLOOR, NOISE_FACTOR * middle)), self._unrest * np.float32(UNREST_FACTOR))
        mask = np.asarray(cv2.compare(smooth, limit, cv2.CMP_GT), np.uint8)
        mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _OPEN), np.uint8)
        return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _CLOSE), np.uint8)

    def _is_upset(self, share: float, cells: Floats, now: float) -> bool:
        """Whether this is another view: too much has differed for UPSET_S, or the whole view is shifted."""
        if share > MAX_CHANGED:
            self._upset_since = now if self._upset_since is None else self._upset_since
            return now - self._upset_since >= UPSET_S
        self._upset_since = None
        return share > _SHIFT_SHARE and self._is_shifted(cells, now)

    def _is_shifted(self, cells: Floats, now: float) -> bool:
        if now < self._shift_at + _SHIFT_EVERY_S:
            return False
        self._shift_at = now
        assert self._cells is not None
        one, other = (cv2.cvtColor(each, cv2.COLOR_BGR2GRAY) for each in (cells, self._cells))
        window = cv2.createHanningWindow((one.shape[1], one.shape[0]), cv2.CV_32F)
        (x, y), response = cv2.phaseCorrelate(other, one, window)  # the scene outweighs anything that moves in it
        return response > _SHIFT_SURE and max(abs(x), abs(y)) >= _SHIFT

    def _learn(self, cells: Floats, difference: Floats, mask: Mask, passed: float, held: Mask | None) -> None:
        assert self._cells is not None
        assert self._unrest is not None
        free = np.full(mask.shape, 255, np.uint8) if held is None else cv2.bitwise_not(held)
        cv2.accumulateWeighted(difference, self._unrest, min(1.0, passed / UNREST_S), free)
        same = cv2.bitwise_and(free, cv2.bitwise_not(mask))
        cv2.accumulateWeighted(cells, self._cells, min(1.0, passed / DRIFT_S), same)
        step = ABSORB_PER_S * passed
        towards = np.clip(cells - self._cells, -step, step)
        cv2.accumulate(towards, self._cells, cv2.bitwise_and(free, mask))


def _reduced(pixels: Pixels) -> Floats:
    """Reduce to LONGER_SIDE cells along the longer side, float32, 0..255. Uses a sample of the pixels, for speed."""
    height, width = pixels.shape[:2]
    scale = LONGER_SIDE / max(height, width)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    sampled = cv2.resize(pixels, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.resize(sampled, size, interpolation=cv2.INTER_AREA), np.float32)


def _largest(difference: object) -> Floats:
    """The maximum over the three colours of each cell."""
    assert isinstance(difference, np.ndarray)
    blue, green, red = cv2.split(difference)
    return np.asarray(cv2.max(cv2.max(blue, green), red), np.float32)


def _held(shape: tuple[int, ...], protected: Sequence[Rect]) -> Mask | None:
    if not protected:
        return None
    held = np.zeros(shape, np.uint8)
    for part in protected:
        top, left = int(part.y * shape[0]), int(part.x * shape[1])
        bottom, right = (
            int(np.ceil((part.y + part.height) * shape[0])),
            int(np.ceil((part.x + part.width) * shape[1])),
        )
        held[top:bottom, left:right] = 255
    return held


def _parts(mask: Mask) -> tuple[Part, ...]:
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    rows, columns = mask.shape
    found = [
        Part(Rect(x / columns, y / rows, width / columns, height / rows), area / mask.size)
        for x, y, width, height, area in stats[1:count].tolist()
        if area >= MIN_CHANGED * mask.size
    ]
    return tuple(sorted(found, key=lambda part: -part.share))
