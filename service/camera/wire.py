"""What a camera's process and the service say to each other. Standard library alone, both sides import it.

Over one SOCK_SEQPACKET pair: the service sends one `Hello`, then the slots it gives back; the camera's process answers
with `Ready` or an error, then one `Picture` for each filled slot. The pixels lie in one anonymous memory file of SLOTS
equal parts, which the camera's process sizes before its first picture.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass

from service import errors
from service.camera.protocol import CameraInfo, CameraOptions

SLOTS = 4
MAX_MESSAGE = 32_768  # bytes; a Hello with a long import path is the largest
MAX_PICTURE = 256 * 1024 * 1024  # bytes in a slot; guards against nonsense in a shape
PAGE = 4096

_PICTURE = struct.Struct("<cBBBdqIIIIII12s")
_FLIPS = ("none", "horizontal", "vertical", "both")


@dataclass(frozen=True, slots=True)
class Hello:
    """What the camera's process is to open. path: where further modules may be found, for scripted cameras."""

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
class Picture:
    """A filled slot. shape: of the array in it; bytes_per_slot: of the file; the rest as in `RawFrame`."""

    slot: int
    sequence: int
    captured_at: float
    shape: tuple[int, ...]
    format: str
    width: int
    height: int
    rotate: int
    flip: str
    bytes_per_slot: int

    def pack(self) -> bytes:
        rows, columns, channels = (*self.shape, 0, 0, 0)[:3]
        return _PICTURE.pack(
            b"P",
            self.slot,
            self.rotate // 90,
            _FLIPS.index(self.flip),
            self.captured_at,
            self.sequence,
            rows,
            columns,
            channels,
            self.width,
            self.height,
            self.bytes_per_slot,
            self.format.encode(),
        )

    @classmethod
    def unpack(cls, message: bytes) -> Picture:
        """Raises ValueError for a message that cannot be true: it is about to be used as an address in memory."""
        if len(message) != _PICTURE.size:
            raise ValueError("wrong length")
        _, slot, turns, flip, captured_at, sequence, rows, columns, channels, width, height, room, name = (
            _PICTURE.unpack(message)
        )
        shape = tuple(size for size in (rows, columns, channels) if size)
        picture = cls(
            slot,
            sequence,
            captured_at,
            shape,
            name.rstrip(b"\0").decode(),
            width,
            height,
            turns * 90,
            _FLIPS[flip & 3],
            room,
        )
        if not (slot < SLOTS and turns < 4 and 0 < picture.size <= room <= MAX_PICTURE and room % PAGE == 0):
            raise ValueError("impossible picture")
        return picture

    @property
    def size(self) -> int:
        """Bytes of the array."""
        size = 1 if self.shape else 0
        for side in self.shape:
            size *= side
        return size


def pack_ready(info: CameraInfo) -> bytes:
    return b"R" + json.dumps(asdict(info)).encode()


def unpack_ready(message: bytes) -> CameraInfo:
    data = json.loads(message[1:])
    return CameraInfo(**{**data, "notes": tuple(data["notes"])})


def pack_error(error: errors.LookoutError) -> bytes:
    return (
        b"E"
        + json.dumps({"code": error.code, "detail": error.detail, "remedy": error.remedy}).encode()[: MAX_MESSAGE // 2]
    )


def unpack_error(message: bytes) -> errors.CameraError:
    """The error as it was raised in the camera's process; of a kind unknown here a plain CameraError."""
    data = json.loads(message[1:])
    kinds = {kind.code: kind for kind in errors.CameraError.__subclasses__()}
    return kinds.get(data["code"], errors.CameraError)(data["detail"], data["remedy"])


END = b"Z"


def room_for(size: int) -> int:
    """Bytes of a slot that holds `size` bytes: whole pages, so that each slot can be mapped alone."""
    return -(-size // PAGE) * PAGE
