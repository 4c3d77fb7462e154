"""Uploads within bounds: few at once, few waiting, and every body measured while it streams in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from lookout.api.problems import RequestTimeout
from lookout.errors import (
    DecoderUnavailable,
    LookoutError,
    ModelRejected,
    PictureTooLarge,
    PictureUnreadable,
    PictureUnsupported,
    RequestInvalid,
    TooBusy,
    UnknownModel,
)
from lookout.pictures.decoder import IDLE_S, Decoder
from lookout.pictures.limits import DecodeLimits, Picture
from lookout.pictures.refusals import too_many_bytes
from lookout.settings.schema import UploadSettings
from lookout.system.threads import start_pool

T = TypeVar("T")

# This many bodies are received, or responses sent, while the pool works on others: it never waits for the network.
AHEAD = 1
# With this many requests waiting, a further one is refused at once; none waits for longer than WAIT_S seconds.
MAX_WAITING = 8
WAIT_S = 2.0
# A body holds one of very few places while it arrives: a phone on bad wireless makes it, a trickle does not.
BODY_S = 30.0
CHUNK_S = 5.0
MAX_PICTURES = 32
# The errors of requests with pictures, for the description of the API.
UPLOAD_ERRORS: tuple[type[LookoutError], ...] = (
    PictureTooLarge,
    PictureUnsupported,
    PictureUnreadable,
    DecoderUnavailable,
    ModelRejected,
    RequestInvalid,
    RequestTimeout,
    TooBusy,
    UnknownModel,
)


@dataclass(frozen=True, slots=True)
class Upload:
    """One picture as received. file: descriptor of its bytes in memory. name: the client's, empty for a plain body."""

    file: int
    name: str = ""


class Uploads:
    """The pool in which pictures are classified, and the process in which they are decoded one at a time.

    Its methods are for the event loop, except `decode`.
    """

    def __init__(self, settings: UploadSettings) -> None:
        self._settings = settings
        self._pool = start_pool(settings.max_concurrent, "upload")
        self._decoder = Decoder()
        self._free = asyncio.Semaphore(settings.max_concurrent + AHEAD)
        self._waiting = 0
        self.outcomes: Counter[str] = Counter()  # decoded pictures: "ok" or the error's code
        self._resting: asyncio.TimerHandle | None = None

    @property
    def limits(self) -> UploadSettings:
        return self._settings

    @contextlib.asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Hold a place in or before the pool, from before the body is read until the response. Raises TooBusy."""
        if self._free.locked() and self._waiting >= MAX_WAITING:
            raise _too_busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                await self._free.acquire()
        except TimeoutError as error:
            raise _too_busy() from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()

    async def run(self, work: Callable[[], T]) -> T:
        """Run the work in the pool. A cancelled caller still waits for it to end, so that its place stays taken."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait({future})
            raise
        finally:
            if self._resting is None:
                self._resting = loop.call_later(IDLE_S + 1.0, self._rest)

    def decode(self, upload: Upload, min_side: int) -> Picture:
        """Decode a picture as `Decoder.read` does. To be called in the pool."""
        limits = DecodeLimits(self._settings.max_bytes, self._settings.max_pixels, min_side)
        try:
            picture = self._decoder.read(upload.file, limits)
        except LookoutError as error:
            self.outcomes[error.code] += 1
            raise
        self.outcomes["ok"] += 1
        return picture

    def stop(self) -> None:
        """Stop decoding: the current requests are refused. Never blocks."""
        self._decoder.close()

    def close(self) -> None:
        self.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _rest(self) -> None:
        """Stop the decoding process if it has been idle for long enough; otherwise check again later."""
        self._resting = None
        with contextlib.suppress(RuntimeError):  # the pool is closed
            self._pool.submit(self._decoder.rest)
        if self._decoder.pid is not None:
            self._resting = asyncio.get_running_loop().call_later(IDLE_S, self._rest)


def _too_busy() -> TooBusy:
    return TooBusy(
        "Too many pictures are being classified at once.",
        "Try again in a moment; upload.max_concurrent allows more at once.",
    )


async def read_uploads(request: Request, max_bytes: int, files: contextlib.ExitStack) -> tuple[list[Upload], bool]:
    """Return the pictures of a request, and whether it was multipart. The pictures are closed with `files`.

    Raises PictureTooLarge as soon as there are too many bytes, announced or not; RequestTimeout, RequestInvalid.
    """
    kind = request.headers.get("content-type", "")
    multipart = kind.lower().startswith("multipart/form-data")
    announced = request.headers.get("content-length", "0")
    if re.fullmatch(r"[0-9]{1,18}", announced) is None or int(announced) > max_bytes:
        raise too_many_bytes(max_bytes)
    chunks = _chunks(request.stream(), max_bytes)
    try:
        async with asyncio.timeout(BODY_S):
            return (await read_parts(kind, chunks, files), True) if multipart else ([await _one(chunks, files)], False)
    except TimeoutError as error:
        raise RequestTimeout(
            "The picture did not arrive in time.", "Send a smaller one, or check the network connection."
        ) from error


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the raw body, within the limits for a picture. Raises PictureTooLarge, RequestTimeout."""
    announced = request.headers.get("content-length", "0")
    if re.fullmatch(r"[0-9]{1,18}", announced) is None or int(announced) > max_bytes:
        raise too_many_bytes(max_bytes)
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in _chunks(request.stream(), max_bytes):
                content += chunk
    except TimeoutError as error:
        raise RequestTimeout("The body did not arrive in time.", "Check the network connection.") from error
    return bytes(content)


def in_memory(content: bytes, files: contextlib.ExitStack) -> Upload:
    """Return an upload with this content. It is closed with `files`."""
    upload = _new(files)
    _append(upload, content)
    return upload


async def _chunks(stream: AsyncIterator[bytes], max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the body as it arrives. Raises PictureTooLarge, TimeoutError."""
    size = 0
    while True:
        async with asyncio.timeout(CHUNK_S):
            chunk = await anext(stream, None)
        if chunk is None:
            return
        size += len(chunk)
        if size > max_bytes:
            raise too_many_bytes(max_bytes)
        yield chunk


async def _one(chunks: AsyncIterator[bytes], files: contextlib.ExitStack) -> Upload:
    upload = _new(files)
    async for chunk in chunks:
        _append(upload, chunk)
    return upload


def _new(files: contextlib.ExitStack, name: str = "") -> Upload:
    with _room_for_files():
        descriptor = os.memfd_create("lookout-upload", os.MFD_CLOEXEC)
    files.callback(os.close, descriptor)
    return Upload(descriptor, name)


def _append(upload: Upload, chunk: bytes) -> None:
    left = memoryview(chunk)
    with _room_for_files():
        while left:
            left = left[os.write(upload.file, left) :]


@contextlib.contextmanager
def _room_for_files() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DecoderUnavailable(
            f"The system has no room for another picture: {error.strerror}.", "Try again in a moment."
        ) from error


class _InMemory(MultiPartParser):
    """Keeps all parts in memory: the body is limited, and a copy on the SD card would only wear it out."""

    spool_max_size = 2**31

    def close_unfinished(self) -> None:
        """Close a part that was cut off by the end of the body: it belongs to no form that would close it."""
        part = self._current_part.file
        if part is not None and all(value is not part for _, value in self.items):
            part.file.close()


async def read_parts(kind: str, chunks: AsyncGenerator[bytes, None], files: contextlib.ExitStack) -> list[Upload]:
    """Return the files of a multipart form. kind: its Content-Type."""
    parser = _InMemory(_headers(kind), chunks, max_files=MAX_PICTURES, max_fields=MAX_PICTURES)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestInvalid(
            f"The multipart body cannot be read: {error.message.rstrip('.')}.",
            f"Send each picture as a file of the form, {MAX_PICTURES} at most.",
        ) from error
    finally:
        parser.close_unfinished()
    try:
        uploads = [_kept(part, files) for _, part in form.multi_items() if isinstance(part, UploadFile)]
    finally:
        await form.close()
    if not uploads:
        raise RequestInvalid("The multipart body contains no picture.", "Send each picture as a file of the form.")
    return uploads


def _headers(kind: str) -> Headers:
    """Return headers with the boundary only: a charset would only be used to decode file names, and might fail."""
    _, parameters = parse_options_header(kind)
    boundary = parameters.get(b"boundary", b"").decode("latin-1")
    if '"' in boundary or "\\" in boundary:
        raise RequestInvalid("The boundary of the multipart body is not valid.", "Use letters and digits.")
    named = f'; boundary="{boundary}"' if boundary else ""
    return Headers({"content-type": f"multipart/form-data{named}"})


def _kept(part: UploadFile, files: contextlib.ExitStack) -> Upload:
    upload = _new(files, part.filename or "")
    while chunk := part.file.read(2**20):
        _append(upload, chunk)
    part.file.close()  # one copy at a time
    return upload
