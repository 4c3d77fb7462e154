"""A source in a process of its own, behind the same interface, so that a driver may hang or crash without harm."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time

from lookout.camera.address import parse
from lookout.camera.convert import finished, is_finished
from lookout.camera.interface import CameraInfo, CameraOptions, EndOfSource
from lookout.camera.interpreters import choose
from lookout.camera.isolation import protocol
from lookout.camera.isolation.process import CameraProcess
from lookout.camera.isolation.shared_memory import SharedPictures
from lookout.camera.symptoms import diagnose
from lookout.deadline import Deadline
from lookout.errors import CameraError, CameraSilent, CameraWaiting
from lookout.frame import Frame
from lookout.redaction import redact, redact_text

GRACE_S = 0.6  # for a working source to close its device; a silent one is killed at once
LIVELY_S = 1.0  # a source whose last frame is younger than this works
OPEN_MARGIN_S = 0.2  # the source gives up this much earlier than we do, so that its own error arrives
LAST_WORDS_S = 0.5


class _Wake:
    """A flag that poll() can wait for. Its descriptor lives as long as the object, so that it is not reused early."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.close(self.descriptor)

    def set(self) -> None:
        with contextlib.suppress(OSError):
            os.eventfd_write(self.descriptor, 1)

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            os.eventfd_read(self.descriptor)


class IsolatedCamera:
    """A source of any kind, run by `child.py`.

    Frames are passed in an anonymous memory file. Pictures that need no conversion are used in place; others are
    converted into new arrays. `wake` ends a waiting `read` early.
    """

    def __init__(self, address: str, options: CameraOptions) -> None:
        self._address, self._options = address, options
        self._parsed = parse(address)
        self._shown = redact(address)
        self._lock = threading.Lock()  # held while the process is used; close() waits for it
        self._closing = threading.Event()
        self._wake = _Wake()
        self._process: CameraProcess | None = None
        self._pictures: SharedPictures | None = None
        self._info: CameraInfo | None = None
        self._log: tuple[str, ...] = ()
        self._frame_at = 0.0
        self._last_message = b""  # a message other than a picture, delivered after the last picture

    def __del__(self) -> None:
        if getattr(self, "_process", None) is not None:
            self.close()

    @property
    def info(self) -> CameraInfo:
        if self._info is None:
            raise CameraError(f"The camera {self._shown} is not open.", "Open it first.")
        return self._info

    @property
    def log(self) -> tuple[str, ...]:
        """The last lines that the source's software printed, oldest first, without credentials."""
        process = self._process
        lines = tuple(process.log) if process else self._log
        return tuple(redact_text(line, self._address) for line in lines)

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        process = self._process
        return process.pid if process else None

    def open(self, deadline: Deadline) -> None:
        """Start the process and let it open the source. Raises the source's own error."""
        self.close()
        self._closing.clear()  # before choosing an interpreter, which takes seconds; a close() meanwhile must count
        same = self._parsed.kind != "pi"
        python = sys.executable if same else choose(self._options.python, deadline)
        path = tuple(entry or str(os.getcwd()) for entry in sys.path) if same else ()  # noqa: PTH109
        with self._lock:
            if self._closing.is_set():
                raise self._closed_meanwhile()
            self._process, self._last_message = CameraProcess(python, self._wake.descriptor), b""
            try:
                seconds = max(0.1, deadline.remaining() - OPEN_MARGIN_S)
                self._process.line.send(protocol.Hello(self._address, self._options, seconds, path).pack())
                self._info = self._ready(self._process, deadline)
            except OSError:
                failure: CameraError = self._end_error(self._process)
                self._end()
                raise failure from None
            except BaseException:
                self._end()
                raise
            self._frame_at = time.monotonic()

    def read(self, deadline: Deadline) -> Frame:
        """Return the newest frame not returned before. Raises CameraSilent at the deadline, or at once after `wake`."""
        with self._lock:
            while True:
                process = self._process
                if process is None or self._closing.is_set():
                    raise CameraError(f"The camera {self._shown} was closed.", "Open it again.")
                newest = self._newest(process)
                if newest is not None:
                    return self._taken(process, *newest)
                if not self._wait(process, deadline):
                    raise self._silent(process)

    def wake(self) -> None:
        """Make a waiting `read` raise CameraSilent at once. May be called from any thread."""
        self._wake.set()

    def close(self) -> None:
        """End the process and release its resources, within GRACE_S and one second."""
        self._closing.set()
        self.wake()
        with self._lock:
            self._wake.clear()
            self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        pictures, self._pictures = self._pictures, None
        if process is not None:
            lively = time.monotonic() - self._frame_at < LIVELY_S
            process.end(GRACE_S if lively else 0.0)
            self._log = tuple(process.log)
        if pictures is not None:
            pictures.close()

    def _ready(self, process: CameraProcess, deadline: Deadline) -> CameraInfo:
        while True:
            for message in _messages(process, at_most=1):
                if message[:1] == b"R":
                    return protocol.unpack_ready(message)
                raise self._exception_for(process, message)
            if self._closing.is_set():
                raise self._closed_meanwhile()
            if not self._wait(process, deadline):
                known = diagnose(process.log)
                raise known or CameraSilent(
                    f"The camera {self._shown} did not open in time.", "Check that it is connected and switched on."
                )

    def _newest(self, process: CameraProcess) -> tuple[protocol.Picture, bytes] | None:
        """Drain the socket. Returns the newest picture, and the slots of all pictures read, its own last."""
        if self._last_message:
            raise self._exception_for(process, self._last_message)
        pictures = _messages(process, at_most=2 * protocol.SLOTS)
        if pictures and pictures[-1][:1] != b"P":
            self._last_message = pictures.pop() or b"-"
            if not pictures:
                raise self._exception_for(process, self._last_message)
        if not pictures:
            return None
        try:
            return protocol.Picture.unpack(pictures[-1]), bytes([message[1] for message in pictures])
        except (ValueError, IndexError):
            raise _invalid_message() from None

    def _taken(self, process: CameraProcess, picture: protocol.Picture, slots: bytes) -> Frame:
        layout = picture.layout
        still_to_do = (layout.format, layout.width, layout.height, layout.rotate, layout.flip)
        shared = self._shared(process, layout)
        if shared.is_any_lent(slots):
            raise _invalid_message()
        free = shared.returned()  # before lending this one, which may need a free place
        flat = shared.view(picture.slot, layout)
        pixels = flat.reshape(layout.shape)
        try:
            if is_finished(layout.shape, *still_to_do) and shared.lend(picture.slot, flat):
                slots = slots[:-1]
            else:
                pixels = finished(pixels, *still_to_do)
        finally:
            _give_back(process, slots + free)
        self._frame_at = time.monotonic()
        return Frame(pixels, picture.captured_at, picture.sequence, self._shown, picture.mark)

    def _shared(self, process: CameraProcess, layout: protocol.Layout) -> SharedPictures:
        size = layout.bytes_per_slot * protocol.SLOTS
        if self._pictures is None:
            if process.seal() < size:
                raise _invalid_message()
            self._pictures = SharedPictures(process.memory, size)
        if self._pictures.size != size:
            raise _invalid_message()
        return self._pictures

    def _wait(self, process: CameraProcess, deadline: Deadline) -> bool:
        """Wait for a message while reading the source's output. Returns False at the deadline or when woken."""
        while True:
            ready = {descriptor for descriptor, _ in process.events.poll(deadline.remaining() * 1000)}
            if process.stderr in ready:
                process.listen()
            if process.line.fileno() in ready:
                return True
            if self._wake.descriptor in ready:
                self._wake.clear()
                return self._closing.is_set()
            if deadline.passed:
                return False

    def _exception_for(self, process: CameraProcess, message: bytes) -> Exception:
        """The exception for a message other than a picture: end of the file, error of the source, closed socket."""
        if message[:1] == protocol.END:
            return EndOfSource()
        if message[:1] != b"E":
            return self._end_error(process)
        error = protocol.unpack_error(message)
        _read_output(process)
        known = diagnose(process.log) if type(error) is CameraError else None
        return known or error

    def _end_error(self, process: CameraProcess) -> CameraError:
        words = process.exit_words(LAST_WORDS_S)
        _read_output(process)
        known = diagnose(process.log)
        if known is not None:
            return known
        last = f" Its last output: {redact_text(process.log[-1], self._address)}" if process.log else ""
        return CameraError(f"The process of the camera {self._shown} {words}.{last}", "It is started again.")

    def _closed_meanwhile(self) -> CameraError:
        return CameraError(f"The camera {self._shown} was closed while it opened.", "Open it again.")

    def _silent(self, process: CameraProcess) -> CameraSilent:
        known = diagnose(process.log)
        if isinstance(known, CameraSilent):
            return known
        now = time.monotonic()
        if now - process.waiting_at < LIVELY_S:
            return CameraWaiting(
                f"{self._shown} is connected and sends data; its first whole picture has not come yet.",
                "If that takes long, set the key frame (I-frame) interval to one second in the camera's settings.",
            )
        since = now - self._frame_at
        if not self._parsed.live:
            return CameraSilent(f"{self._shown} has not been read for {since:.1f} s.", "Check the disk it is on.")
        return CameraSilent(
            f"The camera {self._shown} has sent nothing for {since:.1f} s.", "Check its cable, network and power."
        )


def _invalid_message() -> CameraError:
    return CameraError("The camera's process sent an invalid message.", "It is started again.")


def _messages(process: CameraProcess, at_most: int) -> list[bytes]:
    """Return the messages that are ready, oldest first, up to the first that is not a picture.

    An empty message means that the process has closed the socket. WAITING is not returned; its time is stored in
    `process.waiting_at`.
    """
    found: list[bytes] = []
    for _ in range(4 * at_most):
        if len(found) == at_most:
            break
        try:
            message = process.receive()
        except ConnectionResetError:
            continue  # reported once, before the remaining messages, if the process left slots from us unread
        except OSError:
            message = b""
        if message is None:
            break
        if message == protocol.WAITING:
            process.waiting_at = time.monotonic()
            continue
        found.append(message)
        if message[:1] != b"P":
            break
    return found


def _give_back(process: CameraProcess, slots: bytes) -> None:
    if not slots:
        return
    try:  # for each frame, so without the calls of a context manager
        process.line.send(slots)
    except OSError:
        return  # a process that has ended needs no slots; the next read reports that it has ended


def _read_output(process: CameraProcess) -> None:
    while process.stderr >= 0 and process.listen():
        poll = select.poll()
        poll.register(process.stderr, select.POLLIN)
        if not poll.poll(0):
            return
