"""Finds pictures other than JPEGs in a multipart stream, which browsers show as they show MJPEG.

Their end cannot be found in the pictures themselves, so the lengths of the parts and the boundaries between them have
to be right, unlike for MJPEG.
"""

from __future__ import annotations

import re

from lookout.camera.sources.jpeg_stream import MAX_PICTURE_BYTES, Found, JpegScanner
from lookout.pictures.headers import is_picture

_OTHERS = re.compile(rb"\A\s*(?:--[^\n]*\n)?(?:[^\n]+\n)*?content-type:\s*image/(?!jpe?g|pjpeg)", re.IGNORECASE)
_HEADERS_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"^content-length:\s*(\d{1,9})\s*$", re.IGNORECASE | re.MULTILINE)
_HEADERS_BYTES = 4096


class PartScanner:
    """Takes bytes as they arrive, and returns the pictures that they complete.

    damaged: the number of parts that were too long, or not a picture.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self._data = bytearray()
        self._boundary: bytes | None = None
        self._began_at: float | None = None  # of the part at the start of `_data`

    def feed(self, data: bytes, at: float) -> list[Found]:
        """Take bytes and return the pictures that they complete. at: as for `JpegScanner.feed`."""
        self._data += data
        found: list[Found] = []
        while (part := self._part(at)) is not None:
            if is_picture(part[:32]):
                found.append(Found(part, self._began_at if self._began_at is not None else at, None))
            elif part:
                self.damaged += 1
            self._began_at = None
        if len(self._data) > MAX_PICTURE_BYTES:
            self.damaged += 1
            self._data.clear()
        return found

    def _part(self, at: float) -> bytes | None:
        """Remove the first part and return its content; None while it has not arrived completely."""
        begin = self._data.find(b"--") if self._boundary is None else self._data.find(self._boundary)
        headers = _HEADERS_END.search(self._data, max(0, begin))
        if begin < 0 or headers is None:
            del self._data[: max(0, len(self._data) - _HEADERS_BYTES)]
            return None
        lines = bytes(self._data[begin : headers.start()])
        self._boundary = self._boundary or lines.split(b"\n")[0].rstrip()
        self._began_at = at if self._began_at is None else self._began_at
        length = _LENGTH.search(lines)
        if length is not None:
            end = headers.end() + int(length[1])
            if end > len(self._data):
                return None
        else:
            end = self._data.find(self._boundary, headers.end())
            if end < 0:
                return None
        content = bytes(self._data[headers.end() : end])
        del self._data[:end]
        return content if length is not None else content.removesuffix(b"\n").removesuffix(b"\r")


def scanner_for(head: bytes) -> JpegScanner | PartScanner:
    """Return the scanner for a stream that starts with these bytes."""
    return PartScanner() if _OTHERS.match(head) else JpegScanner()
