"""Reads the headers of picture files before decoding: format, size, orientation, and whether the file is complete.

The bytes are untrusted: only a few are read, in place, nothing is allocated in proportion to the header's values, and
every loop is bounded.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from lookout.errors import PictureUnreadable, PictureUnsupported
from lookout.pictures.bmp import BitFields, read_info
from lookout.pictures.refusals import broken, cut_off, unsupported

# A JPEG has a few dozen segments before its scan; a PNG or WebP of an accepted size has a few thousand chunks.
_MAX_SEGMENTS = 1024
# A progressive JPEG has about ten scans. Each makes the decoder process all pixels, even if it is a few bytes long.
_MAX_SCANS = 100
_MAX_CHUNKS = 65_536
_MAX_TIFF_ENTRIES = 1024

# A file may be mapped rather than read, so that unused pages are never loaded.
Data = bytes | mmap.mmap

_ACCEPTED = "Send a JPEG, PNG, WebP, BMP, TIFF or GIF picture."


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """The facts in a picture's header.

    width, height: pixels as stored, before applying the orientation (EXIF, 1 to 8).
    alpha: whether pixels may be transparent. premultiplied: whether colours are already multiplied by alpha.
    deep: whether there are 16 bits per channel. animated: whether there are several frames.
    transparent_grey: the grey value that means transparent. fields: how a BMP packs its pixels.
    decoder_bytes: the memory that its decoder needs besides the picture.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    alpha: bool = False
    decoder_bytes: int = 0
    deep: bool = False
    animated: bool = False
    premultiplied: bool = False
    transparent_grey: int | None = None
    fields: BitFields | None = None

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        turned = self.orientation >= 5
        return (self.height, self.width) if turned else (self.width, self.height)


def is_picture(head: bytes) -> bool:
    """Whether a file that starts with these bytes (32 or more) is in a supported format, damaged or not."""
    # Texts may start with BM, too. In a BMP, the size of the second header follows, which is a small number.
    return any(matches(head) for matches, _ in _FORMATS) and (head[:2] != b"BM" or head[15:18] == b"\0\0\0")


def read_header(data: Data) -> PictureHeader:
    """Recognise the picture by its first bytes and read its header.

    Raises PictureUnsupported if it is not in a supported format, or of a kind that cannot be decoded; PictureUnreadable
    if it is truncated or damaged.
    """
    head = data[:32]
    for matches, parse in _FORMATS:
        if matches(head):
            try:
                header = parse(data)
            except (struct.error, IndexError) as error:
                raise cut_off() from error
            if header.width < 1 or header.height < 1:
                raise broken("its header says that it has no pixels")
            return header
    raise PictureUnsupported(f"This is {_guess(data[:256])}, not a picture Lookout can read.", _ACCEPTED)


def _guess(data: bytes) -> str:
    """What the file may be instead, for a helpful error."""
    if data[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file"
    for magic, words in (
        (b"PK", "a zip archive"),
        (b"%PDF", "a PDF"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
        (b"\0\0\0\x0cJXL ", "a JPEG XL"),
        (b"II+\0", "a BigTIFF"),
        (b"MM\0+", "a BigTIFF"),
    ):
        if data.startswith(magic):
            return words
    if not data:
        return "empty"
    return "text" if data[:256].decode("latin-1").replace("\n", " ").isprintable() else "something else"


# --- JPEG -----------------------------------------------------------------------------------------------------

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # tables and extensions share the range
_HIERARCHICAL = frozenset({0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF})
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN, _END_OF_IMAGE, _APP1 = 0xDA, 0xD9, 0xE1
# Phones and editors leave stray bytes between segments. As in all decoders, parsing continues at the next marker, which
# is the last of any number of 0xFF and the byte after it.
_MARKER = re.compile(rb"\xff[^\x00\xff]")
# Inside a scan, 0xFF is always followed by a zero or a restart marker.
_MARKER_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def _jpeg(data: Data) -> PictureHeader:
    at, size, orientation = 2, (0, 0), 0
    for _ in range(_MAX_SEGMENTS):
        marker, at = _next_marker(_MARKER, data, at)
        if marker in _WITHOUT_LENGTH:
            continue
        if marker == _END_OF_IMAGE:
            break
        (length,) = struct.unpack_from(">H", data, at)
        if marker == _START_OF_SCAN:
            _to_the_end(data, at)
            return PictureHeader("JPEG", *size, orientation or 1)
        if marker in _START_OF_FRAME:
            depth, height, width = struct.unpack_from(">BHH", data, at + 2)
            _check_frame(marker, depth)
            size = (width, height)
        elif marker == _APP1 and not orientation and data[at + 2 : at + 8] == b"Exif\0\0":
            # The first one counts, since editors put theirs before the camera's.
            orientation = _exif_orientation(data[at + 8 : at + length])
        at += max(2, length)
    raise broken("it contains no image data")


def _check_frame(marker: int, depth: int) -> None:
    if depth != 8 or marker in _HIERARCHICAL:
        kind = "JPEG in several sizes" if marker in _HIERARCHICAL else f"JPEG of {depth} bits per channel"
        raise unsupported(f"a {kind}")


def _next_marker(pattern: re.Pattern[bytes], data: Data, at: int) -> tuple[int, int]:
    """Return the next marker at or after `at`, and the position after it. Raises PictureUnreadable."""
    found = pattern.search(data, at)
    if found is None:
        raise cut_off()
    return data[found.end() - 1], found.end()


def _to_the_end(data: Data, at: int) -> None:
    """Check that the data from the first scan's header on reaches the picture's end; a video may follow that.

    A decoder may fill missing parts with grey, which would be classified. Raises PictureUnreadable.
    """
    scans, marker = 0, _START_OF_SCAN
    for _ in range(_MAX_SEGMENTS):
        scans += marker == _START_OF_SCAN
        if scans > _MAX_SCANS:
            raise broken("it has too many scans")
        if marker not in _WITHOUT_LENGTH:
            at += max(2, *struct.unpack_from(">H", data, at))
        marker, at = _next_marker(_MARKER_AFTER_SCAN, data, at)
        if marker == _END_OF_IMAGE:
            return
    raise broken("it has too many segments")


# --- PNG ------------------------------------------------------------------------------------------------------


def _png(data: Data) -> PictureHeader:
    kind, width, height, depth, color = struct.unpack_from(">4sIIBB", data, 12)
    if kind != b"IHDR":
        raise broken("its first chunk is not a header")
    alpha, grey, orientation, at, pixels = color in (4, 6), None, 1, 8, False
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            if not pixels:
                raise broken("it contains no image data")
            # Transparent pictures are decoded as stored; for others, the library drops the second byte itself.
            deep = depth == 16 and (alpha or grey is not None)
            return PictureHeader("PNG", width, height, orientation, alpha, deep=deep, transparent_grey=grey)
        pixels = pixels or kind == b"IDAT"
        if kind == b"tRNS" and color == 0:
            (grey,) = struct.unpack_from(">H", data, at + 8)
            grey *= 255 // (2**depth - 1) if depth in (1, 2, 4, 8) else 1
        elif kind == b"tRNS":
            alpha = True
        elif kind == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : at + 8 + length])
        at += 12 + length
    raise broken("it has too many chunks")


# --- WebP -----------------------------------------------------------------------------------------------------

_WEBP_ALPHA, _WEBP_ANIMATION = 0x10, 0x02


def _webp(data: Data) -> PictureHeader:
    (claimed,) = struct.unpack_from("<I", data, 4)
    if claimed + 8 > len(data):
        raise cut_off()
    kind = data[12:16]
    if kind == b"VP8 ":
        if data[23:26] != b"\x9d\x01\x2a":
            raise broken("its first frame does not start")
        width, height = struct.unpack_from("<HH", data, 26)
        return PictureHeader("WebP", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        signature, bits = struct.unpack_from("<BI", data, 20)
        if signature != 0x2F:
            raise broken("its first frame does not start")
        return PictureHeader("WebP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 1, bool(bits >> 28 & 1))
    if kind == b"VP8X":
        alpha, animated = bool(data[20] & _WEBP_ALPHA), bool(data[20] & _WEBP_ANIMATION)
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        _ = data[29]  # raises IndexError if the size is not complete
        return PictureHeader("WebP", width, height, _webp_orientation(data), alpha, animated=animated)
    raise broken("it contains no image data")


def _webp_orientation(data: Data) -> int:
    at = 12
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(data):
            return 1
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            return _exif_orientation(data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0"))
        at += 8 + length + length % 2
    raise broken("it has too many chunks")


# --- BMP ------------------------------------------------------------------------------------------------------


def _bmp(data: Data) -> PictureHeader:
    width, height, fields = read_info(data)
    return PictureHeader("BMP", width, height, alpha=bool(fields and fields.masks[3]), fields=fields)


# --- GIF ------------------------------------------------------------------------------------------------------

_GIF_EXTENSION, _GIF_CONTROL, _GIF_PICTURE = 0x21, 0xF9, 0x2C


def _gif(data: Data) -> PictureHeader:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    alpha = False
    for _ in range(_MAX_CHUNKS):
        if data[at] == _GIF_PICTURE:
            at += 11 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0)
            if not data[at]:
                break
            _after_blocks(data, at)
            return PictureHeader("GIF", width, height, alpha=alpha)
        if data[at] != _GIF_EXTENSION:
            break
        if data[at + 1] == _GIF_CONTROL and data[at + 2]:
            alpha = bool(data[at + 3] & 1)
        at = _after_blocks(data, at + 2)
    raise broken("it contains no image data")


def _after_blocks(data: Data, at: int) -> int:
    """Return the position after blocks of up to 255 bytes, of which the last is empty. Raises IndexError."""
    while data[at]:
        at += 1 + data[at]
    return at + 1


# --- TIFF and EXIF, which is a TIFF without a picture ----------------------------------------------------------

_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _SAMPLES, _STRIP_ROWS, _TILE_WIDTH, _TILE_HEIGHT = (
    256, 257, 258, 274, 277, 278, 322, 323,
)  # fmt: skip
_COMPRESSION, _PHOTOMETRIC, _EXTRA, _SAMPLE_FORMAT = 259, 262, 338, 339
# Tags with one value per sample, of which the first one is used.
_PER_SAMPLE = (_BITS, _EXTRA, _SAMPLE_FORMAT)
_GREY, _RGB = (0, 1), 2
_PREMULTIPLIED, _STRAIGHT = 1, 2
_UNSIGNED = (1, 4)  # 4: not specified
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946})
_COMPRESSION_NAMES = {34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP"}
_SHORT, _LONG = 3, 4
# Tags that determine how much a decoder allocates. Decoders accept them in more types than the format allows.
_MEASURES = (_WIDTH, _HEIGHT, _BITS, _SAMPLES, _STRIP_ROWS, _TILE_WIDTH, _TILE_HEIGHT)
_ODD = -1


def _tiff(data: Data) -> PictureHeader:
    tags = _first_directory(data)
    if any(tags.get(tag) == _ODD for tag in _MEASURES):
        raise broken("its header gives its size in a way the format does not allow")
    width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
    # Decoders allocate whole tiles, so a small picture with one huge tile takes as much memory as a huge picture.
    stored = (max(width, tags.get(_TILE_WIDTH, 0)), max(height, tags.get(_TILE_HEIGHT, 0)))
    if width and height and stored[0] * stored[1] > 4 * width * height + 2**20:
        raise broken("its tiles are far larger than the picture")
    _check_tiff(tags)
    orientation = _valid_orientation(tags.get(_ORIENTATION, 1))
    # A fourth sample without a description is transparency, too, as OpenCV and others write it.
    extra = tags.get(_EXTRA, _STRAIGHT)
    alpha = tags.get(_SAMPLES) == 4 and tags.get(_PHOTOMETRIC) == _RGB and extra in (_PREMULTIPLIED, _STRAIGHT)
    deep = alpha and tags.get(_BITS) == 16
    # With 8 bits, the library itself premultiplies pixels that are declared as straight; with 16 bits it does not.
    multiplied = extra == _PREMULTIPLIED or (_EXTRA in tags and not deep)
    return PictureHeader(
        "TIFF",
        width,
        height,
        orientation,
        alpha,
        decoder_bytes=_block_bytes(tags),
        deep=deep,
        premultiplied=multiplied,
    )


def _check_tiff(tags: dict[int, int]) -> None:
    """Raise PictureUnsupported for a picture that would be decoded wrongly or not at all."""
    bits, compression = tags.get(_BITS, 1), tags.get(_COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        name = _COMPRESSION_NAMES.get(compression, f"method {compression}")
        raise unsupported(f"a TIFF compressed with {name}")
    if tags.get(_SAMPLE_FORMAT, 1) not in _UNSIGNED or bits > 16:
        kind = {2: "signed", 3: "floating-point"}.get(tags.get(_SAMPLE_FORMAT, 1), "whole")
        raise unsupported(f"a TIFF of {bits}-bit {kind} numbers")
    if tags.get(_SAMPLES) == 2 and tags.get(_PHOTOMETRIC) in _GREY:
        raise unsupported("a grey TIFF with transparency")


def _block_bytes(tags: dict[int, int]) -> int:
    """The bytes of one tile or strip, which is decoded at once; it may be the whole picture, at 64 bits per sample."""
    rows = min(tags.get(_STRIP_ROWS, 2**32), tags.get(_HEIGHT, 0))
    pixels = tags.get(_TILE_WIDTH, tags.get(_WIDTH, 0)) * tags.get(_TILE_HEIGHT, rows)
    return pixels * tags.get(_SAMPLES, 1) * -(-tags.get(_BITS, 1) // 8)


def _exif_orientation(block: bytes) -> int:
    """The orientation; 1 (upright) if the block is damaged, which is not a reason to refuse the picture."""
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        return _valid_orientation(_first_directory(block).get(_ORIENTATION, 1))
    except (struct.error, PictureUnreadable):
        return 1


def _valid_orientation(value: int) -> int:
    return value if 1 <= value <= 8 else 1


def _first_directory(block: Data) -> dict[int, int]:
    """Return the tags of the first directory whose value is one integer, or one per sample, of which the first is used.

    Other tags are _ODD. If a tag occurs twice, the first counts, as in decoders; otherwise a small picture would be
    checked but a huge one decoded. Raises struct.error if the directory is not within the block.
    """
    order = "<" if block[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", block, 4)
    (count,) = struct.unpack_from(order + "H", block, at)
    if count > _MAX_TIFF_ENTRIES:
        raise broken("its header has too many entries")
    tags: dict[int, int] = {}
    for entry in range(count):
        tag, kind, values = struct.unpack_from(order + "HHI", block, at + 2 + 12 * entry)
        if tag in tags:
            continue
        tags[tag] = _ODD
        if values == 1 and kind in (_SHORT, _LONG):
            form = order + ("H" if kind == _SHORT else "I")
            (tags[tag],) = struct.unpack_from(form, block, at + 10 + 12 * entry)
        elif tag in _PER_SAMPLE and kind == _SHORT:
            (place,) = struct.unpack_from(order + "I", block, at + 10 + 12 * entry)
            (tags[tag],) = struct.unpack_from(order + "H", block, at + 10 + 12 * entry if values == 2 else place)
    return tags


# --- formats --------------------------------------------------------------------------------------------------

_FORMATS: tuple[tuple[Callable[[bytes], bool], Callable[[Data], PictureHeader]], ...] = (
    (lambda head: head.startswith(b"\xff\xd8\xff"), _jpeg),
    (lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    (lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP", _webp),
    (lambda head: head.startswith(b"BM"), _bmp),
    (lambda head: head.startswith((b"GIF87a", b"GIF89a")), _gif),
    (lambda head: head.startswith((b"II*\0", b"MM\0*")), _tiff),
)
