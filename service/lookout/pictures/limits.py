"""The limits for decoding a picture, and the result. This module does not load NumPy or OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The user's own files may be larger than uploads; they are mapped and not read, so this only excludes absurd sizes.
MAX_FILE_BYTES = 512 * 2**20
# For pictures that no setting limits: a camera's, or those of a folder as a source. Uploads have upload.max_pixels.
MAX_SOURCE_PIXELS = 50_000_000
# Twice the side of a 96-pixel network; reducing further while decoding would lose detail that the network can use.
MIN_SIDE = 2 * 96
# By default, with the decoding process itself (20 MB) and three bodies of upload.max_bytes (36 MB), 150 MB in total. A
# JPEG is decoded at a fraction of its size; other formats take 3 bytes per pixel, or 4 with transparency.
_BYTES_PER_PIXEL_ALLOWED = 1.8
_MIN_MEMORY = 32 * 2**20


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The limits for one picture. The defaults are for cameras; uploads are limited by their settings.

    max_bytes: of the file. max_pixels: by its header. min_side: the minimum of the short side when a large picture is
    reduced by 2, 4 or 8.
    """

    max_bytes: int = MAX_FILE_BYTES
    max_pixels: int = MAX_SOURCE_PIXELS
    min_side: int = MIN_SIDE

    @property
    def memory(self) -> int:
        """The bytes that decoding may take, including the finished picture."""
        return max(_MIN_MEMORY, int(self.max_pixels * _BYTES_PER_PIXEL_ALLOWED))


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An upright picture from outside.

    pixels: contiguous uint8, height x width x 3, blue-green-red; perhaps reduced by 2, 4 or 8.
    width, height: pixels of the upright original, before that reduction.
    format: "JPEG", "PNG", "WebP", "BMP", "TIFF" or "GIF".
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    format: str
