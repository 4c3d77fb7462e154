"""From a stranger's bytes to an upright picture: recognised, measured, and only then decoded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

# OpenCV's own limit is a second lock behind ours, and the most that `upload.max_pixels` allows. It is read once, when
# the library loads, so this stands before the import.
MOST_PIXELS = 2**28
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from lookout.errors import PictureTooLarge, PictureUnreadable, PictureUnsupported  # noqa: E402
from lookout.pictures.headers import PictureHeader, read_header  # noqa: E402

Pixels = NDArray[np.uint8]

MAX_BYTES = 12 * 2**20
MAX_PIXELS = 50_000_000
# No format of ours means to hold a longer side, and decoders count some products of it in 32 bits.
MAX_SIDE = 65_535
# Twice the side of a 96-pixel network: reducing further while decoding would cost sharpness the network could use.
LEAST_SIDE = 2 * 96
# What a decoder may hold for each pixel that is accepted: four channels of 8 bits. With 16 bits it holds twice as much.
_DECODER_BYTES_A_PIXEL = 4
# What shows through transparent parts. Pictures that have such parts are mostly cut out to stand on a white page.
_BACKGROUND = 255
# Converted so many rows at a time, to keep the working copies small.
_ROWS = 256

_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))

# A damaged upload is the sender's matter and is answered with a sentence; OpenCV would also write it to the log. One
# line of libpng's remains ("libpng error: ..."), which cannot be turned off without redirecting our own stderr.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_FATAL)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An upright picture from outside.

    pixels: contiguous uint8, height x width x 3, blue-green-red; perhaps reduced by 2, 4 or 8 (JPEG).
    width, height: pixels of the upright original, before that reduction.
    format: "JPEG", "PNG", "WebP", "BMP", "TIFF" or "GIF".
    """

    pixels: Pixels
    width: int
    height: int
    format: str


def read_picture(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS, least_side: int = LEAST_SIDE
) -> Picture:
    """Decode one picture (the first, where a file holds several).

    least_side: the short side that must remain when a large JPEG is decoded at a fraction of its size.
    Raises PictureTooLarge by bytes or by the header's pixels, before anything is allocated; PictureUnsupported for
    what is no picture; PictureUnreadable for a damaged one.
    """
    if len(data) > max_bytes:
        raise too_many_bytes(max_bytes)
    if not data:
        raise PictureUnsupported("The picture is empty: it has no bytes.", "Send one that other programs open.")
    header = read_header(data)
    _check_size(header, max_pixels)
    pixels = _upright(_decode(data, header, least_side), header)
    width, height = header.upright_size
    return Picture(np.ascontiguousarray(pixels), width, height, header.format)


def too_many_bytes(max_bytes: int) -> PictureTooLarge:
    return PictureTooLarge(
        f"The picture has more than {max_bytes:,} bytes.",
        "Send a smaller picture; 96 pixels a side are all the network looks at. The limit is upload.max_bytes.",
    )


def _check_size(header: PictureHeader, max_pixels: int) -> None:
    width, height = header.upright_size
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise PictureTooLarge(
            f"The picture has {width:,} x {height:,} pixels; at most {max_pixels:,} pixels are accepted, and at most "
            f"{MAX_SIDE:,} a side.",
            "Send a smaller picture. The limit is upload.max_pixels.",
        )
    if header.decoder_bytes > _DECODER_BYTES_A_PIXEL * max_pixels:
        raise PictureTooLarge(
            f"The picture takes {header.decoder_bytes // 10**6:,} MB of memory to decode, because of how it is stored.",
            "Save it with 8 bits a channel, or smaller. The limit follows from upload.max_pixels.",
        )


def _decode(data: bytes, header: PictureHeader, least_side: int) -> Pixels:
    factor, flag = _reduction(header, least_side)
    # The orientation is ours to apply: which decoder honours it by itself differs between OpenCV's releases.
    mode = cv2.IMREAD_UNCHANGED if header.alpha else flag | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    except (cv2.error, MemoryError) as error:
        raise _unreadable() from error
    if decoded is None:
        raise _unreadable()
    expected = _stored_shape(header, factor)
    if decoded.shape[:2] != expected:
        raise PictureUnreadable("The picture is damaged: its header and its content differ in size.", _AGAIN)
    return _three_channels(np.asarray(decoded))


def _reduction(header: PictureHeader, least_side: int) -> tuple[int, int]:
    """The largest factor that leaves the short side long enough, and OpenCV's flag for it. JPEG alone can do it."""
    if header.format == "JPEG":
        for factor, flag in _REDUCED:
            if min(header.width, header.height) >= least_side * factor:
                return factor, flag
    return 1, cv2.IMREAD_COLOR


def _stored_shape(header: PictureHeader, factor: int) -> tuple[int, int]:
    """Rows and columns the decoder must deliver."""
    # OpenCV turns TIFF upright whatever it is told.
    width, height = header.upright_size if header.format == "TIFF" else (header.width, header.height)
    return -(-height // factor), -(-width // factor)


def _three_channels(decoded: NDArray[Any]) -> Pixels:
    """Any decoded array as blue-green-red bytes, transparent parts on white."""
    if decoded.dtype not in (np.uint8, np.uint16):
        raise _unreadable()
    if decoded.dtype == np.uint8 and decoded.ndim == 3 and decoded.shape[2] == 3:
        return decoded
    finished = np.empty((*decoded.shape[:2], 3), np.uint8)
    for row in range(0, decoded.shape[0], _ROWS):
        part = decoded[row : row + _ROWS]
        if part.dtype == np.uint16:
            part = part >> 8
        if part.ndim == 2:
            part = part[:, :, None]
        finished[row : row + _ROWS] = _on_background(part) if part.shape[2] == 4 else part
    return finished


def _on_background(part: NDArray[Any]) -> NDArray[Any]:
    """Blend blue-green-red-alpha, 0 to 255 each, with the background."""
    wide = part.astype(np.uint16)
    alpha = wide[:, :, 3:]
    return (wide[:, :, :3] * alpha + _BACKGROUND * (255 - alpha) + 127) // 255


def _upright(pixels: Pixels, header: PictureHeader) -> Pixels:
    """Apply the EXIF orientation: the eight ways to turn and mirror a rectangle."""
    if header.format == "TIFF":
        return pixels
    if header.orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if header.orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if header.orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


_AGAIN = "Send the file again; if that does not help, open it in a picture viewer and save a copy."


def _unreadable() -> PictureUnreadable:
    return PictureUnreadable("The picture is damaged and cannot be decoded.", _AGAIN)
