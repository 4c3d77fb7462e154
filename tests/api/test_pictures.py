"""Bytes from strangers become upright pictures, or one clear sentence, and never a large allocation."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from lookout.errors import PictureTooLarge, PictureUnreadable, PictureUnsupported
from lookout.pictures.decode import read_picture
from lookout.pictures.headers import read_header
from lookout.pictures.limits import DecodeLimits
from numpy.typing import NDArray
from PIL import Image

from tests.api.pictures_made import (
    encoded,
    exif_block,
    jpeg,
    png_chunk,
    png_claiming,
    quarters,
    textured,
    with_exif,
    zip_archive,
)

FORMATS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WebP", ".bmp": "BMP", ".tiff": "TIFF", ".gif": "GIF"}

# How a camera held in each of the eight ways stores an upright picture.
STORED_AS = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


def stored_as(orientation: int, upright: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(STORED_AS[orientation](upright))


def close(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    """Equal but for what a lossy format smears along the edges."""
    return a.shape == b.shape and float(np.mean(np.abs(a.astype(int) - b.astype(int)))) < 6


@pytest.mark.parametrize("extension", FORMATS)
def test_every_promised_format_arrives_in_its_colours(extension: str) -> None:
    picture = read_picture(encoded(quarters(), extension))
    assert picture.format == FORMATS[extension]
    assert (picture.width, picture.height) == (160, 96)
    assert picture.pixels.flags.c_contiguous
    for rows in (slice(0, 48), slice(48, 96)):  # the mean of each quarter: GIF has 256 colours and dithers the rest
        for columns in (slice(0, 80), slice(80, 160)):
            found, drawn = picture.pixels[rows, columns].mean((0, 1)), quarters()[rows, columns].mean((0, 1))
            assert np.abs(found - drawn).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_camera_held_any_way_gives_an_upright_picture(orientation: int, extension: str, order: str) -> None:
    stored = encoded(stored_as(orientation, quarters()), extension, cv2.IMWRITE_JPEG_QUALITY, 98)
    picture = read_picture(with_exif(stored, orientation, order))
    assert (picture.width, picture.height) == (160, 96)
    assert close(picture.pixels, quarters())


def _webp_with_exif(orientation: int) -> bytes:
    still = encoded(stored_as(orientation, quarters()), ".webp", cv2.IMWRITE_WEBP_QUALITY, 101)
    height, width = stored_as(orientation, quarters()).shape[:2]
    block = exif_block(orientation)
    flags = bytes([0x08, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + (10).to_bytes(4, "little") + flags + still[12:]
    body += b"EXIF" + len(block).to_bytes(4, "little") + block + b"\0" * (len(block) % 2)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _tiff_with_orientation(orientation: int) -> bytes:
    """An uncompressed TIFF written by hand: OpenCV writes no orientation."""
    stored = stored_as(orientation, quarters())
    height, width = stored.shape[:2]
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 200), (274, 3, 1, orientation), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, stored.size),
    ]  # fmt: skip
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + (8).to_bytes(4, "little") + len(entries).to_bytes(2, "little") + packed + bytes(4)
    return head.ljust(200, b"\0") + stored[:, :, ::-1].tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("make", [_webp_with_exif, _tiff_with_orientation])
def test_webp_and_tiff_are_turned_once_and_not_twice(orientation: int, make) -> None:
    picture = read_picture(make(orientation))
    assert (picture.width, picture.height) == (160, 96)
    assert close(picture.pixels, quarters())


@pytest.mark.parametrize("damage", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", exif_block(6)[:12], exif_block(99)])
def test_a_broken_note_about_a_picture_does_not_cost_the_picture(damage: bytes) -> None:
    whole = encoded(quarters(), ".jpg")
    body = b"Exif\0\0" + damage
    noted = whole[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + whole[2:]
    assert close(read_picture(noted).pixels, quarters())


@pytest.mark.parametrize(("side", "factor"), [(383, 1), (384, 2), (768, 4), (1536, 8), (4000, 8)])
def test_a_big_jpeg_is_decoded_small_but_never_below_twice_the_networks_side(side: int, factor: int) -> None:
    picture = read_picture(jpeg(side + 100, side))
    assert (picture.width, picture.height) == (side + 100, side)
    assert picture.pixels.shape[:2] == (-(-side // factor), -(-(side + 100) // factor))


def test_reduced_decoding_still_turns_the_picture_upright() -> None:
    stored = encoded(stored_as(6, quarters(1000, 800)), ".jpg")
    picture = read_picture(with_exif(stored, 6))
    assert (picture.width, picture.height) == (1000, 800)
    assert close(picture.pixels, quarters(250, 200))


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_sixteen_bits_a_channel_become_eight(extension: str) -> None:
    assert close(read_picture(encoded(quarters().astype(np.uint16) * 257, extension)).pixels, quarters())


def test_gray_is_replicated() -> None:
    gray = quarters()[:, :, 2]
    assert np.array_equal(read_picture(encoded(gray, ".png")).pixels, np.dstack([gray] * 3))


@pytest.mark.parametrize("extension", [".png", ".webp", ".tiff", ".gif"])
def test_transparent_parts_show_a_white_page(extension: str) -> None:
    """gifdec#5, opencv#27555."""
    cut_out = np.dstack([quarters(), np.full((96, 160), 255, np.uint8)])
    cut_out[:, 80:, 3] = 0
    pixels = read_picture(encoded(cut_out, extension)).pixels
    assert (pixels[:, 90:] == 255).all()
    assert close(pixels[:, :70], quarters()[:, :70])


def _tiff_of_samples(pixels: NDArray[np.generic], extra: int, **more: int) -> bytes:
    """An uncompressed TIFF. extra: what the fourth sample is; 1: alpha, the others multiplied with it, 2: alpha."""
    height, width, samples = pixels.shape
    bits = pixels.dtype.itemsize * 8
    tags = {
        256: width,
        257: height,
        259: 1,
        262: 2,
        273: 400,
        277: samples,
        278: height,
        279: pixels.nbytes,
        338: extra,
    }
    entries = [(tag, 4, 1, value) for tag, value in tags.items()] + [(258, 3, samples, 300)]
    entries += [(int(tag.removeprefix("tag")), 3, 1, value) for tag, value in more.items()]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)
    depths = struct.pack("<4H", bits, bits, bits, bits)
    return head.ljust(300, b"\0") + depths.ljust(100, b"\0") + pixels.tobytes()


@pytest.mark.parametrize(("kind", "full"), [(np.uint8, 255), (np.uint16, 65535)])
@pytest.mark.parametrize(("extra", "red"), [(1, 227), (2, 177)])
def test_a_half_transparent_tiff_is_blended_as_it_says(kind: type, full: int, extra: int, red: int) -> None:
    pixels = np.zeros((8, 8, 4), kind)
    pixels[:, :, 0], pixels[:, :, 3] = full * 100 // 255, full * 128 // 255
    found = read_picture(_tiff_of_samples(pixels, extra)).pixels
    assert np.abs(found[0, 0].astype(int) - (127, 127, red)).max() <= 1


@pytest.mark.parametrize("depth", [8, 2])
def test_the_one_grey_that_means_transparent_shows_the_page(depth: int) -> None:
    """OpenCV reads such a PNG as if it were opaque."""
    header = struct.pack(">IIBBBBB", 8, 8, depth, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes([2] * depth) for _ in range(8)))
    chunks = [(b"IHDR", header), (b"tRNS", struct.pack(">H", 2 if depth == 8 else 0)), (b"IDAT", rows), (b"IEND", b"")]
    found = read_picture(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)).pixels
    assert (found[0, 0] == 255).all()
    if depth == 2:
        assert found[0, 3, 0] == 170


def test_an_animation_is_its_first_picture() -> None:
    first, second = quarters(), quarters()[::-1]
    buffer = io.BytesIO()
    Image.fromarray(first[:, :, ::-1]).save(
        buffer, "WEBP", save_all=True, append_images=[Image.fromarray(second)], lossless=True
    )
    assert close(read_picture(buffer.getvalue()).pixels, first)


@pytest.mark.parametrize("stray", [b"\0\xe1\0\x0aPIXELPAD", b"bc", b"\xff\0", b"\xff\xff\xff"])
def test_stray_bytes_between_segments_of_a_jpeg_are_passed_over(stray: bytes) -> None:
    """As by Pillow, OpenCV and browsers: phones leave such bytes (jpeg-js#82, Pillow#1337)."""
    whole = encoded(quarters(), ".jpg")
    tables = whole.index(b"\xff\xdb")
    assert close(read_picture(whole[:tables] + stray + whole[tables:]).pixels, quarters())


def test_of_two_exif_segments_the_first_counts() -> None:
    """imgproxy#1182."""
    stored = encoded(stored_as(6, quarters()), ".jpg", cv2.IMWRITE_JPEG_QUALITY, 98)
    assert close(read_picture(with_exif(with_exif(stored, 1), 6)).pixels, quarters())


def _bmp(bits: int, masks: tuple[int, ...], pixels: NDArray[np.generic], header: int = 40) -> bytes:
    """A BMP whose masks say which bits are red, green, blue and alpha. header: bytes of it."""
    height, width = pixels.shape
    stride = -(-width * bits // 32) * 4
    rows = b"".join(row.tobytes().ljust(stride, b"\0") for row in pixels[::-1])
    packed = struct.pack(f"<{len(masks)}I", *masks)
    second = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, 3, len(rows), 0, 0, 0, 0) + packed
    second = second.ljust(header, b"\0")
    offset = 14 + len(second)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + second + rows


@pytest.mark.parametrize("header", [40, 56, 124])
@pytest.mark.parametrize(
    ("bits", "masks", "red", "green"),
    [
        (16, (0xF800, 0x07E0, 0x001F), 0xF800, 0x07E0),
        (16, (0x7C00, 0x03E0, 0x001F), 0x7C00, 0x03E0),
        (32, (0xFF, 0xFF00, 0xFF0000), 0xFF, 0xFF00),
        (32, (0xFF000000, 0xFF0000, 0xFF00), 0xFF000000, 0xFF0000),
        (32, (0x3FF00000, 0xFFC00, 0x3FF), 0x3FF00000, 0xFFC00),
    ],
)
def test_a_bmp_has_the_colours_that_its_masks_say(
    bits: int, masks: tuple[int, ...], red: int, green: int, header: int
) -> None:
    """OpenCV takes the red of some for their blue, and refuses others."""
    pixels = np.full((5, 7), red, np.uint16 if bits == 16 else np.uint32)
    pixels[3:] = green
    picture = read_picture(_bmp(bits, masks if header == 40 else (*masks, 0), pixels, header))
    assert picture.pixels[0, 0].tolist() == [0, 0, 255]
    assert picture.pixels[4, 6].tolist() == [0, 255, 0]


def test_a_transparent_bmp_stands_on_white_unless_all_of_it_is_transparent() -> None:
    """Many programs leave the fourth byte zero and mean opaque."""
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    pixels = np.full((4, 4), 0x000000FF, np.uint32)
    assert read_picture(_bmp(32, masks, pixels, 124)).pixels[0, 0].tolist() == [255, 0, 0]
    pixels[0] = 0xFF0000FF
    found = read_picture(_bmp(32, masks, pixels, 124)).pixels
    assert found[0, 0].tolist() == [255, 0, 0]
    assert found[3, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (_tiff_of_samples(np.zeros((8, 8, 3), np.float32), 0, tag339=3), "32-bit floating-point"),
        (_tiff_of_samples(np.zeros((8, 8, 3), np.uint32), 0), "32-bit whole"),
        (_tiff_of_samples(np.zeros((8, 8, 3), np.int16), 0, tag339=2), "16-bit signed"),
        (encoded(quarters(), ".jpg").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"), "12 bits"),
        (_bmp(32, (0xFF00FF, 0xFF00, 0xFF), np.zeros((4, 4), np.uint32)), "scattered bits"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"II+\0" + bytes(40), "BigTIFF"),
    ],
)
def test_a_sound_picture_that_cannot_be_decoded_is_not_called_damaged(data: bytes, word: str) -> None:
    with pytest.raises(PictureUnsupported, match=word) as raised:
        read_picture(data)
    assert "damaged" not in str(raised.value)


@pytest.mark.parametrize(("extension", "factor"), [(".png", 4), (".bmp", 4), (".tiff", 4), (".webp", 4)])
def test_other_large_pictures_are_reduced_as_jpegs_are(extension: str, factor: int) -> None:
    picture = read_picture(encoded(quarters(1000, 770), extension, cv2.IMWRITE_WEBP_QUALITY, 101))
    assert (picture.width, picture.height) == (1000, 770)
    assert picture.pixels.shape == (-(-770 // factor), 1000 // factor, 3)
    assert close(picture.pixels, quarters(250, 193))


def test_half_transparent_sixteen_bit_pixels_are_blended() -> None:
    cut_out = np.zeros((8, 8, 4), np.uint16)
    cut_out[:, :, 3] = 0x8000
    assert (read_picture(encoded(cut_out, ".png")).pixels == 127).all()


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.95])
def test_a_picture_cut_off_anywhere_is_refused_and_not_classified_half(extension: str, part: float) -> None:
    whole = encoded(textured(320, 240), extension)
    with pytest.raises((PictureUnreadable, PictureUnsupported)) as caught:
        read_picture(whole[: int(len(whole) * part)])
    assert caught.value.code in ("picture_unreadable", "picture_unsupported")


def test_a_jpeg_without_its_last_two_bytes_is_cut_off() -> None:
    with pytest.raises(PictureUnreadable, match="ends too early"):
        read_picture(jpeg()[:-2])


def test_the_end_of_an_embedded_thumbnail_is_not_the_end_of_the_picture() -> None:
    whole = encoded(quarters(), ".jpg")
    thumbnail = b"\xff\xe2" + (len(whole) + 2).to_bytes(2, "big") + whole
    with pytest.raises(PictureUnreadable, match="ends too early"):
        read_picture((whole[:2] + thumbnail + whole[2:])[:-2])


def test_twenty_thousand_pixels_a_side_are_refused_without_allocating() -> None:
    tracemalloc.start()
    with pytest.raises(PictureTooLarge, match="20,000 x 20,000"):
        read_picture(png_claiming(20_000, 20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000  # the pixels would be 1,200,000,000


def test_one_very_long_row_is_refused() -> None:
    with pytest.raises(PictureTooLarge):
        read_picture(png_claiming(1_000_000, 10))


def test_too_many_bytes_are_refused_unread() -> None:
    with pytest.raises(PictureTooLarge, match="The limit is upload"):
        read_picture(b"x" * 2000, DecodeLimits(max_bytes=1999))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (zip_archive(), "zip"),
        (b"a cat\nand a dog", "text"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x00\x01\x02\x03", "something else"),
        (b"", "empty"),
    ],
)
def test_what_is_not_a_picture_is_called_by_its_name(data: bytes, word: str) -> None:
    with pytest.raises(PictureUnsupported, match=word):
        read_picture(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8" + b"\xff" * 100,
        b"\xff\xd8\xff\xe0\x00\x10" + b"x" * 100,
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 2000,
        b"\xff\xd8\xff\xda\x00\x02\xff\xd9",
        png_claiming(0, 10),
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        png_claiming(8, 8),
        b"\x89PNG\r\n\x1a\n" + png_claiming(8, 8)[8:33] + bytes(12 * 70_000),
        b"RIFF\x04\x00\x00\x00WEBPWHAT",
        b"RIFF\x14\x00\x00\x00WEBPVP8 " + bytes(20),
        b"RIFF\x14\x00\x00\x00WEBPVP8L" + bytes(20),
        b"BM" + bytes(60),
        b"GIF89a",
        b"GIF89a\x08\x00\x08\x00\x00\x00\x00\x3b",
        b"II*\0\xf0\0\0\0",
        b"II*\0\x08\0\0\0\x01\0" + b"\0\1\4\0\1\0\0\0\x08\0\0\0",
    ],
)
def test_headers_that_lie_get_one_sentence(data: bytes) -> None:
    with pytest.raises(PictureUnreadable, match=r"^The picture"):
        read_picture(data)


def test_a_small_tiff_with_one_huge_tile_is_refused() -> None:
    entries = [(256, 8), (257, 8), (322, 60_000), (323, 60_000)]
    packed = b"".join(t.to_bytes(2, "little") + b"\4\0\1\0\0\0" + v.to_bytes(4, "little") for t, v in entries)
    with pytest.raises(PictureUnreadable, match="tiles"):
        read_picture(b"II*\0\x08\0\0\0\x04\0" + packed + bytes(4))


WIDTH, HEIGHT, TILE_WIDTH = 256, 257, 322


@pytest.mark.parametrize(
    "entries",
    [
        [(WIDTH, 4, 1, 16_000), (WIDTH, 4, 1, 16), (HEIGHT, 4, 1, 16_000), (HEIGHT, 4, 1, 16)],
        [(WIDTH, 9, 1, 16_000), (WIDTH, 4, 1, 16), (HEIGHT, 9, 1, 16_000), (HEIGHT, 4, 1, 16)],
        [(WIDTH, 4, 1, 16), (HEIGHT, 4, 1, 16), (TILE_WIDTH, 9, 1, 60_000), (TILE_WIDTH, 4, 1, 16)],
        [*((60_000 + number, 3, 1, 0) for number in range(2000)), (WIDTH, 4, 1, 16), (HEIGHT, 4, 1, 16)],
    ],
    ids=["twice", "signed", "tile", "late"],
)
def test_a_tiff_has_one_size_for_the_judge_and_the_decoder(entries: list[tuple[int, int, int, int]]) -> None:
    """A decoder takes the first of two, in more types than the format knows, and reads on where we would not."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    with pytest.raises((PictureTooLarge, PictureUnreadable), match=r"16,000 x 16,000|size in a way|too many entries"):
        read_picture(b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4))


def _progressive(scans: int, between: bytes = b"") -> bytes:
    """A grey JPEG of 64 x 64 pixels in which that many scans say nothing new, a few bytes each."""
    frame = struct.pack(">HBHHB", 11, 8, 64, 64, 1) + bytes([1, 0x11, 0])
    tables = b"\xff\xdb\0\x43\0" + bytes([16] * 64) + b"\xff\xc2" + frame
    codes = b"".join(
        b"\xff\xc4" + struct.pack(">HB", 20, kind) + bytes([1, *[0] * 15, value]) for kind, value in ((0, 0), (16, 0))
    )
    first = b"\xff\xda\0\x08\x01\x01\0\0\0\0" + bytes(8)
    more = b"\xff\xda\0\x08\x01\x01\0\x01\x3f\0" + bytes(8)
    return b"\xff\xd8" + tables + codes + first + between + more * (scans - 1) + b"\xff\xd9"


def test_a_jpeg_of_endless_scans_is_refused_unread() -> None:
    """Each is a pass over all pixels: some megabytes of them would keep a core busy for a quarter of an hour."""
    assert read_picture(_progressive(20)).width == 64
    end_in_a_comment = b"\xff\xfe\0\x04\xff\xd9"
    for data in (_progressive(1000), _progressive(1000, end_in_a_comment)):
        with pytest.raises(PictureUnreadable, match="too many scans"):
            read_picture(data)


def test_what_follows_a_jpeg_is_not_the_picture() -> None:
    """A phone's moving picture has its video behind the picture: any bytes, those of markers among them."""
    video = b"\xff\xda\xff\xe0" * 5000 + b"\xff\xd9"
    assert read_picture(jpeg() + video).width == 640
    with pytest.raises(PictureUnreadable, match="too early"):
        read_picture(jpeg()[:-2] + b"\xff\xfe\x7f\xff" + video)


def test_a_small_file_that_takes_a_gigabyte_to_decode_is_refused_unread() -> None:
    """Sixteen bits and transparency, 7,000 pixels a side: some hundred kilobytes as PNG."""
    header = struct.pack(">IIBBBBB", 7000, 7000, 16, 6, 0, 0, 0)
    deep = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")
    with pytest.raises(PictureTooLarge, match="394 MB"):
        read_picture(b"\x89PNG\r\n\x1a\n" + deep)


@pytest.mark.parametrize("layout", [[(278, 3, 1, 7000)], [(322, 3, 1, 7008), (323, 3, 1, 7008)], []])
def test_a_tiff_in_one_piece_is_judged_by_its_bits(layout: list[tuple[int, int, int, int]]) -> None:
    entries = [(256, 4, 1, 7000), (257, 4, 1, 7000), (258, 3, 4, 100), (277, 3, 1, 4), *layout]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed
    with pytest.raises(PictureTooLarge, match="MB of memory"):
        read_picture(head.ljust(100, b"\0") + struct.pack("<4H", 16, 16, 16, 16))


def test_random_damage_never_ends_in_anything_but_a_picture_or_a_sentence() -> None:
    random = np.random.default_rng(3)
    for extension in FORMATS:
        whole = np.frombuffer(encoded(textured(120, 90), extension), np.uint8)
        for _ in range(120):
            damaged = whole.copy()
            places = random.integers(0, min(len(damaged), 400), 6)
            damaged[places] = random.integers(0, 256, 6)
            with contextlib.suppress(PictureUnreadable, PictureUnsupported, PictureTooLarge):
                picture = read_picture(damaged.tobytes(), DecodeLimits(max_pixels=1_000_000))
                assert picture.pixels.dtype == np.uint8
                assert picture.pixels.ndim == 3


def test_opencv_itself_would_refuse_what_got_past_us() -> None:
    """The second lock: read when the library loads, so it is tried in a process of its own."""
    code = (
        "import lookout.pictures.decode, cv2, numpy as np, sys\n"
        "try: sys.exit(cv2.imdecode(np.frombuffer(sys.stdin.buffer.read(), np.uint8), 1) is not None)\n"
        "except cv2.error as error: sys.exit(0 if 'MAX_IMAGE_PIXELS' in str(error) else 3)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=png_claiming(20_000, 20_000), timeout=60, check=False, env={}
    )
    assert done.returncode == 0


def test_the_header_is_enough_for_the_upright_size() -> None:
    assert read_header(with_exif(encoded(quarters(), ".jpg"), 6)).upright_size == (96, 160)
