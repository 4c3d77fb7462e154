"""The decoding process, started by `process.py`; the service itself imports this module only for its name.

It gets a socket to the service, a pipe that closes when the service ends, and for each picture two descriptors: the
file, and an empty memory file for the pixels. It knows no settings and no file names.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import socket
from typing import TYPE_CHECKING

from lookout.errors import LookoutError, PictureUnreadable
from lookout.pictures.limits import DecodeLimits
from lookout.pictures.protocol import JOB, JOB_DESCRIPTORS, MAX_MESSAGE, PICTURE
from lookout.pictures.refusals import too_much_memory, unread
from lookout.system.parent import die_with

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lookout.pictures.confinement import Limits

_PIECE = 2**20
# The smallest GIF. Decoding it triggers all lazy loading while files can still be opened and memory is available.
_SPECK = bytes.fromhex("47494638376101000100800000ffffff0000002c00000000010001000002024401003b")


class Printed:
    """Captures the output of libraries on stderr in a pipe. If that is full, further output is lost."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(writing, False)
        os.dup2(writing, 2)
        os.close(writing)

    def take(self) -> bytes:
        """Return the output since the last call."""
        try:
            return os.read(self._reading, MAX_MESSAGE)
        except BlockingIOError:
            return b""


def main(line: socket.socket, life: int) -> None:
    """Decode pictures until the service closes the socket."""
    die_with(life)
    try:
        printed = Printed()
        limits = _prepared()
    except Exception as error:
        line.send(_failure(error))
        return
    line.send(b"R")
    while True:
        message, descriptors, _, _ = socket.recv_fds(line, MAX_MESSAGE, JOB_DESCRIPTORS)
        if not message:
            return
        try:
            reply = _done(message, descriptors, limits, printed)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        line.send(reply)


def _prepared() -> Limits:
    """Load everything that decoding needs, which takes most of a second, then drop all other rights."""
    import cv2

    from lookout.pictures.confinement import Limits
    from lookout.pictures.decode import read_picture

    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # to stderr, where `check_complaints` reads it
    with contextlib.suppress(LookoutError):
        read_picture(_SPECK)
    return Limits()


def _failure(error: Exception) -> bytes:
    return b"X" + f"{type(error).__name__}: {error}"[:500].encode("utf-8", "replace")


def _done(message: bytes, descriptors: list[int], limits: Limits, printed: Printed) -> bytes:
    """Do one job and return the reply."""
    allowed = DecodeLimits(*JOB.unpack(message))
    try:
        source, target = descriptors
        return _decoded(source, target, allowed, limits, printed)
    except PictureUnreadable as error:
        return _refusal(_unread(source) or error)
    except LookoutError as error:
        return _refusal(error)
    except MemoryError:
        return _refusal(too_much_memory(allowed.memory))
    except OSError as error:  # no mapping: only the file's disk can be the reason
        return _refusal(unread(error.strerror or type(error).__name__))
    except Exception as error:
        return _failure(error)


def _unread(file: int) -> PictureUnreadable | None:
    """The error if the file cannot be read to its end: decoders take a disk's failure for the picture's."""
    at = 0
    try:
        while part := os.pread(file, _PIECE, at):
            at += len(part)
    except OSError as error:
        return unread(error.strerror or type(error).__name__)
    return None


def _refusal(error: LookoutError) -> bytes:
    return b"E" + json.dumps([error.code, error.detail, error.remedy]).encode()


def _decoded(source: int, target: int, allowed: DecodeLimits, limits: Limits, printed: Printed) -> bytes:
    import numpy as np

    from lookout.pictures.decode import read_file

    def place(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        size = shape[0] * shape[1] * shape[2]
        os.ftruncate(target, size)
        limits.memory(allowed.memory - size)
        return np.frombuffer(mmap.mmap(target, size), np.uint8).reshape(shape)

    limits.begin(allowed.memory)
    picture = read_file(source, allowed, place, printed.take)
    rows, columns = picture.pixels.shape[:2]
    return b"P" + PICTURE.pack(rows, columns, picture.width, picture.height, picture.format.encode())
