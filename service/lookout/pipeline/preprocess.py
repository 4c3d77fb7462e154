"""From an upright picture to the network's input tensor: region, crop, resize, colour order, scale.

Serving, uploads and the evaluation in training all use `preprocess`, so they cannot drift apart.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lookout.frame import Pixels
from lookout.geometry import WHOLE, Rect
from lookout.pipeline.card import InputSpec

Tensor = NDArray[np.uint8] | NDArray[np.float32]

# Area averaging of a large picture takes as long as the network (4 ms for 1080 x 1080); halving, for which OpenCV has
# vector code, takes a tenth of that. So large pictures are halved first, to no less than this multiple of the network's
# side, which leaves the quality to the last step.
_KEEP = 2
# For these factors, a box filter sampled at every third or fifth pixel gives the same result as area averaging in half
# the time: 65 instead of 145 microseconds for 480 x 480 to 96 x 96, the centre crop of most cameras' frames.
_BOX_FACTORS = (3, 5)
# Frames and uploads have threads of their own; OpenCV's would make every resize wait for a busy core.
cv2.setNumThreads(1)
# Letterbox bars: middle grey, as far from black as from white.
_BAR = 128


@dataclass(frozen=True, slots=True)
class _Box:
    """A part of a picture in whole pixels."""

    x: int
    y: int
    width: int
    height: int

    def of(self, pixels: Pixels) -> Pixels:
        return pixels[self.y : self.y + self.height, self.x : self.x + self.width]


def new_tensor(spec: InputSpec) -> Tensor:
    """An input tensor of the spec's shape and type for `preprocess` to fill."""
    return np.empty(spec.shape, np.uint8) if spec.dtype == "uint8" else np.empty(spec.shape, np.float32)


def preprocess(pixels: Pixels, spec: InputSpec, out: Tensor, region: Rect = WHOLE) -> Rect:
    """Fill `out` with the network's input for a picture, and return the part of the picture that it shows.

    pixels: uint8, height x width x 3, blue-green-red, upright.
    spec: the card's input; its `shape` and `dtype` are those of `out`, which the caller owns and may reuse.
    region: the requested part of the picture.
    The part returned is the region without what the crop to the network's aspect ratio cuts off.
    """
    small, seen = picture_seen(pixels, spec, region)
    if spec.dtype == "uint8" and spec.layout == "NHWC" and spec.color == "rgb":
        cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=out[0])  # the common case writes its result in place
    else:
        _fill(out, _recolor(small, spec.color), spec)
    return seen


def picture_seen(pixels: Pixels, spec: InputSpec, region: Rect = WHOLE) -> tuple[Pixels, Rect]:
    """Return what the network sees, as a picture (blue-green-red, at its input size), and the part that it shows."""
    height, width = pixels.shape[:2]
    box, halvings, seen = _seen_box(width, height, region, spec.width, spec.height, spec.resize, spec.interpolation)
    return _resize(box.of(pixels), spec, halvings), seen


@functools.lru_cache(maxsize=16)  # a camera's frames are all of one size
def _seen_box(
    width: int, height: int, region: Rect, out_width: int, out_height: int, resize: str, interpolation: str
) -> tuple[_Box, int, Rect]:
    """For a picture of this size: the box used in pixels, the number of halvings, and the box in shares."""
    box = _region_box(width, height, region)
    if resize == "crop":
        box = _centre_crop(box, out_width / out_height)
    halvings = _halvings(box, out_width, out_height, interpolation)
    # The box is cut to a multiple of 2 ** halvings; the few pixels lost are reported as not seen.
    box = _centred(box, box.width >> halvings << halvings, box.height >> halvings << halvings)
    return box, halvings, Rect(box.x / width, box.y / height, box.width / width, box.height / height)


def _halvings(box: _Box, width: int, height: int, interpolation: str) -> int:
    factor = min(box.width / (width * _KEEP), box.height / (height * _KEEP))
    halvings = max(0, int(factor).bit_length() - 1)
    kept = halvings - 1
    if kept >= 0 and interpolation == "area" and (box.width, box.height) == (5 * width << kept, 5 * height << kept):
        return kept  # stop at exactly five times the size, which has a fast path, rather than at two and a half
    return halvings


def _region_box(width: int, height: int, region: Rect) -> _Box:
    left, right = _span(region.x, region.width, width)
    top, bottom = _span(region.y, region.height, height)
    return _Box(left, top, right - left, bottom - top)


def _span(start: float, length: float, pixels: int) -> tuple[int, int]:
    """A part of a side as whole pixels (first, end); if it is less than one, the pixel that contains its middle."""
    first, end = round(start * pixels), min(round((start + length) * pixels), pixels)
    if first >= end:
        first = min(int((start + length / 2) * pixels), pixels - 1)
        end = first + 1
    return first, end


def _centre_crop(box: _Box, aspect: float) -> _Box:
    """The largest centred part with the given aspect ratio (width / height)."""
    width = min(box.width, round(box.height * aspect))
    height = min(box.height, round(box.width / aspect))
    return _centred(box, max(1, width), max(1, height))


def _centred(box: _Box, width: int, height: int) -> _Box:
    return _Box(box.x + (box.width - width) // 2, box.y + (box.height - height) // 2, width, height)


def _resize(part: Pixels, spec: InputSpec, halvings: int) -> Pixels:
    for _ in range(halvings):
        size = (part.shape[1] // 2, part.shape[0] // 2)
        part = _as_pixels(cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    if spec.resize == "letterbox":
        return _letterbox(part, spec)
    return _to_size(part, spec.width, spec.height, spec.interpolation)


def _to_size(part: Pixels, width: int, height: int, interpolation: str) -> Pixels:
    if part.shape[:2] == (height, width):
        return part
    # Area averaging only makes sense for shrinking; enlarging interpolates.
    if interpolation != "area" or part.shape[1] < width or part.shape[0] < height:
        return _as_pixels(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR))
    for factor in _BOX_FACTORS:
        if part.shape[:2] == (factor * height, factor * width):
            means = cv2.blur(part, (factor, factor), anchor=(0, 0))  # of each pixel and those to its right and below
            return _as_pixels(cv2.resize(means, (width, height), interpolation=cv2.INTER_NEAREST))
    return _as_pixels(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA))


def _letterbox(part: Pixels, spec: InputSpec) -> Pixels:
    """The whole part, keeping its aspect ratio, centred on grey bars."""
    height, width = part.shape[:2]
    ratio = min(spec.width / width, spec.height / height)
    inner_width, inner_height = max(1, round(width * ratio)), max(1, round(height * ratio))
    canvas = np.full((spec.height, spec.width, 3), _BAR, np.uint8)
    left, top = (spec.width - inner_width) // 2, (spec.height - inner_height) // 2
    inner = _to_size(part, inner_width, inner_height, spec.interpolation)
    canvas[top : top + inner_height, left : left + inner_width] = inner
    return canvas


def _recolor(small: Pixels, color: str) -> Pixels:
    """Convert blue-green-red to the card's colour order; gray becomes height x width x 1."""
    if color == "rgb":
        return _as_pixels(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
    if color == "gray":
        return _as_pixels(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY))[:, :, None]
    return small


def _fill(out: Tensor, picture: Pixels, spec: InputSpec) -> None:
    """Write the picture to `out`, scaled and normalised unless the graph does that, in the axis order of the graph."""
    values: NDArray[np.uint8] | NDArray[np.float32] = picture
    if spec.dtype == "float32":
        mean, std = np.asarray(spec.mean, np.float32), np.asarray(spec.std, np.float32)
        values = (picture.astype(np.float32) * np.float32(spec.scale) - mean) / std
    out[0] = values if spec.layout == "NHWC" else values.transpose(2, 0, 1)


def _as_pixels(array: object) -> Pixels:
    """Narrow the type: OpenCV's stubs declare any array, but these are always uint8."""
    assert isinstance(array, np.ndarray)
    return array
