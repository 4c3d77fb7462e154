"""Pictures of events: copied and scaled down while the frame exists, encoded when the event ends."""

from __future__ import annotations

import time
from dataclasses import dataclass

import cv2
import numpy as np

from lookout.frame import Pixels
from lookout.geometry import Rect

WIDTH, THUMBNAIL_WIDTH = 640, 160
_QUALITY, _THUMBNAIL_QUALITY = 80, 60
# The part that the network saw, large enough for any of the models to analyse it again.
_MAX_SEEN_SIDE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A copy of the best frame. picture: at most 640 wide. part: what the network saw of it. seen: its position."""

    probability: float
    picture: Pixels
    part: Pixels
    seen: Rect
    focus: str | None = None


def shot_of(pixels: Pixels, seen: Rect, probability: float, focus: str | None = None) -> Shot:
    """Copy a frame, so that its memory can be released. pixels: uint8, height x width x 3, blue-green-red."""
    height, width = pixels.shape[:2]
    left, top = round(seen.x * width), round(seen.y * height)
    right = max(left + 1, round((seen.x + seen.width) * width))
    bottom = max(top + 1, round((seen.y + seen.height) * height))
    part = _shrunk(pixels[top:bottom, left:right], _MAX_SEEN_SIDE)
    return Shot(probability, _shrunk(pixels, WIDTH), part, seen, focus)


def _shrunk(pixels: Pixels, width: int) -> Pixels:
    if pixels.shape[1] <= width:
        return pixels.copy()
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def jpeg(shot: Shot) -> bytes:
    """Return the snapshot, at most 640 pixels wide."""
    return _encoded(".jpg", shot.picture, cv2.IMWRITE_JPEG_QUALITY, _QUALITY)


def webp(shot: Shot) -> bytes:
    """Return the thumbnail, 160 pixels wide."""
    return _encoded(".webp", _shrunk(shot.picture, THUMBNAIL_WIDTH), cv2.IMWRITE_WEBP_QUALITY, _THUMBNAIL_QUALITY)


def _encoded(ending: str, pixels: Pixels, option: int, quality: int) -> bytes:
    good, data = cv2.imencode(ending, pixels, (option, quality))
    if not good:
        raise ValueError(f"{ending} cannot be encoded")
    return data.tobytes()


def is_quiet(hours: str, wall: float) -> bool:
    """Whether these are quiet hours. hours: as in `events.quiet`, in the machine's time zone; wall: Unix seconds."""
    if not hours:
        return False
    begin, end = (int(part[:2]) * 60 + int(part[3:]) for part in hours.split("-"))
    local = time.localtime(wall)
    minute = local.tm_hour * 60 + local.tm_min
    return begin <= minute < end if begin <= end else minute >= begin or minute < end
