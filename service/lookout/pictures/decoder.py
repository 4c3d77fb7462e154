"""Decodes untrusted pictures, one at a time, in a separate process with limits on memory and time.

The process starts with the first picture and is reused. If a picture exceeds the limits, the process is killed, and a
new one starts for the next picture.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time

from lookout.deadline import Deadline
from lookout.errors import DecoderUnavailable, TooBusy
from lookout.pictures.limits import DecodeLimits, Picture
from lookout.pictures.process import DECODE_S, START_S, DecodingProcess, Ended
from lookout.pictures.refusals import too_many_bytes

IDLE_S = 60.0  # how long an idle process is kept
# How long a caller waits for its turn if another picture takes all its time.
TURN_S = 8.0


class Decoder:
    """Decodes pictures in turn. Thread-safe; `read` and `rest` may block, `close` does not."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._closed = threading.Event()
        self._process: DecodingProcess | None = None
        self._used_at = 0.0

    def read(
        self, source: bytes | bytearray | memoryview | int, limits: DecodeLimits, seconds: float = DECODE_S
    ) -> Picture:
        """Decode one picture, the first if the file contains several. source: its bytes, or an open regular file.

        Takes at most TURN_S + START_S + `seconds`. Raises PictureTooLarge, PictureUnsupported or PictureUnreadable for
        a bad picture, TooBusy while others are decoded, DecoderUnavailable if the machine is short of memory or the
        decoder is closed.
        """
        if isinstance(source, int):
            return self._in_turn(source, limits, seconds)
        if len(source) > limits.max_bytes:
            raise too_many_bytes(limits.max_bytes)
        try:
            file = memory_file(source)
        except (OSError, MemoryError) as error:
            raise _no_room(error) from error
        try:
            return self._in_turn(file, limits, seconds)
        finally:
            os.close(file)

    def warm(self) -> None:
        """Start the process in advance, without waiting until it is ready. A failure shows with the first picture."""
        with self._turn, contextlib.suppress(DecoderUnavailable, RuntimeError, MemoryError):
            if self._process is None and not self._closed.is_set():
                self._process = DecodingProcess()

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        process = self._process
        return process.pid if process else None

    def rest(self) -> None:
        """End the process if it has not been used for IDLE_S."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            if time.monotonic() - self._used_at >= IDLE_S:
                self._end()
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the process, whatever it is doing. Callers waiting for it get DecoderUnavailable."""
        self._closed.set()
        process = self._process
        if process is not None:
            process.kill()
        if self._turn.acquire(blocking=False):  # otherwise the holder ends the process
            try:
                self._end()
            finally:
                self._turn.release()

    def _in_turn(self, file: int, limits: DecodeLimits, seconds: float) -> Picture:
        if not self._turn.acquire(timeout=TURN_S):
            raise TooBusy("Another picture takes long to decode.", "Try again in a moment.")
        try:
            return self._decoded(file, limits, seconds)
        except (OSError, MemoryError, RuntimeError) as error:
            self._end()
            raise _no_room(error) from error
        finally:
            self._used_at = time.monotonic()
            if self._closed.is_set():
                self._end()
            self._turn.release()

    def _decoded(self, file: int, limits: DecodeLimits, seconds: float) -> Picture:
        if self._process is not None and self._process.has_ended:
            self._end()
        process = self._process = self._process or DecodingProcess()
        if self._closed.is_set():  # `close` may have run before the process existed
            process.kill()
        try:
            process.wait_until_ready(Deadline.after(START_S))
            return process.decode(file, limits, seconds)
        except Ended as ended:
            self._end()
            raise (_closed() if self._closed.is_set() else ended.error) from None

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()


def memory_file(data: bytes | bytearray | memoryview) -> int:
    """Create an anonymous file with these bytes and return its descriptor. Raises OSError."""
    descriptor = os.memfd_create("lookout-picture", os.MFD_CLOEXEC)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        raise
    return descriptor


def _no_room(error: BaseException) -> DecoderUnavailable:
    reason = getattr(error, "strerror", None) or "out of memory"
    return DecoderUnavailable(f"The system has no room to decode a picture: {reason}.", "Try again in a moment.")


def _closed() -> DecoderUnavailable:
    return DecoderUnavailable("The picture was not decoded: Lookout is stopping.", "Try again when it runs.")
