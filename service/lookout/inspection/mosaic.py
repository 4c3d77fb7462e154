"""Mosaics: many small pictures of one size, such as filters or feature maps, as one picture."""

from __future__ import annotations

import math

import numpy as np

from lookout.frame import Pixels

_BACKGROUND = 255


def columns_of(count: int) -> int:
    """The number of columns that arranges this many tiles almost as a square."""
    return math.ceil(math.sqrt(count))


def mosaic(tiles: Pixels, *, scale: int = 1, gap: int = 0) -> Pixels:
    """Arrange tiles (uint8, count x height x width, optionally x 3; at least one) row by row on white.

    scale: each value becomes a square with this many pixels a side. gap: pixels between and around the tiles.
    """
    large = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    count, height, width = large.shape[:3]
    columns = columns_of(count)
    rows = math.ceil(count / columns)
    step_down, step_right = height + gap, width + gap
    picture = np.full((rows * step_down + gap, columns * step_right + gap, *large.shape[3:]), _BACKGROUND, np.uint8)
    for index, tile in enumerate(large):
        top, left = index // columns * step_down + gap, index % columns * step_right + gap
        picture[top : top + height, left : left + width] = tile
    return picture
