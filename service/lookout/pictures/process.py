"""The service's side of a decoding process: starting it, sending it pictures, ending it within a bounded time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from lookout.deadline import Deadline
from lookout.errors import DecoderUnavailable, LookoutError, PictureTooLarge, PictureUnreadable, PictureUnsupported
from lookout.pictures import child
from lookout.pictures.confinement import CPU_S
from lookout.pictures.limits import DecodeLimits, Picture
from lookout.pictures.protocol import JOB, MAX_MESSAGE, PICTURE
from lookout.pictures.refusals import crashed, no_memory, too_slow, unread

log = logging.getLogger(__name__)

START_S = 20.0  # a Pi Zero loads OpenCV from its SD card in about five seconds
DECODE_S = 20.0  # wall-clock time; CPU_S limits processor time
END_S = 1.0  # a killed process that still exists after this waits for a disk; it is abandoned and reaped later
_CHANNELS = 3
_RETRY = "Try again in a moment."

# The import path is sent over the socket, since a command line is visible to every user.
_BEGIN = (
    "import socket, sys; line = socket.socket(fileno=int(sys.argv[1])); "
    f"sys.path[:] = line.recv({MAX_MESSAGE}).decode('utf-8', 'surrogateescape').split('\\n'); "
    f"from {child.__name__} import main; main(line, int(sys.argv[2]))"
)
# The only variables passed on; in particular, no tokens or addresses.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
_OWN_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    # Fixed thresholds, so that large blocks always go back to the system when they are freed.
    "MALLOC_MMAP_THRESHOLD_": str(2**18),
    "MALLOC_TRIM_THRESHOLD_": str(2**20),
}
_ERRORS: dict[str, type[LookoutError]] = {
    kind.code: kind for kind in (PictureTooLarge, PictureUnreadable, PictureUnsupported, DecoderUnavailable)
}
_LEFT_BEHIND: list[subprocess.Popen[bytes]] = []
_LEFT_LOCK = threading.Lock()


class DecodingProcess:
    """A running `child`. Used by one thread at a time; others may only call `kill`."""

    def __init__(self) -> None:
        """Start the process. `wait_until_ready` must follow. Raises DecoderUnavailable if resources are short."""
        self._ready = False
        with contextlib.ExitStack() as undo:
            try:
                self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                undo.enter_context(self._line)
                with theirs:
                    life, self._life = os.pipe()
                    undo.callback(os.close, self._life)
                    try:
                        self._popen = _started(theirs.fileno(), life)
                    finally:
                        os.close(life)
                self._line.send(_import_path())
            except OSError as error:
                raise DecoderUnavailable(
                    f"The process that decodes pictures cannot be started: {error.strerror}.", _RETRY
                ) from error
            undo.pop_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended, for example because it was killed while idle."""
        return self._popen.poll() is not None

    def wait_until_ready(self, deadline: Deadline) -> None:
        """Wait until the process can take pictures. Raises Ended if it has ended, or is too slow."""
        if self._ready:
            return
        reply = self._receive(deadline)
        self._ready = reply == b"R"
        if not self._ready:
            said = (reply or b"")[1:].decode("utf-8", "replace") or self._ending()
            log.warning("The process that decodes pictures did not start: %s.", said)
            raise Ended(DecoderUnavailable("The process that decodes pictures did not start.", _RETRY))

    def decode(self, file: int, limits: DecodeLimits, seconds: float) -> Picture:
        """Decode the picture in an open file.

        Raises PictureError, after which the process can take the next picture; Ended or OSError if it must be ended.
        """
        target = os.memfd_create("lookout-pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            job = JOB.pack(limits.max_bytes, limits.max_pixels, limits.min_side)
            with contextlib.suppress(OSError):  # the process has ended, which is reported below
                socket.send_fds(self._line, [job], [file, target])
            reply = self._receive(Deadline.after(seconds))
            if reply is None:
                raise Ended(too_slow(seconds))
            if reply[:1] == b"P":
                return _picture(reply[1:], target, limits)
            if reply[:1] == b"E":
                code, detail, remedy = json.loads(reply[1:])
                raise _ERRORS[code](detail, remedy)
            if reply:
                log.warning("Decoding a picture failed: %s", reply[1:].decode("utf-8", "replace"))
                raise Ended(crashed())
            raise Ended(self._why_it_ended())
        finally:
            os.close(target)

    def kill(self) -> None:
        """Kill the process, whatever it is doing; a waiting `decode` returns. May be called from any thread."""
        with contextlib.suppress(OSError):
            self._popen.send_signal(signal.SIGKILL)

    def end(self) -> None:
        """Kill the process and release its resources, within END_S."""
        self.kill()
        self._line.close()
        os.close(self._life)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(END_S)
        with _LEFT_LOCK:
            _LEFT_BEHIND[:] = [left for left in (*_LEFT_BEHIND, self._popen) if left.poll() is None]

    def _receive(self, deadline: Deadline) -> bytes | None:
        """Return the next message; empty if the process has ended, None at the deadline."""
        poll = select.poll()
        poll.register(self._line, select.POLLIN)
        while not poll.poll(deadline.remaining() * 1000):
            if deadline.passed:
                return None
        try:
            return self._line.recv(MAX_MESSAGE)
        except OSError:
            return b""

    def _exit_status(self) -> int | None:
        try:
            return self._popen.wait(END_S)
        except subprocess.TimeoutExpired:
            return None

    def _why_it_ended(self) -> LookoutError:
        status = self._exit_status()
        if status == -signal.SIGXCPU:
            return too_slow(CPU_S)
        if status == -signal.SIGBUS:  # a mapped part that could not be read
            return unread("a part of it is missing, or its disk fails")
        if status == -signal.SIGKILL:  # not sent by us, so the kernel was out of memory
            return no_memory()
        log.warning("The process that decodes pictures ended: %s.", self._ending())
        return crashed()

    def _ending(self) -> str:
        status = self._exit_status()
        return "it still runs" if status is None else f"exit status {status}" if status >= 0 else f"signal {-status}"


class Ended(Exception):
    """The process can take no further picture. error: the error to report for this one."""

    def __init__(self, error: LookoutError) -> None:
        super().__init__(str(error))
        self.error = error


def _import_path() -> bytes:
    here = str(Path.cwd()) if "" in sys.path else ""
    return "\n".join(entry or here for entry in sys.path).encode("utf-8", "surrogateescape")


def _started(line: int, life: int) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-I", "-c", _BEGIN, str(line), str(life)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # decoders print warnings about pictures
        pass_fds=(line, life),
        env=kept | _OWN_ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )


def _picture(described: bytes, target: int, limits: DecodeLimits) -> Picture:
    """Return the picture that the process wrote. Raises Ended for an impossible description."""
    rows, columns, width, height, name = PICTURE.unpack(described)
    # The seal prevents truncation, since reading beyond the end of a mapped file kills the reader.
    fcntl.fcntl(target, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    size = rows * columns * _CHANNELS
    if not 0 < size == os.fstat(target).st_size <= limits.memory:
        raise Ended(crashed())
    pixels = np.frombuffer(mmap.mmap(target, size, prot=mmap.PROT_READ), np.uint8)
    return Picture(pixels.reshape(rows, columns, _CHANNELS), width, height, name.rstrip(b"\0").decode())
