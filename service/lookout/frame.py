"""A frame, parts of it, and the deadline by which it must arrive: plain data, standard library alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One upright picture.

    pixels: contiguous uint8, height x width x 3, blue-green-red, never written to once published. They may lie in
        memory shared with the camera's process, which writes there again when no array shows them any more.
    captured_at: seconds on the monotonic clock when the light was caught, as near as the source can tell.
    sequence: counts frames, dropped ones included: a camera's from 0 each time it opens, the service's on and on.
    source: the address the frame came from, without credentials.
    mark: a checksum of the picture as the camera delivered it, from the camera's process; None: not taken yet.
    """

    pixels: NDArray[np.uint8]
    captured_at: float
    sequence: int
    source: str
    mark: int | None = None

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])


@dataclass(frozen=True, slots=True)
class Rect:
    """A part of a picture, normalised to 0..1: upper left corner, width and height."""

    x: float = 0.0
    y: float = 0.0
    width: float = 1.0
    height: float = 1.0


WHOLE = Rect()


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock by which a blocking call returns."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self.at
