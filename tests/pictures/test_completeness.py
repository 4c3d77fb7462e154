"""A decoder that says it succeeded and has left pixels out: no answer is given to what is not a picture."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from lookout.errors import PictureUnreadable
from lookout.pictures.completeness import Untouched, check_complaints
from lookout.pictures.decoder import Decoder
from lookout.pictures.limits import DecodeLimits
from PIL import Image

from tests.api.pictures_made import encoded, jpeg, png_chunk, textured


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder()
    decoder.read(jpeg(320, 240), DecodeLimits())  # whose pixels must not be seen again
    yield decoder
    decoder.close()


def _saved(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(textured(320, 240)).save(buffer, kind, **options)
    return buffer.getvalue()


def _webp_without_frames(flags: int) -> bytes:
    body = b"WEBPVP8X" + struct.pack("<IB3x", 10, flags) + (319).to_bytes(3, "little") + (239).to_bytes(3, "little")
    body += b"ANIM" + struct.pack("<I", 6) + bytes(6) if flags else b""
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _gif_cut_after(blocks: int) -> bytes:
    whole = _saved("GIF")
    at = whole.index(b"\x2c\0\0\0\0") + 11
    for _ in range(blocks):
        at += 1 + whole[at]
    return whole[:at] + b"\0;"


def _tiff_with_short_strips(compression: str) -> bytes:
    whole = bytearray(_saved("TIFF", compression=compression))
    (directory,) = struct.unpack_from("<I", whole, 4)
    for entry in range(*struct.unpack_from("<H", whole, directory)):
        tag, kind, count, place = struct.unpack_from("<HHII", whole, directory + 2 + 12 * entry)
        if tag == 279:  # bytes of each strip
            size = 2 if kind == 3 else 4
            for strip in range(count):
                struct.pack_into("<H" if size == 2 else "<I", whole, place + strip * size, 1)
    return bytes(whole)


def _png_without_data() -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 320, 240, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IEND", b"")


def _bmp_with_runs(runs: bytes) -> bytes:
    colours = b"".join(bytes([grey, grey, grey, 0]) for grey in range(256))
    offset = 14 + 40 + len(colours)
    head = b"BM" + struct.pack("<IHHI", offset + len(runs), 0, 0, offset)
    return head + struct.pack("<IiiHHIIiiII", 40, 32, 24, 1, 8, 1, len(runs), 0, 0, 256, 0) + colours + runs


WITHOUT_PIXELS = {
    "a JPEG whose data ends half-way": jpeg(320, 240)[: len(jpeg(320, 240)) // 2] + b"\xff\xd9",
    "a progressive JPEG with a piece of its first scan": (lambda whole: whole[: whole.index(b"\xff\xda") + 14])(
        _saved("JPEG", progressive=True)
    )
    + b"\xff\xd9",
    "a PNG without data": _png_without_data(),
    "a WebP without frames": _webp_without_frames(0),
    "an animated WebP without frames": _webp_without_frames(2),
    "a GIF without blocks": _gif_cut_after(0),
    "a GIF with one block": _gif_cut_after(1),
    "a TIFF with short strips, LZW": _tiff_with_short_strips("tiff_lzw"),
    "a TIFF with short strips, PackBits": _tiff_with_short_strips("packbits"),
    "a TIFF with short strips, deflate": _tiff_with_short_strips("tiff_deflate"),
    "a BMP without runs": _bmp_with_runs(b"\0\x01"),
    "a BMP with one run": _bmp_with_runs(b"\x20\x50\0\0\0\x01"),
    "a BMP that skips most": _bmp_with_runs(b"\0\x02\x10\x10\x20\x50\0\x01"),
}


@pytest.mark.parametrize("what", WITHOUT_PIXELS)
def test_what_lacks_pixels_is_refused(decoder: Decoder, what: str) -> None:
    with pytest.raises(PictureUnreadable):
        decoder.read(WITHOUT_PIXELS[what], DecodeLimits())


def test_whole_ones_of_the_same_kinds_are_taken(decoder: Decoder) -> None:
    rows = b"".join(b"\x20" + bytes([row]) + b"\0\0" for row in range(24)) + b"\0\x01"
    sound = [_saved("TIFF", compression=kind) for kind in ("tiff_lzw", "packbits", "tiff_deflate", "jpeg")]
    for data in (*sound, _saved("GIF"), _saved("JPEG", progressive=True), _bmp_with_runs(rows)):
        assert decoder.read(data, DecodeLimits()).pixels.std() > 1


def test_a_webcams_jpeg_that_lacks_its_last_block_is_taken(decoder: Decoder) -> None:
    whole = jpeg(320, 240)
    assert decoder.read(whole[:-20] + b"\xff\xd9", DecodeLimits()).width == 320


@pytest.mark.parametrize("shape", [(4, 1), (1, 1, 3), (9, 5, 3), (300, 200, 4)])
def test_a_single_row_that_was_not_written_is_noticed(shape: tuple[int, ...]) -> None:
    place = np.zeros(shape, np.uint8)
    pattern = Untouched(place)
    assert pattern.shows()
    if len(shape) == 3 and shape[1] > 5:
        place[1:] = 7
        assert pattern.shows()
    place[:] = 7
    assert not pattern.shows()


def test_a_flat_picture_without_complaints_is_a_picture() -> None:
    check_complaints(b"", np.full((8, 8, 3), 128, np.uint8))
    encoded_flat = encoded(np.full((64, 64, 3), 128, np.uint8), ".jpg")
    decoder = Decoder()
    try:
        assert decoder.read(encoded_flat, DecodeLimits()).pixels.std() == 0
    finally:
        decoder.close()
