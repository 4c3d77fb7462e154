"""What a picture file says of itself before anything is decoded: format, size, orientation, whether it is whole.

A few bytes are read in place and nothing is allocated in proportion to what the header claims. Every loop is bounded:
these bytes come from strangers.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from lookout.errors import PictureUnreadable, PictureUnsupported

# A JPEG has a few dozen segments before its scan, a PNG or WebP of the size we accept some thousand chunks.
_MAX_SEGMENTS = 1024
# A progressive JPEG has about ten scans. Each is a pass of the decoder over all pixels, and may be a few bytes long.
_MAX_SCANS = 100
_MAX_CHUNKS = 65_536
# The specification allows padding between JPEG segments; nobody writes more than a few bytes of it.
_MAX_FILL = 64
_MAX_TIFF_ENTRIES = 1024

_ACCEPTED = "Send a JPEG, PNG, WebP, BMP, TIFF or GIF picture."


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """width, height: pixels as stored, before the orientation (EXIF, 1 to 8) turns them upright.

    decoder_bytes: what its decoder holds at once beside the finished picture, where that may be more than the picture.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    alpha: bool = False
    decoder_bytes: int = 0

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        turned = self.orientation >= 5
        return (self.height, self.width) if turned else (self.width, self.height)


def read_header(data: bytes) -> PictureHeader:
    """Recognise the picture by its first bytes and read its header.

    Raises PictureUnsupported for what is no picture of ours, PictureUnreadable for one that is cut off or broken.
    """
    for matches, parse in _FORMATS:
        if matches(data):
            try:
                header = parse(data)
            except (struct.error, IndexError) as error:
                raise _cut_off() from error
            if header.width < 1 or header.height < 1:
                raise _broken("its header says that it has no pixels")
            return header
    raise PictureUnsupported(f"This is {_guess(data)}, not a picture Lookout can read.", _ACCEPTED)


def _guess(data: bytes) -> str:
    """What it may be instead, so that the sentence helps."""
    if data[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file"
    for magic, words in ((b"PK", "a zip archive"), (b"%PDF", "a PDF"), (b"\x1f\x8b", "a gzip archive")):
        if data.startswith(magic):
            return words
    if not data:
        return "empty"
    return "text" if data[:256].decode("latin-1").replace("\n", " ").isprintable() else "something else"


# --- JPEG -----------------------------------------------------------------------------------------------------

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # tables and extensions share the range
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN, _END_OF_IMAGE, _APP1 = 0xDA, 0xD9, 0xE1
# Inside a scan 0xFF is always followed by a zero or a restart marker.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def _jpeg(data: bytes) -> PictureHeader:
    at, size, orientation = 2, (0, 0), 1
    for _ in range(_MAX_SEGMENTS):
        marker, at = _jpeg_marker(data, at)
        if marker in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if marker == _START_OF_SCAN:
            _to_the_end(data, at)
            return PictureHeader("JPEG", *size, orientation)
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 3)
            size = (width, height)
        elif marker == _APP1 and data[at + 2 : at + 8] == b"Exif\0\0":
            orientation = _exif_orientation(data[at + 8 : at + length])
        elif marker == _END_OF_IMAGE:
            break
        at += max(2, length)
    raise _broken("it holds no image data")


def _to_the_end(data: bytes, at: int) -> None:
    """From the header of the first scan to the picture's true end, as decoders go; what follows it may be a video.

    A decoder may fill what is missing with grey, and grey would be classified.
    """
    scans, marker = 0, _START_OF_SCAN
    for _ in range(_MAX_SEGMENTS):
        scans += marker == _START_OF_SCAN
        if scans > _MAX_SCANS:
            raise _broken("it has too many scans")
        if marker not in _WITHOUT_LENGTH:
            at += max(2, *struct.unpack_from(">H", data, at))
        found = _MARKER.search(data, at)
        if found is None:
            raise _cut_off()
        marker, at = data[found.end() - 1], found.end()
        if marker == _END_OF_IMAGE:
            return
    raise _broken("it has too many segments")


def _jpeg_marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at `at` and the position after it."""
    if data[at] != 0xFF:
        raise _broken("a segment does not begin where the one before ends")
    for after in range(at + 1, at + 1 + _MAX_FILL):
        if data[after] != 0xFF:
            return data[after], after + 1
    raise _broken("it is padded without end")


# --- PNG ------------------------------------------------------------------------------------------------------


def _png(data: bytes) -> PictureHeader:
    kind, width, height, depth, color = struct.unpack_from(">4sIIBB", data, 12)
    if kind != b"IHDR":
        raise _broken("its first chunk is not a header")
    alpha, orientation, at = color in (4, 6), 1, 8
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            # Transparent pictures are decoded as they are stored; of others the library drops the second byte at once.
            held = width * height * 4 * (2 if depth == 16 else 1) if alpha else 0
            return PictureHeader("PNG", width, height, orientation, alpha, held)
        if kind == b"tRNS":
            alpha = True
        elif kind == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : at + 8 + length])
        at += 12 + length
    raise _broken("it has too many chunks")


# --- WebP -----------------------------------------------------------------------------------------------------

_WEBP_ALPHA = 0x10


def _webp(data: bytes) -> PictureHeader:
    (claimed,) = struct.unpack_from("<I", data, 4)
    if claimed + 8 > len(data):
        raise _cut_off()
    kind = data[12:16]
    if kind == b"VP8 ":
        if data[23:26] != b"\x9d\x01\x2a":
            raise _broken("its first frame does not start")
        width, height = struct.unpack_from("<HH", data, 26)
        return PictureHeader("WebP", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        signature, bits = struct.unpack_from("<BI", data, 20)
        if signature != 0x2F:
            raise _broken("its first frame does not start")
        return PictureHeader("WebP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 1, bool(bits >> 28 & 1))
    if kind == b"VP8X":
        alpha = bool(data[20] & _WEBP_ALPHA)
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        _ = data[29]  # the size must be there in full
        return PictureHeader("WebP", width, height, _webp_orientation(data), alpha)
    raise _broken("it holds no image data")


def _webp_orientation(data: bytes) -> int:
    at = 12
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(data):
            return 1
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            return _exif_orientation(data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0"))
        at += 8 + length + length % 2
    raise _broken("it has too many chunks")


# --- BMP, GIF -------------------------------------------------------------------------------------------------


def _bmp(data: bytes) -> PictureHeader:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if header_bytes == 12:  # OS/2's, with 16-bit sizes
        return PictureHeader("BMP", *struct.unpack_from("<HH", data, 18))
    if not 40 <= header_bytes <= 124:
        raise _broken("its header has no known size")
    width, height = struct.unpack_from("<ii", data, 18)
    return PictureHeader("BMP", max(0, width), abs(height))  # a negative height means rows from top to bottom


def _gif(data: bytes) -> PictureHeader:
    return PictureHeader("GIF", *struct.unpack_from("<HH", data, 6))


# --- TIFF and EXIF, which is a TIFF without a picture ----------------------------------------------------------

_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _SAMPLES, _STRIP_ROWS, _TILE_WIDTH, _TILE_HEIGHT = (
    256, 257, 258, 274, 277, 278, 322, 323,
)  # fmt: skip
_SHORT, _LONG = 3, 4
# What decides how much a decoder allocates. It reads them in more ways than the format knows.
_MEASURES = (_WIDTH, _HEIGHT, _BITS, _SAMPLES, _STRIP_ROWS, _TILE_WIDTH, _TILE_HEIGHT)
_ODD = -1


def _tiff(data: bytes) -> PictureHeader:
    tags = _first_directory(data)
    if any(tags.get(tag) == _ODD for tag in _MEASURES):
        raise _broken("its header tells its size in a way the format does not know")
    width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
    # Decoders allocate whole tiles, so a small picture with one huge tile is a huge picture.
    stored = (max(width, tags.get(_TILE_WIDTH, 0)), max(height, tags.get(_TILE_HEIGHT, 0)))
    if width and height and stored[0] * stored[1] > 4 * width * height + 2**20:
        raise _broken("its tiles are far larger than the picture")
    orientation = _valid_orientation(tags.get(_ORIENTATION, 1))
    return PictureHeader("TIFF", width, height, orientation, decoder_bytes=_block_bytes(tags))


def _block_bytes(tags: dict[int, int]) -> int:
    """Bytes of one tile or strip, which is decoded whole: a strip may be the whole picture, in 64 bits a sample."""
    rows = min(tags.get(_STRIP_ROWS, 2**32), tags.get(_HEIGHT, 0))
    pixels = tags.get(_TILE_WIDTH, tags.get(_WIDTH, 0)) * tags.get(_TILE_HEIGHT, rows)
    return pixels * tags.get(_SAMPLES, 1) * -(-tags.get(_BITS, 1) // 8)


def _exif_orientation(block: bytes) -> int:
    """1 (upright) when the block is damaged: a broken note about a picture is no reason to refuse the picture."""
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        return _valid_orientation(_first_directory(block).get(_ORIENTATION, 1))
    except (struct.error, PictureUnreadable):
        return 1


def _valid_orientation(value: int) -> int:
    return value if 1 <= value <= 8 else 1


def _first_directory(block: bytes) -> dict[int, int]:
    """Tags of the first directory that are one whole number, and the bits of the first of several samples.

    Others are _ODD. Of a tag that comes twice the first counts, as for decoders: else a small picture would be judged
    and a huge one decoded. Raises struct.error where it leaves the block.
    """
    order = "<" if block[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", block, 4)
    (count,) = struct.unpack_from(order + "H", block, at)
    if count > _MAX_TIFF_ENTRIES:
        raise _broken("its header has too many entries")
    tags: dict[int, int] = {}
    for entry in range(count):
        tag, kind, values = struct.unpack_from(order + "HHI", block, at + 2 + 12 * entry)
        if tag in tags:
            continue
        tags[tag] = _ODD
        if values == 1 and kind in (_SHORT, _LONG):
            form = order + ("H" if kind == _SHORT else "I")
            (tags[tag],) = struct.unpack_from(form, block, at + 10 + 12 * entry)
        elif tag == _BITS and kind == _SHORT:
            (place,) = struct.unpack_from(order + "I", block, at + 10 + 12 * entry)
            (tags[tag],) = struct.unpack_from(order + "H", block, at + 10 + 12 * entry if values == 2 else place)
    return tags


# --- what is what ---------------------------------------------------------------------------------------------

_FORMATS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], PictureHeader]], ...] = (
    (lambda data: data.startswith(b"\xff\xd8\xff"), _jpeg),
    (lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    (lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP", _webp),
    (lambda data: data.startswith(b"BM"), _bmp),
    (lambda data: data.startswith((b"GIF87a", b"GIF89a")), _gif),
    (lambda data: data.startswith((b"II*\0", b"MM\0*")), _tiff),
)

_AGAIN = "Send the file again; if that does not help, open it in a picture viewer and save a copy."


def _cut_off() -> PictureUnreadable:
    return PictureUnreadable("The picture ends too early: a part of the file is missing.", _AGAIN)


def _broken(why: str) -> PictureUnreadable:
    return PictureUnreadable(f"The picture is damaged: {why}.", _AGAIN)
