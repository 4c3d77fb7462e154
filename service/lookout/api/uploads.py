"""Room for uploads: few at once, few waiting, and every body measured while it streams in."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from lookout.api.problems import RequestTimeout
from lookout.errors import RequestInvalid, TooBusy
from lookout.pictures.decode import too_many_bytes
from lookout.settings.schema import UploadSettings
from lookout.system.threads import start_pool

T = TypeVar("T")

# So many bodies come in, and answers go out, while the pool works on others: it never waits for the network.
AHEAD = 1
# Whoever waits longer has better things to do; whoever comes behind these is told at once.
MOST_WAITING = 8
WAIT_S = 2.0
# A body holds one of very few places while it arrives: a phone on bad wireless makes it, a trickle does not.
BODY_S = 30.0
CHUNK_S = 5.0
MOST_PICTURES = 32


@dataclass(frozen=True, slots=True)
class Upload:
    """One picture as it came. name: what the client calls it, empty for a plain body."""

    data: bytes
    name: str = ""


class Uploads:
    """The pool in which pictures are decoded and classified. Its methods are for the event loop."""

    def __init__(self, settings: UploadSettings) -> None:
        self._settings = settings
        self._pool = start_pool(settings.max_concurrent, "upload")
        self._free = asyncio.Semaphore(settings.max_concurrent + AHEAD)
        self._waiting = 0

    @property
    def limits(self) -> UploadSettings:
        return self._settings

    @contextlib.asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """A place in or before the pool, to be held from before the body is read to the answer. Raises TooBusy."""
        if self._free.locked() and self._waiting >= MOST_WAITING:
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
        """Run the work in the pool. Once begun it is waited for, so that the place stays taken while it runs."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait({future})
            raise

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _too_busy() -> TooBusy:
    return TooBusy(
        "Too many pictures are being classified at once.",
        "Try again in a moment; upload.max_concurrent allows more at once.",
    )


async def read_uploads(request: Request, max_bytes: int) -> tuple[list[Upload], bool]:
    """The pictures of a request, and whether it was a multipart one.

    Raises PictureTooLarge as soon as there are too many bytes, announced or not; RequestTimeout, RequestInvalid.
    """
    multipart = request.headers.get("content-type", "").lower().startswith("multipart/form-data")
    body = await _read_body(request, max_bytes)
    return (await _parts(request.headers, body), True) if multipart else ([Upload(body)], False)


async def _read_body(request: Request, max_bytes: int) -> bytes:
    announced = request.headers.get("content-length", "0")
    if re.fullmatch(r"[0-9]{1,18}", announced) is None or int(announced) > max_bytes:
        raise too_many_bytes(max_bytes)
    body = bytearray()
    stream = request.stream()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                async with asyncio.timeout(CHUNK_S):
                    chunk = await anext(stream, None)
                if chunk is None:
                    return bytes(body)
                body += chunk
                if len(body) > max_bytes:
                    raise too_many_bytes(max_bytes)
    except TimeoutError as error:
        raise RequestTimeout(
            "The picture did not arrive in time.", "Send a smaller one, or look at the network."
        ) from error


class _InMemory(MultiPartParser):
    """The body is in memory already and limited; a copy on the card would only wear it out."""

    spool_max_size = 2**31

    def close_unfinished(self) -> None:
        """A part that the body's end cut off belongs to no form that would close it."""
        part = self._current_part.file
        if part is not None and all(value is not part for _, value in self.items):
            part.file.close()


async def _parts(headers: Headers, body: bytes) -> list[Upload]:
    async def stream() -> AsyncIterator[bytes]:
        yield body

    parser = _InMemory(headers, stream(), max_files=MOST_PICTURES, max_fields=MOST_PICTURES)  # type: ignore[arg-type]
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestInvalid(
            f"The multipart body cannot be read: {error.message.rstrip('.')}.",
            f"Send each picture as a file of the form, {MOST_PICTURES} at most.",
        ) from error
    finally:
        parser.close_unfinished()
    uploads = [
        Upload(await part.read(), part.filename or "") for _, part in form.multi_items() if isinstance(part, UploadFile)
    ]
    await form.close()
    if not uploads:
        raise RequestInvalid("The multipart body holds no picture.", "Send each picture as a file of the form.")
    return uploads
