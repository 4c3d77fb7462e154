"""Small files of every accepted format that want far more memory or time than they look like."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np

from tests.api.pictures_made import png_chunk

# As much as `upload.max_pixels` allows; and as much as the header may say before it is refused for its memory.
SIDES = (7000, 5200)


def zeros(size: int) -> bytes:
    """A zlib stream of that many zero bytes, made without compressing them: one megabyte again and again."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    million = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    whole = million * (size // 2**20)
    checksum = struct.pack(">I", ((size // 2**20 * 2**20) % 65521) << 16 | 1)
    return b"\x78\x9c" + whole + b"\x03\x00" + checksum


def png(side: int, *, depth: int = 8, color: int = 2, interlaced: int = 0, size: int | None = None) -> bytes:
    """size: bytes of its data unpacked; as many as it needs, unless given."""
    channels = {0: 1, 2: 3, 6: 4}[color]
    needed = (side * channels * depth // 8 + 1) * side + 2**21
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, color, 0, 0, interlaced))
    data = png_chunk(b"IDAT", zeros(needed if size is None else size))
    return b"\x89PNG\r\n\x1a\n" + header + data + png_chunk(b"IEND", b"")


def apng(side: int) -> bytes:
    """Two frames of all the pixels that are allowed."""
    still = png(side, color=6)
    count = png_chunk(b"acTL", struct.pack(">II", 2, 0))
    control = png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, side, side, 0, 0, 1, 10, 0, 0))
    return still[:33] + count + control + still[33:]


def webp(side: int, *, animated: bool) -> bytes:
    """One lossless pixel's worth of data for all the pixels that are allowed."""
    one = cv2.imencode(".webp", np.zeros((1, 1, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    pixel = one[one.index(b"VP8L") :]
    if not animated:
        bits = (side - 1) | (side - 1) << 14
        body = b"WEBP" + pixel[:9] + struct.pack("<I", bits) + pixel[13:]
        return b"RIFF" + struct.pack("<I", len(body)) + body
    size = (side - 1).to_bytes(3, "little") * 2
    frame = bytes(6) + bytes(6) + (10).to_bytes(3, "little") + b"\0" + pixel
    body = b"WEBPVP8X" + struct.pack("<IB3x", 10, 0x12) + size + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    body += b"ANMF" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg(side: int, *, scans: int = 100, components: int = 3) -> bytes:
    """A progressive JPEG whose scans are a few bytes each: every one is a pass over all pixels."""
    numbers = range(1, components + 1)
    frame = struct.pack(">HBHHB", 8 + 3 * components, 8, side, side, components)
    frame += b"".join(bytes([number, 0x11, 0]) for number in numbers)
    tables = b"\xff\xdb\0\x43\0" + bytes([16] * 64) + b"\xff\xc2" + frame
    codes = b"".join(b"\xff\xc4" + struct.pack(">HB", 20, kind) + bytes([1, *[0] * 15, 0]) for kind in (0, 16))
    chosen = b"".join(bytes([number, 0]) for number in numbers)
    first = b"\xff\xda" + struct.pack(">HB", 6 + 2 * components, components) + chosen + b"\0\0\0" + bytes(8)
    more = b"\xff\xda\0\x08\x01\x01\0\x01\x3f\0" + bytes(8)
    return b"\xff\xd8" + tables + codes + first + more * (scans - 1) + b"\xff\xd9"


def gif(side: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHB", side, side, 0x80) + b"\0\0" + bytes(6)
    return head + b"\x2c" + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\0\x3b"


def tiff(side: int) -> bytes:
    """One strip of all pixels, which the decoder unpacks beside the picture."""
    strip = zeros(side * side * 3 + 2**20)
    entries = [
        (256, 4, 1, side), (257, 4, 1, side), (258, 3, 3, 200), (259, 3, 1, 8), (262, 3, 1, 2),
        (273, 4, 1, 300), (277, 3, 1, 3), (278, 4, 1, side), (279, 4, 1, len(strip)),
    ]  # fmt: skip
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)
    return head.ljust(200, b"\0") + struct.pack("<3H", 8, 8, 8).ljust(100, b"\0") + strip


def bmp(side: int) -> bytes:
    """All pixels in runs, of which there are none."""
    colours = bytes(1024)
    head = struct.pack("<IHHI", 14 + 40 + 1024, 0, 0, 14 + 40 + 1024)
    return b"BM" + head + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 0, 0, 0, 256, 0) + colours + b"\0\x01"


def endless() -> bytes:
    """A small PNG with minutes of data behind its last row."""
    return png(100, size=10 * 2**30)


def bombs() -> dict[str, bytes]:
    """By what they are; each is refused, or decoded within the limits."""
    makers: dict[str, Callable[[int], bytes]] = {
        "PNG": png,
        "PNG, interlaced": lambda side: png(side, interlaced=1),
        "PNG, 16 bits and transparent": lambda side: png(side, depth=16, color=6),
        "APNG": apng,
        "WebP, lossless": lambda side: webp(side, animated=False),
        "WebP, animated": lambda side: webp(side, animated=True),
        "JPEG, 100 scans": jpeg,
        "JPEG, 100 scans of grey": lambda side: jpeg(side, components=1),
        "GIF": gif,
        "TIFF, one strip": tiff,
        "BMP, runs": bmp,
    }
    return {f"{name}, {side} a side": make(side) for name, make in makers.items() for side in SIDES}
