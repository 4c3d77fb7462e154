"""Parts of a picture, and where they move when the picture is rotated or mirrored."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rect:
    """A part of a picture, normalised to 0..1: upper left corner, width and height."""

    x: float = 0.0
    y: float = 0.0
    width: float = 1.0
    height: float = 1.0


WHOLE = Rect()


def carried(region: Rect, *, before: tuple[int, str], after: tuple[int, str]) -> Rect:
    """Return the region of the newly oriented picture that shows what `region` showed before.

    before, after: degrees clockwise (0, 90, 180, 270) and flip ("none", "horizontal", "vertical", "both"), the
    rotation applied first.
    """
    rotate, flip = before
    raw = _rotated(_flipped(region, flip), -rotate)  # a flip is its own inverse
    rotate, flip = after
    return _flipped(_rotated(raw, rotate), flip)


def _rotated(r: Rect, degrees: int) -> Rect:
    for _ in range(degrees // 90 % 4):
        r = Rect(x=1.0 - r.y - r.height, y=r.x, width=r.height, height=r.width)
    return r


def _flipped(r: Rect, flip: str) -> Rect:
    x = 1.0 - r.x - r.width if flip in ("horizontal", "both") else r.x
    y = 1.0 - r.y - r.height if flip in ("vertical", "both") else r.y
    return Rect(x, y, r.width, r.height)
