"""The messages between a camera's process and the service. Standard library only, as both sides import it.

Over one SOCK_SEQPACKET pair: the service sends one `Hello`, then the slots it gives back; the camera's process sends
`Ready` or an error, then one `Picture` for each filled slot, and WAITING while data arrives but no picture. The pixels
are in one anonymous memory file of SLOTS equal parts, which the camera's process sizes before its first picture.
"""

from __future__ import annotations

import functools
import json
import math
import struct
from dataclasses import asdict, dataclass

from lookout import errors
from lookout.camera.interface import CameraInfo, CameraOptions

# Half of the slots may be lent at a time, see `shared_memory.py`. Memory is allocated when a slot is first written; the
# camera's process reuses the slot that came back last, so that rarely needed ones stay unallocated.
SLOTS = 8
MAX_MESSAGE = 32_768  # bytes; a Hello with a long import path is the largest
MAX_PICTURE = 256 * 1024 * 1024  # bytes in a slot; guards against a nonsensical shape
PAGE = 4096
# Bytes of a slot for sources whose pictures vary in size: a stream that is reconfigured, a folder of pictures.
MIN_ROOM = {"rtsp": 2**26, "http": 2**26, "file": MAX_PICTURE, "folder": MAX_PICTURE}
# Maximum characters of an error, since drivers may print anything.
_MAX_DETAIL, _MAX_REMEDY = 2000, 500

_PICTURE = struct.Struct("<cBdQI")
_LAYOUT = struct.Struct("<BBIIIIII12s")
_FLIPS = ("none", "horizontal", "vertical", "both")


@dataclass(frozen=True, slots=True)
class Hello:
    """The source to open. path: additions to the import path, for scripted cameras."""

    address: str
    options: CameraOptions
    seconds: float
    path: tuple[str, ...] = ()

    def pack(self) -> bytes:
        return b"H" + json.dumps(asdict(self)).encode()

    @classmethod
    def unpack(cls, message: bytes) -> Hello:
        data = json.loads(message[1:])
        options = CameraOptions(**data["options"])
        return cls(data["address"], options, data["seconds"], tuple(data["path"]))


@dataclass(frozen=True, slots=True)
class Layout:
    """How pictures are stored in slots. shape: of the array; bytes_per_slot: bytes; the rest as in `RawFrame`."""

    shape: tuple[int, ...]
    format: str
    width: int
    height: int
    rotate: int
    flip: str
    bytes_per_slot: int

    def pack(self) -> bytes:
        rows, columns, channels = (*self.shape, 0, 0, 0)[:3]
        return _LAYOUT.pack(
            self.rotate // 90,
            _FLIPS.index(self.flip),
            rows,
            columns,
            channels,
            self.width,
            self.height,
            self.bytes_per_slot,
            self.format.encode(),
        )

    @classmethod
    def unpack(cls, message: bytes) -> Layout:
        """Raise ValueError if the layout is impossible, since it is used to access memory."""
        turns, flip, rows, columns, channels, width, height, room, name = _LAYOUT.unpack(message)
        shape = tuple(size for size in (rows, columns, channels) if size)
        layout = cls(shape, name.rstrip(b"\0").decode(), width, height, turns * 90, _FLIPS[flip & 3], room)
        if not (turns < 4 and 0 < layout.size <= room <= MAX_PICTURE and room % PAGE == 0):
            raise ValueError("impossible picture")
        return layout

    @property
    def size(self) -> int:
        """The size of the array in bytes."""
        return math.prod(self.shape) if self.shape else 0


@dataclass(frozen=True, slots=True)
class Picture:
    """A filled slot. captured_at, sequence, mark: as in `Frame`."""

    slot: int
    captured_at: float
    sequence: int
    mark: int
    layout: Layout

    def pack(self) -> bytes:
        return _PICTURE.pack(b"P", self.slot, self.captured_at, self.sequence, self.mark) + self.layout.pack()

    @classmethod
    def unpack(cls, message: bytes) -> Picture:
        """Read a message. Raises ValueError for an invalid one."""
        if len(message) != _PICTURE.size + _LAYOUT.size:
            raise ValueError("wrong length")
        _, slot, captured_at, sequence, mark = _PICTURE.unpack_from(message)
        if slot >= SLOTS:
            raise ValueError("impossible slot")
        return cls(slot, captured_at, sequence, mark, _layout(message[_PICTURE.size :]))


# Cached, since a source keeps its layout unless its pictures differ in size.
_layout = functools.lru_cache(maxsize=1)(Layout.unpack)


def pack_ready(info: CameraInfo) -> bytes:
    return b"R" + json.dumps(asdict(info)).encode()


def unpack_ready(message: bytes) -> CameraInfo:
    data = json.loads(message[1:])
    return CameraInfo(**{**data, "notes": tuple(data["notes"])})


def pack_error(error: errors.LookoutError) -> bytes:
    """Pack an error. Long texts are cut; JSON takes at most 12 bytes per character, so that it fits into a message."""
    detail, remedy = error.detail[:_MAX_DETAIL], error.remedy[:_MAX_REMEDY]
    return b"E" + json.dumps({"code": error.code, "detail": detail, "remedy": remedy}).encode()


def unpack_error(message: bytes) -> errors.CameraError:
    """Unpack the error raised in the camera's process; an unknown kind becomes a plain CameraError."""
    data = json.loads(message[1:])
    kinds = {kind.code: kind for kind in errors.CameraError.__subclasses__()}
    return kinds.get(data["code"], errors.CameraError)(data["detail"], data["remedy"])


END = b"Z"
WAITING = b"W"


def room_for(size: int) -> int:
    """The bytes of a slot for pictures of `size` bytes: whole pages, so that each slot can be mapped separately."""
    return -(-size // PAGE) * PAGE
