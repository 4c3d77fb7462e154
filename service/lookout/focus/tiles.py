"""The tiles of the scan, and squares to zoom in on, as shares of the picture."""

from __future__ import annotations

import functools

from lookout.geometry import Rect

# For each size of tile: its side as a share of the picture's shorter side, and the distance between two tiles as a
# share of the tile's side.
_SIZES = ((0.5, 0.5), (0.36, 0.55))
# The golden ratio: a step of this share through the tiles makes successive tiles distant, whatever their number.
_GOLDEN = 0.618


@functools.lru_cache(maxsize=8)
def scan_tiles(width: int, height: int) -> tuple[Rect, ...]:
    """Return overlapping squares of about a half and a third of the shorter side, in the order of the scan.

    width, height: the picture's, in pixels.
    """
    found: list[Rect] = []
    for size, step in _SIZES:
        side = size * min(width, height)
        tiles = [
            Rect(x / width, y / height, side / width, side / height)
            for y in _starts(height, side, step)
            for x in _starts(width, side, step)
        ]
        found += _spread(tiles)
    return tuple(found)


def _starts(length: int, side: float, step: float) -> list[float]:
    count = max(1, round((length - side) / (step * side)) + 1)
    return [(length - side) * n / max(1, count - 1) for n in range(count)]


def _spread(tiles: list[Rect]) -> list[Rect]:
    stride = max(1, round(_GOLDEN * len(tiles)))
    while stride > 1 and _divides(stride, len(tiles)):
        stride -= 1
    return [tiles[n * stride % len(tiles)] for n in range(len(tiles))]


def _divides(stride: int, count: int) -> bool:
    """Whether `stride` and `count` have a common divisor, so that steps of `stride` would not visit every tile."""
    while stride:
        count, stride = stride, count % stride
    return count > 1


def square_around(box: Rect, width: int, height: int, *, margin: float, smallest: float) -> Rect:
    """Return a square of `margin` times the box's longer side, around its middle, moved and shrunk to fit the picture.

    width, height: the picture's, in pixels. smallest: the minimum side in pixels.
    """
    side = max(margin * max(box.width * width, box.height * height), smallest)
    side = min(side, width, height)
    left = min(max(0.0, (box.x + box.width / 2) * width - side / 2), width - side)
    top = min(max(0.0, (box.y + box.height / 2) * height - side / 2), height - side)
    return Rect(left / width, top / height, side / width, side / height)


def overlap(one: Rect, other: Rect) -> float:
    """Intersection over union, 0..1."""
    inner = _common(one, other)
    return inner / (one.width * one.height + other.width * other.height - inner)


def covered(one: Rect, other: Rect) -> float:
    """The share of `one` that is in `other`, 0..1."""
    return _common(one, other) / (one.width * one.height)


def _common(one: Rect, other: Rect) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(0.0, width) * max(0.0, height)
