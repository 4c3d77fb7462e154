"""Finds JPEG pictures in a stream of bytes, as tolerantly as browsers do.

Cameras differ in how they separate the pictures of MJPEG over HTTP: boundaries with and without dashes, missing or
wrong lengths, unknown types, nothing at all. The end of a JPEG can be found in the picture itself, so only the pictures
are parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PICTURE_BYTES = 32 * 2**20  # bytes; anything longer is not a camera's picture
_BETWEEN = 4096  # bytes kept from between two pictures, for the headers of a part
_START = b"\xff\xd8\xff"
# In the compressed part a zero or a restart marker follows each FF; anything else ends it.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_STAMP = re.compile(rb"x-timestamp:\s*(\d{1,12}(?:\.\d{1,9})?)", re.IGNORECASE)
_END, _RESTART, _SCAN = 0xD9, 0xD8, 0xDA
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


@dataclass(frozen=True, slots=True)
class Found:
    """A complete JPEG. began_at: as passed with its first byte. stamp: the sender's timestamp in seconds, if any."""

    data: bytes
    began_at: float
    stamp: float | None


class JpegScanner:
    """Takes bytes as they arrive, and returns the pictures that they complete.

    damaged: the number of pictures that were cut off by the next one, or too large.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self._data = bytearray()
        self._at = 0  # how far the picture at the start of `_data` has been examined
        self._inside = self._in_scan = False
        self._began_at = 0.0
        self._stamp: float | None = None

    def feed(self, data: bytes, at: float) -> list[Found]:
        """Take bytes and return the pictures that they complete.

        at: when these bytes were sent, as far as known; becomes `began_at` of pictures that start in them.
        """
        self._data += data
        found: list[Found] = []
        while self._inside or self._find_start(at):
            end = self._walk(at)
            if end is None:
                break
            found.append(Found(bytes(self._data[:end]), self._began_at, self._stamp))
            self._drop(end)
        return found

    def _find_start(self, at: float) -> bool:
        begin = self._data.find(_START)
        between = bytes(self._data[: max(0, begin)] if begin >= 0 else self._data)
        if stamps := _STAMP.findall(between):
            self._stamp = float(stamps[-1])
        if begin < 0:
            del self._data[: max(0, len(self._data) - _BETWEEN)]
            return False
        self._stamp = self._stamp if stamps else None
        del self._data[:begin]
        self._inside, self._in_scan, self._at, self._began_at = True, False, 2, at
        return True

    def _drop(self, end: int) -> None:
        del self._data[:end]
        self._inside = False

    def _walk(self, at: float) -> int | None:
        """The position of the picture's end; None while that has not arrived."""
        data = self._data
        while True:
            marker = self._next_marker()
            if marker is None:
                if len(data) > MAX_PICTURE_BYTES:
                    self.damaged += 1
                    data.clear()
                    self._inside = False
                return None
            if marker == _END:
                return self._at + 2
            if marker == _RESTART:  # the start of the next picture, so this one was cut off
                self.damaged += 1
                del data[: self._at]
                self._at, self._in_scan, self._began_at = 2, False, at
            elif not self._skip(marker):
                return None

    def _next_marker(self) -> int | None:
        """Find the marker at or after `_at`, which then points to it; None if more bytes are needed."""
        data = self._data
        if self._in_scan:
            match = _MARKER.search(data, self._at)
            if match is None:
                self._at = max(self._at, len(data) - 1)
                return None
            self._at = match.start()
            return data[self._at + 1]
        while True:  # some write stray bytes between the segments; each marker may have fill bytes
            start = data.find(b"\xff", self._at)
            if start < 0:
                self._at = len(data)
                return None
            self._at = start
            if start + 1 >= len(data):
                return None
            if data[start + 1] not in (0x00, 0xFF):
                return data[start + 1]
            self._at = start + 1

    def _skip(self, marker: int) -> bool:
        """Skip the segment of this marker. Returns False if it has not arrived completely."""
        if marker in _ALONE:
            self._at += 2
            return True
        if self._at + 4 > len(self._data):
            return False
        length = int.from_bytes(self._data[self._at + 2 : self._at + 4])
        if self._at + 2 + length > len(self._data):
            return False
        self._at += 2 + max(2, length)
        self._in_scan = marker == _SCAN
        return True
