"""Decodes untrusted bytes to an upright picture, after recognising its format and checking its size.

Headers may be wrong and decoders have bugs, so the service runs this in a process with limits, see `decoder`.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Callable
from typing import Any

from lookout.frame import Pixels

# OpenCV's own limit is a second safeguard, set to the maximum that `upload.max_pixels` allows. The library reads it
# when it is loaded, so this precedes the import.
MAX_PIXELS_EVER = 2**28
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS_EVER))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from lookout.pictures import bmp  # noqa: E402
from lookout.pictures.completeness import Untouched, check_complaints  # noqa: E402
from lookout.pictures.headers import PictureHeader, read_header  # noqa: E402
from lookout.pictures.limits import DecodeLimits, Picture  # noqa: E402
from lookout.pictures.refusals import (  # noqa: E402
    broken,
    empty,
    no_memory,
    too_many_bytes,
    too_many_pixels,
    too_much_memory,
    undecodable,
)

Allocate = Callable[[tuple[int, int, int]], Pixels]

# None of the formats needs a longer side, and decoders compute some products of sides in 32 bits.
MAX_SIDE = 65_535
# The grey level behind transparent parts; pictures with such parts are usually meant for a white page.
_BACKGROUND = 255
# Rows converted at a time, to keep the working copies small; a multiple of every factor.
_ROWS = 256
_FACTORS = (8, 4, 2)
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}

# A damaged upload gets an error response. OpenCV would also log it.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_FATAL)


def read_picture(data: bytes, limits: DecodeLimits | None = None) -> Picture:
    """Decode one picture (the first, if the file contains several) in this process. Raises as `read_file` does."""
    limits = limits or DecodeLimits()
    if len(data) > limits.max_bytes:
        raise too_many_bytes(limits.max_bytes)
    descriptor = os.memfd_create("lookout-picture", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        return read_file(descriptor, limits)
    finally:
        os.close(descriptor)


def read_file(
    descriptor: int,
    limits: DecodeLimits,
    allocate: Allocate | None = None,
    complaints: Callable[[], bytes] = bytes,
) -> Picture:
    """Decode the picture in an open regular file.

    allocate: creates the array for the picture, of the given shape, before anything is decoded.
    complaints: returns the output of the libraries since the last call.
    Raises PictureTooLarge for too many bytes, too many pixels in the header, or too much memory; PictureUnsupported if
    it is not a picture, or of a kind that cannot be decoded; PictureUnreadable if it is damaged; DecoderUnavailable if
    the machine is short of memory.
    """
    size = os.fstat(descriptor).st_size
    if size > limits.max_bytes:
        raise too_many_bytes(limits.max_bytes)
    if not size:
        raise empty()
    # Private, because shares that do without the page cache (FUSE with direct_io) have no shared mappings.
    data = mmap.mmap(descriptor, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    header = read_header(data)
    width, height = header.upright_size
    if width * height > limits.max_pixels or max(width, height) > MAX_SIDE:
        raise too_many_pixels(width, height, limits.max_pixels, MAX_SIDE)
    factor = _factor(header, limits.min_side)
    shape = (-(-height // factor), -(-width // factor), 3)
    _check_memory(header, factor, shape, limits.memory)
    try:
        pixels = (allocate or _allocate)(shape)
        complaints()
        _decode_into(_as_stored(pixels, header), descriptor, data, header, factor)
        check_complaints(complaints(), _as_stored(pixels, header))
    except MemoryError as error:
        error.__traceback__ = None  # its stack frames keep the memory of the decoded part alive
        raise _no_room(header, factor, limits.memory) from error
    return Picture(pixels, width, height, header.format)


def _allocate(shape: tuple[int, int, int]) -> Pixels:
    return np.empty(shape, np.uint8)


def _factor(header: PictureHeader, min_side: int) -> int:
    """The largest factor to reduce by that keeps the short side long enough; JPEG is reduced while decoding."""
    return next((factor for factor in _FACTORS if min(header.width, header.height) >= min_side * factor), 1)


# --- memory ---------------------------------------------------------------------------------------------------


def _check_memory(header: PictureHeader, factor: int, shape: tuple[int, int, int], limit: int) -> None:
    """Check the memory for the picture before and after the final conversion and for its decoder, by the header."""
    needed = int(np.prod(shape)) + header.decoder_bytes
    if not _fits_as_it_is(header, factor):
        needed += _raw_bytes(header, factor)
    if needed > limit:
        raise too_much_memory(limit, needed)


def _raw_bytes(header: PictureHeader, factor: int) -> int:
    """The bytes of the picture as it comes from the decoder. Pixels of BMP bit fields are not copied."""
    if header.fields is not None:
        return 0
    shape, kind, _ = _raw(header, factor)
    # A picture that the library rotates cannot be decoded into our target, and is copied.
    return int(np.prod(shape)) * kind.itemsize * (2 if _turned_by_library(header) else 1)


def _no_room(header: PictureHeader, factor: int, limit: int) -> Exception:
    """The error for failed allocation: either the picture needs too much memory, or the machine has too little."""
    try:
        # The limit for a picture does not count shared memory.
        mmap.mmap(-1, max(mmap.PAGESIZE, _raw_bytes(header, factor)), flags=mmap.MAP_SHARED).close()
    except (OSError, MemoryError):
        return no_memory()
    return too_much_memory(limit)


class _Errno:
    """The C library's `errno`, to detect that a decoder ran out of memory, since most only report failure."""

    def __init__(self) -> None:
        where = getattr(ctypes.CDLL(None), "__errno_location")
        where.restype = ctypes.POINTER(ctypes.c_int)
        self._number = where()

    def clear(self) -> None:
        self._number[0] = 0

    @property
    def is_no_memory(self) -> bool:
        return bool(self._number[0] == errno.ENOMEM)


# --- decoding -------------------------------------------------------------------------------------------------


def _turned_by_library(header: PictureHeader) -> bool:
    """Whether OpenCV rotates the picture: it turns TIFF upright whatever flags it gets."""
    return header.format == "TIFF" and header.orientation >= 5


def _fits_as_it_is(header: PictureHeader, factor: int) -> bool:
    """Whether the decoder can write the finished picture directly into the target."""
    reduced = factor == 1 or header.format == "JPEG"
    plain = not header.alpha and header.transparent_grey is None and header.fields is None
    return reduced and plain and (header.orientation == 1 or (header.format == "TIFF" and header.orientation < 5))


def _raw(header: PictureHeader, factor: int) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """The shape and type of the array that the decoder delivers, and OpenCV's flags for it."""
    width, height = header.upright_size if header.format == "TIFF" else (header.width, header.height)
    kind = np.dtype(np.uint16 if header.deep else np.uint8)
    if header.transparent_grey is not None:
        return (height, width), kind, cv2.IMREAD_UNCHANGED
    if header.alpha or header.animated:  # converting an animation takes four times the memory
        return (height, width, 4 if header.alpha else 3), kind, cv2.IMREAD_UNCHANGED
    by = factor if header.format == "JPEG" else 1
    # We apply the orientation ourselves, because OpenCV's releases differ in which decoders honour it.
    flags = _REDUCED[by] | cv2.IMREAD_IGNORE_ORIENTATION
    return (-(-height // by), -(-width // by), 3), kind, flags


def _decode_into(target: Pixels, descriptor: int, data: mmap.mmap, header: PictureHeader, factor: int) -> None:
    """Decode and convert the picture in the orientation in which it is stored."""
    if header.fields is not None:
        rows = bmp.rows_of(data, header.fields, header.width, header.height)
        alpha = bmp.has_alpha(rows, header.fields)
        fields = header.fields
        _finish(rows, target, factor, lambda part: _on_background(bmp.unpacked(part, fields, alpha=alpha), header))
        return
    at_once = _fits_as_it_is(header, factor)
    raw = _decoded(descriptor, data, header, factor, target if at_once else None)
    if raw is not target:
        _finish(raw, target, 1 if header.format == "JPEG" else factor, lambda part: _three_channels(part, header))


def _decoded(
    descriptor: int, data: mmap.mmap, header: PictureHeader, factor: int, target: Pixels | None
) -> NDArray[Any]:
    """Return the decoder's array, which is the target itself if possible. Raises MemoryError or PictureUnreadable."""
    shape, kind, flags = _raw(header, factor)
    number = _Errno()
    number.clear()
    try:
        if _turned_by_library(header):
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        else:
            decoded = _decoded_file(descriptor, np.empty(shape, kind) if target is None else target, flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        decoded = None
    if decoded is None:
        if number.is_no_memory:
            raise MemoryError
        raise undecodable()
    if decoded.shape[:2] != shape[:2]:
        raise broken("its header and its content differ in size")
    if decoded.dtype not in (np.uint8, np.uint16):
        raise undecodable()
    return decoded


def _decoded_file(descriptor: int, place: NDArray[Any], flags: int) -> NDArray[Any] | None:
    """Decode the file into `place`, or into a new array if it does not fit. None if it cannot be decoded.

    OpenCV only accepts a target when it decodes a named file, which takes a third of the memory. Some decoders report
    success without writing a pixel, so the target is filled with noise that must not remain.
    """
    name = f"/proc/self/fd/{descriptor}"
    pattern = Untouched(place)
    try:
        decoded = cv2.imread(name, place, flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise
        found = cv2.imread(name, flags)  # its type differs from that in the header
        if found is None:
            return None
        place = np.empty(found.shape, found.dtype)
        del found
        pattern = Untouched(place)
        decoded = cv2.imread(name, place, flags)
    if decoded is None:
        return None
    if not np.may_share_memory(decoded, place):
        return np.asarray(decoded)
    if pattern.shows():
        raise broken("some of its pixels are missing")
    return place


def _finish(raw: NDArray[Any], target: Pixels, factor: int, convert: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """Convert and reduce the decoder's rows and write them to the target, some at a time."""
    for row in range(0, raw.shape[0], _ROWS):
        part = convert(raw[row : row + _ROWS])
        place = target[row // factor : -(-(row + part.shape[0]) // factor)]
        if factor > 1:
            part = cv2.resize(part, (place.shape[1], place.shape[0]), interpolation=cv2.INTER_AREA)
        place[:] = part


def _three_channels(part: NDArray[Any], header: PictureHeader) -> NDArray[Any]:
    """Convert a decoder's rows to blue-green-red bytes, with transparent parts on the background."""
    clear = None if header.transparent_grey is None or part.ndim > 2 else part == header.transparent_grey
    if part.dtype == np.uint16:
        part = (part >> 8).astype(np.uint8)
    if part.ndim == 2:
        part = np.repeat(part[:, :, None], 3, axis=2)
    if clear is not None:
        part[clear] = _BACKGROUND
    return _on_background(part, header)


def _on_background(part: NDArray[Any], header: PictureHeader) -> NDArray[Any]:
    """Blend blue-green-red-alpha, 0 to 255 each, with the background; rows without alpha are returned unchanged."""
    if part.shape[2] < 4:
        return part
    wide = part.astype(np.uint16)
    alpha = wide[:, :, 3:]
    if header.premultiplied:
        blended = np.minimum(wide[:, :, :3] + (_BACKGROUND - alpha), 255)
    else:
        blended = (wide[:, :, :3] * alpha + _BACKGROUND * (255 - alpha) + 127) // 255
    return np.asarray(blended, np.uint8)


def _as_stored(pixels: Pixels, header: PictureHeader) -> Pixels:
    """Return a view of the upright picture in the orientation of the file; pixels written to it appear upright.

    The EXIF orientation is one of the eight ways to rotate and mirror a rectangle.
    """
    if header.format == "TIFF":
        return pixels
    if header.orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if header.orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if header.orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    return pixels
