"""Polls an address that returns one picture per request, at the camera's rate."""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import numpy as np

from lookout.camera.convert import upright
from lookout.camera.interface import CameraOptions
from lookout.camera.sources.connection import silent
from lookout.camera.sources.grabber import Taken
from lookout.camera.sources.http_client import HttpClient, Response
from lookout.camera.sources.jpeg_stream import JpegScanner
from lookout.deadline import Deadline
from lookout.errors import CameraError, CameraUnsupported, DecoderUnavailable, PictureError
from lookout.frame import Pixels
from lookout.pictures.confinement import bounded_memory
from lookout.pictures.decode import MAX_SIDE, read_picture
from lookout.pictures.limits import DecodeLimits

ANSWER_S = 5.0  # a request that takes longer has failed; the caller's deadlines are shorter
MAX_BYTES = 64 * 2**20
MAX_PER_S = 5.0  # a camera encodes each picture anew, and more requests make some reboot
MAX_AGE_S = 3600.0  # the maximum age of a picture that a server is believed
SLICE_S = 0.2


class SnapshotFeed:
    """Polls an address. An unchanged picture is delivered again, with the age that the server reports."""

    def __init__(
        self,
        client: HttpClient,
        response: Response,
        data: bytes,
        options: CameraOptions,
        hear: Callable[[], None],
        *,
        shown: bool = False,
    ) -> None:
        """response, data: the first response, read to its end. shown: its picture has been taken already.

        Raises CameraUnsupported if it is not a picture that can be decoded.
        """
        self._client, self._options, self._hear = client, options, hear
        self._every_s = 1 / min(MAX_PER_S, options.fps if options.fps > 0 else MAX_PER_S)
        self._name = response.shown
        self._conditions: dict[str, str] = {}
        self._pixels, self._mark = self._decoded(data), zlib.crc32(data)
        self._ready: Taken | None = None if shown else self._taken(response)
        self._answered(response)
        self.notes = (*client.doubts, "The address returns single pictures; they are polled.")
        self.fps: float | None = None
        self.live = True

    def take(self) -> Taken | None:
        self._hear()
        ready, self._ready = self._ready, None
        if ready is not None:
            return ready
        wait = self._due_at - time.monotonic()
        if wait > 0:
            time.sleep(min(wait, SLICE_S))
        return self._asked() if wait <= SLICE_S else None

    def release(self) -> None:
        self._client.close()

    def _asked(self) -> Taken | None:
        deadline = Deadline.after(ANSWER_S)
        response = self._client.get(deadline, self._conditions)
        try:
            data = b"" if response.status == 304 else response.read_all(MAX_BYTES, deadline)
        except TimeoutError:
            response.close()
            raise silent(self._name) from None
        self._client.keep(response)
        self._answered(response)
        if response.status != 304:
            self._pixels, self._mark = self._decoded(data), zlib.crc32(data)
        self._hear()
        return self._taken(response)

    def _answered(self, response: Response) -> None:
        """Schedule the next request, which is conditional: only a changed picture is transferred."""
        now = time.monotonic()
        self._due_at = max(response.arrived_at + self._every_s, now + 0.01)
        if response.status != 304:
            asked = {"If-None-Match": "etag", "If-Modified-Since": "last-modified"}
            known = {name: response.headers.get(header, "") for name, header in asked.items()}
            self._conditions = {name: value for name, value in known.items() if value and value.isprintable()}

    def _taken(self, response: Response) -> Taken:
        return Taken(self._pixels, response.arrived_at - _age_s(response), self._mark)

    def _decoded(self, data: bytes) -> Pixels:
        try:
            pixels = decoded(data)
        except PictureError as error:
            words = f"{self._name} returns a picture that cannot be used. {error.detail}"
            raise CameraUnsupported(words, error.remedy) from None
        return np.ascontiguousarray(upright(pixels, self._options.rotate, self._options.flip))


def decoded(data: bytes) -> Pixels:
    """Decode a camera's picture in its full size, even if the JPEG is wrapped in multipart boundaries.

    Raises PictureError, or CameraError if there is not enough memory.
    """
    if data.lstrip().startswith((b"--", b"Content-")) and (found := JpegScanner().feed(data, 0.0)):
        data = found[0].data
    limits = DecodeLimits(MAX_BYTES, min_side=MAX_SIDE)
    try:
        with bounded_memory(limits.memory):  # headers are not trusted; this is the camera's own process
            return read_picture(data, limits).pixels
    except DecoderUnavailable as error:
        raise CameraError(error.detail, error.remedy) from error


def _age_s(response: Response) -> float:
    """The age of the picture by the server's headers, in seconds; 0 if they do not contain it."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        changed = parsedate_to_datetime(response.headers["last-modified"])
        age = (parsedate_to_datetime(response.headers["date"]) - changed).total_seconds()
        return min(MAX_AGE_S, age) if age >= 1.0 else 0.0
    return 0.0
