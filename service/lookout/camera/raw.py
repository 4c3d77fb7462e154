"""Pictures as the camera's library delivers them, before any conversion. Needs only NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lookout.deadline import Deadline


@dataclass(frozen=True, slots=True, eq=False)
class RawFrame:
    """Pixels in the delivered format, and the conversions left to make a `Frame` of them.

    pixels: uint8, one to three dimensions, as for `convert.to_bgr`. format: one of `convert.FORMATS`.
    width, height: of the picture in it, in pixels, before rotating.
    captured_at, sequence: as in `Frame`.
    rotate, flip: as in `CameraOptions`, without what the camera has done itself.
    mark: as in `Frame`.
    """

    pixels: NDArray[np.uint8]
    format: str
    width: int
    height: int
    captured_at: float
    sequence: int
    rotate: int = 0
    flip: str = "none"
    mark: int | None = None


@runtime_checkable
class RawSource(Protocol):
    """A source that can leave the conversion to another process."""

    def read_raw(self, deadline: Deadline) -> RawFrame:
        """Like `Camera.read`, but without conversion."""
        ...
