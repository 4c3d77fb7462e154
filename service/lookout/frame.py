"""A frame: plain data that needs nothing but the standard library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# uint8, height x width x 3, blue-green-red unless a name says otherwise. A string, so that NumPy is not imported.
Pixels: TypeAlias = "NDArray[np.uint8]"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One upright picture.

    pixels: contiguous uint8, height x width x 3, blue-green-red, never written to once published. They may lie in
            memory shared with the camera's process, which reuses it once no array refers to it.
    captured_at: seconds on the monotonic clock at which the light was captured, as precisely as the source knows.
    sequence: counts frames, dropped ones included: a camera's from 0 each time it opens, the service's without reset.
    source: the address the frame came from, without credentials.
    mark: a checksum of the picture as the camera delivered it, from the camera's process; None: not computed yet.
    """

    pixels: Pixels
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
