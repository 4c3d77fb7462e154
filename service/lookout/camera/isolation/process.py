"""The process of an isolated camera: starting it, reading its output, ending it within a bounded time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from pathlib import Path

from lookout.camera.isolation.protocol import MAX_MESSAGE
from lookout.errors import CameraSilent, CameraUnsupported

CHILD = Path(__file__).resolve().parent / "child.py"
LOG_LINES = 200
LINE_BYTES = 2000  # longer lines are cut, since some libraries print binary garbage
KILL_S = 1.0  # a killed process that still exists after this waits for hardware; it is abandoned and reaped later
MAX_LEFT_BEHIND = 8  # killed processes that still wait for hardware or a disk; more would only take memory
_LEFT_BEHIND: list[subprocess.Popen[bytes]] = []
_LEFT_LOCK = threading.Lock()


class CameraProcess:
    """One running `child.py`. Owned by one thread; `end` may be called once by any thread if no other uses it.

    line: the message socket. memory: descriptor of the shared file. stderr: descriptor, or -1 once it has ended.
    events: waits for a message, for output on stderr, or for the descriptor `wake`.
    """

    def __init__(self, python: str, wake: int) -> None:
        """wake: a descriptor that becomes readable when waiting for `events` is to end."""
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.waiting_at = float("-inf")  # when it last reported that data arrives, but no picture
        self._partial = b""
        self._message = memoryview(bytearray(MAX_MESSAGE))
        with contextlib.ExitStack() as undo:
            self.line, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self.line.close)
            self.memory = os.memfd_create("lookout-camera", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            undo.callback(os.close, self.memory)
            life, self._life = os.pipe()
            undo.callback(os.close, self._life)
            try:
                self._popen = _started(python, other.fileno(), self.memory, life)
            finally:
                other.close()
                os.close(life)
            # Without this, running out of descriptors here would leave a process that keeps the camera busy for good.
            undo.callback(_collect, self._popen)
            undo.callback(self._popen.kill)
            assert self._popen.stderr is not None
            with self._popen.stderr as stderr:
                self.stderr = os.dup(stderr.fileno())
            undo.callback(os.close, self.stderr)
            self.pid = self._popen.pid
            self._pidfd = os.pidfd_open(self.pid)
            undo.pop_all()
        os.set_blocking(self.stderr, False)
        self.line.setblocking(False)
        self._incoming = select.poll()
        self._incoming.register(self.line, select.POLLIN)
        self.events = select.poll()
        for descriptor in (self.line.fileno(), self.stderr, wake):
            self.events.register(descriptor, select.POLLIN)

    def receive(self) -> bytes | None:
        """Return the next message, empty once the process has closed the socket; None if none is ready. Never blocks.

        For each frame, one call finds no message. With caches cold after inference, an exception and a new buffer for
        the largest message took 40 microseconds; this takes 10. Raises OSError.
        """
        if not self._incoming.poll(0):
            return None
        size = self.line.recv_into(self._message)
        return bytes(self._message[:size])

    def seal(self) -> int:
        """Seal the size of the shared file, so that it cannot be truncated while it is mapped. Returns its size."""
        fcntl.fcntl(self.memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        return os.fstat(self.memory).st_size

    def listen(self) -> bool:
        """Read what is ready on stderr into `log`. Returns False once stderr has ended. Never blocks."""
        if self.stderr < 0:
            return False
        try:
            data = os.read(self.stderr, 65_536)
        except BlockingIOError:
            return True
        if not data:
            self.events.unregister(self.stderr)
            os.close(self.stderr)
            self.stderr = -1
        *lines, rest = (self._partial + data).split(b"\n")
        if not data and rest:
            lines.append(rest)
            rest = b""
        self._partial = rest[:LINE_BYTES]
        self.log.extend(text for line in lines if (text := line[:LINE_BYTES].decode("utf-8", "replace").strip()))
        return bool(data)

    def exit_words(self, wait_s: float) -> str:
        """Describe how the process ended, as the end of a sentence. Waits up to `wait_s`; does not reap the process."""
        self._gone(wait_s)
        result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if result is None:
            return "closed its connection but still runs"
        if result.si_code == os.CLD_EXITED:
            return f"ended with exit status {result.si_status}"
        with contextlib.suppress(ValueError):
            return f"was ended by signal {result.si_status} ({signal.Signals(result.si_status).name})"
        return f"was ended by signal {result.si_status}"

    def end(self, grace_s: float) -> None:
        """Close the socket, wait for `grace_s`, kill the process and all it started, and close every descriptor."""
        with contextlib.suppress(OSError):
            self.line.shutdown(socket.SHUT_RDWR)
        if grace_s > 0:
            self._gone(grace_s)
        # Needed even if it has exited, since processes that it started may still run in its session. It is not reaped
        # yet, so its id cannot belong to another process.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._gone(KILL_S)
        self.listen()
        for descriptor in (self.memory, self._life, self._pidfd, self.stderr):
            if descriptor >= 0:
                os.close(descriptor)
        self.stderr = -1
        self.line.close()
        _collect(self._popen)

    def _gone(self, wait_s: float) -> bool:
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        until = time.monotonic() + wait_s
        while not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            if time.monotonic() >= until:
                return False
        return True


def _started(python: str, line: int, memory: int, life: int) -> subprocess.Popen[bytes]:
    _collect()
    if len(_LEFT_BEHIND) >= MAX_LEFT_BEHIND:
        raise CameraSilent(
            f"The last {MAX_LEFT_BEHIND} processes of the camera wait for a device or disk that does not answer.",
            "Check it with dmesg; unplug it, or restart the machine.",
        )
    try:
        return subprocess.Popen(
            [python, "-I", str(CHILD), str(line), str(memory), str(life)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(line, memory, life),
            env=environment(),
            start_new_session=True,
        )
    except OSError as error:
        raise CameraUnsupported(
            f"The camera's process cannot be started with {python}: {error.strerror}.",
            "Set camera.python to a Python interpreter, or to auto.",
        ) from error


def _collect(*killed: subprocess.Popen[bytes]) -> None:
    """Remember killed processes, and reap all that have exited by now."""
    with _LEFT_LOCK:
        _LEFT_BEHIND[:] = [left for left in (*_LEFT_BEHIND, *killed) if left.poll() is None]


def environment() -> dict[str, str]:
    """The environment of a camera's process: the service's, without the variables of Python, systemd and Lookout."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "LOOKOUT_", "NOTIFY_", "WATCHDOG_", "LISTEN_"))
    }
    # It does no linear algebra, so pools of idle threads would only cost memory.
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
