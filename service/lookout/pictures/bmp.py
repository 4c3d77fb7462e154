"""BMP pictures with 16 or 32 bits per pixel, whose header defines the bits of each colour.

OpenCV reads some of them, refuses some, and swaps red and blue in others. They are not compressed, so their pixels can
be read in place.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookout.frame import Pixels
from lookout.pictures.refusals import broken, cut_off, unsupported

_FILE_HEADER = 14
_OS2_HEADER, _FIRST_HEADER, _LAST_HEADER = 12, 40, 124
_RLE4 = 2
_END, _MOVE = 1, 2
_UNCOMPRESSED, _FIELDS, _FIELDS_AND_ALPHA = 0, 3, 6
_BY_LIBRARY = frozenset({_UNCOMPRESSED, 1, 2})  # with run lengths of 8 and 4 bits
_NAMES = {4: "a BMP that contains a JPEG", 5: "a BMP that contains a PNG"}
# The masks of blue, green, red and alpha if the header contains none.
_DEFAULT_MASKS = {16: (0x1F, 0x3E0, 0x7C00, 0), 32: (0xFF, 0xFF00, 0xFF0000, 0)}


@dataclass(frozen=True, slots=True)
class BitFields:
    """How the pixels are stored. bits: per pixel, 16 or 32. stride: bytes per row. masks: blue, green, red, alpha."""

    bits: int
    offset: int
    stride: int
    bottom_up: bool
    masks: tuple[int, int, int, int]


def read_info(data: bytes | mmap.mmap) -> tuple[int, int, BitFields | None]:
    """Read width, height, and the bit fields if the picture has them.

    Raises PictureUnreadable, PictureUnsupported, or struct.error if the file ends too early.
    """
    offset, header_bytes = struct.unpack_from("<II", data, 10)
    if header_bytes == _OS2_HEADER:
        width, height = struct.unpack_from("<HH", data, 18)
        return width, height, None
    if not _FIRST_HEADER <= header_bytes <= _LAST_HEADER:
        raise broken("its header has no known size")
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    fields = None
    if bits in _DEFAULT_MASKS and compression in (_UNCOMPRESSED, _FIELDS, _FIELDS_AND_ALPHA):
        masks = _masks(data, header_bytes, compression, bits)
        stride = (max(0, width) * bits + 31) // 32 * 4
        fields = BitFields(bits, offset, stride, height > 0, masks)
        if offset + stride * abs(height) > len(data):
            raise cut_off()
    elif compression not in _BY_LIBRARY:
        raise unsupported(_NAMES.get(compression, "a BMP compressed in an unknown way"))
    elif compression:
        _check_runs(data, offset, max(0, width) * abs(height), nibbles=compression == _RLE4)
    return max(0, width), abs(height), fields  # a negative height means rows from top to bottom


def _check_runs(data: bytes | mmap.mmap, at: int, pixels: int, *, nibbles: bool) -> None:
    """Check that the run-length data covers every pixel, since the library leaves missing ones black.

    Raises PictureUnreadable, and IndexError if the file ends too early.
    """
    drawn = 0
    while drawn < pixels:
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            drawn += count
        elif value > _MOVE:  # this many literal pixels, padded to an even number of bytes
            drawn += value
            size = -(-value // 2) if nibbles else value
            at += size + size % 2
        elif value == _MOVE or (value == _END and drawn < pixels):
            raise broken("some of its pixels are missing")


def _masks(data: bytes | mmap.mmap, header_bytes: int, compression: int, bits: int) -> tuple[int, int, int, int]:
    if compression == _UNCOMPRESSED:
        return _DEFAULT_MASKS[bits]
    with_alpha = compression == _FIELDS_AND_ALPHA or header_bytes >= _FIRST_HEADER + 16
    red, green, blue, *alpha = struct.unpack_from("<4I" if with_alpha else "<3I", data, _FILE_HEADER + _FIRST_HEADER)
    masks = (blue, green, red, alpha[0] if alpha else 0)
    for mask in masks:
        low = mask & -mask
        if mask >> bits or (mask + low) & mask:
            raise unsupported("a BMP with scattered bits")
    return masks


def rows_of(data: bytes | mmap.mmap, fields: BitFields, width: int, height: int) -> NDArray[Any]:
    """Return the packed pixels from top to bottom, height x width, without copying."""
    kind = np.dtype("<u2" if fields.bits == 16 else "<u4")
    flat = np.frombuffer(data, np.uint8, fields.stride * height, fields.offset)
    rows = flat.reshape(height, fields.stride)[:, : width * kind.itemsize].view(kind)
    return rows[::-1] if fields.bottom_up else rows


def has_alpha(rows: NDArray[Any], fields: BitFields) -> bool:
    """Whether the alpha channel is used. Many programs write only zeros for an opaque picture."""
    mask = fields.masks[3]
    return bool(mask) and any(bool((part & mask).any()) for part in rows)


def unpacked(rows: NDArray[Any], fields: BitFields, *, alpha: bool) -> Pixels:
    """Unpack rows to blue-green-red, with alpha if requested, 0 to 255 each."""
    masks = fields.masks if alpha else fields.masks[:3]
    pixels = np.zeros((*rows.shape, len(masks)), np.uint8)
    wide = rows.astype(np.uint32)
    for channel, mask in enumerate(masks):
        if mask:
            shift = (mask & -mask).bit_length() - 1
            size = mask.bit_length() - shift
            values = (wide & np.uint32(mask)) >> np.uint32(shift)
            if size > 8:
                values = values >> np.uint32(size - 8)
            else:
                largest = (1 << size) - 1
                values = (values * np.uint32(255) + np.uint32(largest // 2)) // np.uint32(largest)
            pixels[..., channel] = values
    return pixels
