"""Detects repeated pictures: a live camera that delivers the same ones over and over has a stuck driver."""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lookout.frame import Frame

MEMORY = 64  # frames remembered, to find loops of up to this many pictures
MIN_FRAMES = 10  # fewer equal frames may be a coincidence of compression
ROW_STEP = 8  # every eighth row is compared, enough to distinguish pictures with sensor noise
UNIFORM = 2.0  # standard deviation, 0..255; with a covered lens or at night, all pictures really look the same


def mark_of(pixels: NDArray[np.uint8]) -> int:
    """A checksum that identifies a source's pictures, 0 to 2**32 - 1. The array may have any number of dimensions."""
    return zlib.crc32(pixels[::ROW_STEP].tobytes())


class RepeatDetector:
    """Detects from the frames whether a live source is stuck. It uses only their capture times, no clock of its own.

    stale_after_s: seconds during which every frame must have been seen before.
    doubted: whether the source's pictures cannot be trusted yet.
    """

    def __init__(self, stale_after_s: float) -> None:
        self._stale_after_s = stale_after_s
        self.reset()

    def reset(self) -> None:
        """Forget everything, because the source was reopened."""
        self._recent: deque[int] = deque(maxlen=MEMORY)
        self._new_at: float | None = None
        self._repeats = 0
        self._wanted = 0
        self.doubted = False

    def doubt(self) -> None:
        """Trust the source, reopened after it was stuck, only once a second, different picture has come."""
        self._wanted = 2
        self.doubted = True

    def see(self, frame: Frame) -> bool:
        """Check the next frame. Returns True while the source is stuck.

        The source is stuck if, for `stale_after_s` seconds of capture time and at least MIN_FRAMES frames, every frame
        equals one of the last MEMORY frames, and the picture is not nearly uniform.
        """
        mark = mark_of(frame.pixels) if frame.mark is None else frame.mark
        known = mark in self._recent
        self._recent.append(mark)
        if not known or self._new_at is None or _nearly_uniform(frame):
            self._new_at, self._repeats = frame.captured_at, 0
            if self.doubted:
                self._wanted -= 1
                self.doubted = self._wanted > 0
            return False
        self._repeats += 1
        return self._repeats >= MIN_FRAMES and frame.captured_at - self._new_at >= self._stale_after_s


def _nearly_uniform(frame: Frame) -> bool:
    return float(frame.pixels[::ROW_STEP, ::ROW_STEP].std()) < UNIFORM
