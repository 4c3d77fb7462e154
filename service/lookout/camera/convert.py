"""Conversion of a camera's pictures to frames: upright, contiguous, uint8, height x width x 3, BGR."""

from __future__ import annotations

import cv2
import numpy as np

from lookout.errors import CameraUnsupported
from lookout.frame import Pixels

# Named as in DRM and libcamera, which are little-endian: RGB888 is B, G, R in memory.
_CODES: dict[str, int] = {
    "BGR888": cv2.COLOR_RGB2BGR,
    "RGB": cv2.COLOR_RGB2BGR,
    "XBGR8888": cv2.COLOR_RGBA2BGR,
    "ABGR8888": cv2.COLOR_RGBA2BGR,
    "XRGB8888": cv2.COLOR_BGRA2BGR,
    "ARGB8888": cv2.COLOR_BGRA2BGR,
    "NV12": cv2.COLOR_YUV2BGR_NV12,
    "NV21": cv2.COLOR_YUV2BGR_NV21,
    "YUV420": cv2.COLOR_YUV2BGR_I420,
    "YVU420": cv2.COLOR_YUV2BGR_YV12,
    "YUYV": cv2.COLOR_YUV2BGR_YUYV,
    "UYVY": cv2.COLOR_YUV2BGR_UYVY,
    "GRAY": cv2.COLOR_GRAY2BGR,
    "R8": cv2.COLOR_GRAY2BGR,
}
_AS_THEY_ARE = frozenset({"BGR", "RGB888"})
_PLANAR = frozenset({"NV12", "NV21", "YUV420", "YVU420"})
FORMATS = frozenset(_CODES) | _AS_THEY_ARE | {"MJPEG"}

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_FLIPS = {"horizontal": 1, "vertical": 0, "both": -1}


def to_bgr(pixels: Pixels, name: str, width: int, height: int) -> Pixels:
    """Convert an array in the format `name` to BGR, height x width x 3. May return a view of the input.

    pixels: as the camera's library delivers them. Planar 4:2:0 formats are (height * 3/2, stride), whose padding on the
    right is removed. MJPEG is a flat array of bytes. Raises CameraUnsupported for an unknown format, or if the array
    does not have the format's shape.
    """
    try:
        if name in _AS_THEY_ARE:
            picture = pixels[:height, :width]
        elif name == "MJPEG" and pixels.ndim == 1:
            picture = _decoded(pixels)
        elif name == "MJPEG":
            picture = _uint8(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))  # picamera2 has already decoded it to R, G, B
        else:
            picture = _uint8(cv2.cvtColor(_packed(pixels, name), _CODES[name]))[:height, :width]
    except KeyError:
        raise CameraUnsupported(
            f"The camera delivers the pixel format {name}, which cannot be converted.", "Choose another camera."
        ) from None
    except cv2.error:
        picture = pixels[:0]
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.shape[0] < height or picture.shape[1] < width:
        raise CameraUnsupported(
            f"A {name} picture of {width} x {height} came as an array of shape {pixels.shape}.",
            "Choose another size with camera.width and camera.height.",
        )
    return picture


def _uint8(picture: object) -> Pixels:
    return np.asarray(picture, dtype=np.uint8)


def _packed(pixels: Pixels, name: str) -> Pixels:
    if name in _PLANAR or name in ("GRAY", "R8"):
        return np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels.reshape(pixels.shape[0], -1))
    if name in ("YUYV", "UYVY") and pixels.ndim == 2:
        return pixels.reshape(pixels.shape[0], -1, 2)
    return pixels


def _decoded(pixels: Pixels) -> Pixels:
    picture = cv2.imdecode(pixels, cv2.IMREAD_COLOR)
    return pixels[:0] if picture is None else _uint8(picture)


def upright(picture: Pixels, rotate: int, flip: str) -> Pixels:
    """Rotate clockwise by 0, 90, 180 or 270 degrees, then flip. May return a view of the input."""
    if rotate:
        picture = _uint8(cv2.rotate(picture, _TURNS[rotate]))
    if flip != "none":
        picture = _uint8(cv2.flip(picture, _FLIPS[flip]))
    return picture


def finished(pixels: Pixels, name: str, width: int, height: int, rotate: int, flip: str) -> Pixels:
    """Apply `to_bgr` and `upright`, and return a new array, which does not change when `pixels` are overwritten."""
    picture = upright(to_bgr(pixels, name, width, height), rotate, flip)
    if not picture.flags.c_contiguous or np.may_share_memory(picture, pixels):
        return picture.copy()
    return picture


def is_finished(shape: tuple[int, ...], name: str, width: int, height: int, rotate: int, flip: str) -> bool:
    """Whether `finished` would only copy contiguous pixels of this shape."""
    return name in _AS_THEY_ARE and shape == (height, width, 3) and rotate == 0 and flip == "none"


def turned_size(width: int, height: int, rotate: int) -> tuple[int, int]:
    """Width and height after rotating."""
    return (height, width) if rotate in (90, 270) else (width, height)
