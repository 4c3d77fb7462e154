"""Pictures for tests, made in a line each: sound ones, damaged ones, and ones that lie about their size."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray


def quarters(width: int = 160, height: int = 96) -> NDArray[np.uint8]:
    """Four flat quarters, all different, so that no turning or mirroring goes unnoticed: red, green / blue, grey."""
    pixels = np.empty((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    pixels[:top, :left] = (0, 0, 255)
    pixels[:top, left:] = (0, 255, 0)
    pixels[top:, :left] = (255, 0, 0)
    pixels[top:, left:] = (128, 128, 128)
    return pixels


def textured(width: int = 640, height: int = 480) -> NDArray[np.uint8]:
    """Smooth blobs: compresses like a photograph does."""
    rough = np.random.default_rng(7).integers(0, 256, (12, 16, 3), np.uint8)
    return np.asarray(cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def encoded(pixels: NDArray[np.generic], extension: str, *parameters: int) -> bytes:
    ok, data = cv2.imencode(extension, pixels, parameters)
    assert ok
    return data.tobytes()


def jpeg(width: int = 640, height: int = 480) -> bytes:
    return encoded(textured(width, height), ".jpg", cv2.IMWRITE_JPEG_QUALITY, 90)


def exif_block(orientation: int, order: str = "<") -> bytes:
    """A TIFF directory with the one tag that says how the camera was held."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIH2x", 274, 3, 1, orientation)
    return magic + struct.pack(order + "IH", 8, 1) + entry + struct.pack(order + "I", 0)


def with_exif(picture: bytes, orientation: int, order: str = "<") -> bytes:
    """The JPEG or PNG with an orientation added."""
    block = exif_block(orientation, order)
    if picture.startswith(b"\xff\xd8"):
        body = b"Exif\0\0" + block
        return picture[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + picture[2:]
    at = 8 + 25  # after the signature and the header chunk
    return picture[:at] + png_chunk(b"eXIf", block) + picture[at:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_claiming(width: int, height: int) -> bytes:
    """A few bytes whose header promises width x height pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(bytes(100))) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def zip_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("cat.txt", "no picture")
    return buffer.getvalue()
