"""The repeat detector: a live camera that shows the same pictures again and again has a stuck driver."""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lookout.frame import Frame

MEMORY = 64  # frames looked back: finds buffers that loop with up to this many pictures
MIN_FRAMES = 10  # frames: fewer may be a coincidence of compression
ROW_STEP = 8  # every eighth row is looked at: enough to tell pictures with sensor noise apart
UNIFORM = 2.0  # standard deviation, 0..255: a covered lens or a dark night really looks the same each time


def mark_of(pixels: NDArray[np.uint8]) -> int:
    """A checksum by which pictures of one source are known again, 0 to 2**32 - 1; of as many dimensions as it likes."""
    return zlib.crc32(pixels[::ROW_STEP].tobytes())


class RepeatDetector:
    """Says whether a live source is stuck, from the frames alone; no clock of its own.

    stale_after_s: seconds during which every frame must have been seen before.
    """

    def __init__(self, stale_after_s: float) -> None:
        self._stale_after_s = stale_after_s
        self.reset()

    def reset(self) -> None:
        """Forget everything: the source was reopened."""
        self._recent: deque[int] = deque(maxlen=MEMORY)
        self._new_at: float | None = None
        self._repeats = 0
        self._wanted = 0

    def doubt(self) -> None:
        """It was reopened because it was stuck: the one picture it starts with proves nothing, only a second does."""
        self._wanted = 2

    @property
    def doubted(self) -> bool:
        """Whether what it shows is not to be believed yet."""
        return self._wanted > 0

    def see(self, frame: Frame) -> bool:
        """Look at the next frame; True while the source is stuck.

        That is when for `stale_after_s` seconds of capture time, and for at least MIN_FRAMES frames, every frame was
        among the last MEMORY ones, and the picture is not nearly uniform.
        """
        mark = mark_of(frame.pixels) if frame.mark is None else frame.mark
        known = mark in self._recent
        self._recent.append(mark)
        if not known or self._new_at is None or _nearly_uniform(frame):
            self._new_at, self._repeats = frame.captured_at, 0
            self._wanted = max(0, self._wanted - 1)
            return False
        self._repeats += 1
        return self._repeats >= MIN_FRAMES and frame.captured_at - self._new_at >= self._stale_after_s


def _nearly_uniform(frame: Frame) -> bool:
    return float(frame.pixels[::ROW_STEP, ::ROW_STEP].std()) < UNIFORM
