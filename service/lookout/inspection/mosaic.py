"""Many small pictures of one size as one: filters and feature maps."""

from __future__ import annotations

import math

import numpy as np

from lookout.frame import Pixels

_BACKGROUND = 255


def columns_of(count: int) -> int:
    """How many columns make this many tiles nearly a square."""
    return math.ceil(math.sqrt(count))


def mosaic(tiles: Pixels, *, scale: int = 1, gap: int = 0) -> Pixels:
    """Tiles (uint8, count x height x width, perhaps x 3; at least one) row by row on white, uint8.

    scale: each number becomes a square of this many pixels. gap: pixels between the tiles and around them.
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
