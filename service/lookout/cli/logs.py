"""Where log lines go: to stderr, in the format that its reader expects, without ever waiting for that reader."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from typing import Any

from lookout.printable import printable

# Syslog's severities: journald reads "<4>" at the start of a line and files the rest under it.
_SEVERITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_STDERR = 2
# Lines waiting for a slow reader. Beyond this, new ones are dropped and counted: the first ones show the cause.
MAX_WAITING_BYTES = 256 * 1024
MAX_LINE_BYTES = 16 * 1024
# At the end of the process the reader gets this long to take the rest.
CLOSE_S = 0.5
_LOOK_S = 0.25


class PrintableFormatter(logging.Formatter):
    """A message is one line, whatever names it contains; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        return printable(super().formatMessage(record).rstrip("\n"), lines=False)

    def formatException(self, ei: Any) -> str:  # noqa: N802 (likewise)
        return printable(super().formatException(ei))


class JournalFormatter(PrintableFormatter):
    """One line per event, preceded by its severity; the journal adds the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        severity = _SEVERITY.get(record.levelno, 6)
        return "\n".join(f"<{severity}>{line}" for line in super().format(record).splitlines() or [""])


class BackgroundHandler(logging.Handler):
    """Writes on its own thread, so that no caller ever waits or fails because of the log.

    The reader of a pipe may have stopped reading; the disk under a log file may be full, missing or silent.
    """

    def __init__(self, descriptor: int = _STDERR) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._left_out = 0
        self._writing = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # a message whose arguments do not match it
            text = f"{record.levelname} {record.msg!r}"
        self.write(text)

    def write(self, text: str) -> None:
        """Write a line as it is, without level or time."""
        line = text.encode("utf-8", "replace")[:MAX_LINE_BYTES] + b"\n"
        with self._changed:
            if self._waiting_bytes + len(line) > MAX_WAITING_BYTES:
                self._left_out += 1
                return
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait for a bounded time until everything logged so far is written."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._writing, CLOSE_S)

    def close(self) -> None:
        """End the thread once everything is written; `logging` flushes before, at the end of the process."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        super().close()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (lines := self._next()) is not None:
            self._put(lines)

    def _next(self) -> bytes | None:
        """Return everything that is waiting, in one piece; None at the end."""
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            self._writing = True
            lines = b"".join(self._waiting)
            if self._left_out:
                lines += self._words(f"{self._left_out} log lines were dropped: nothing read them in time.")
                self._left_out = 0
            self._waiting.clear()
            self._waiting_bytes = 0
            return lines

    def _words(self, text: str) -> bytes:
        record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)
        return self.format(record).encode() + b"\n"

    def _put(self, data: bytes) -> None:
        """Write all of it, however long that takes; what cannot be written is lost."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view[: select.PIPE_BUF]) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll(_LOOK_S * 1000)
            except OSError:  # its reader is gone, its disk full: there is nowhere to report it
                time.sleep(_LOOK_S)
                return


def set_up_logs(*, verbose: bool = False) -> BackgroundHandler:
    """Send log lines, warnings and uncaught exceptions of threads to stderr, once."""
    _never_wait_for_stderr()
    handler = BackgroundHandler()
    if "JOURNAL_STREAM" in os.environ and not sys.stderr.isatty():
        handler.setFormatter(JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    for chatty in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "websockets"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # It logs the byte offsets of each form that cannot be read; its sender gets an error message.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    # Python itself writes these to stderr, and would wait there.
    logging.captureWarnings(True)
    threading.excepthook = _log_thread
    return handler


def _log_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None:
        name = ended.thread.name if ended.thread else "?"
        logging.getLogger("lookout").error("The thread %s ended.", name, exc_info=ended.exc_value)


def _never_wait_for_stderr() -> None:
    """Libraries in C write to stderr as well, such as a decoder about a damaged picture: they must not wait either.

    A pipe is reopened: changing the inherited file description would change it for its other writers, too.
    """
    mode = os.fstat(_STDERR).st_mode
    with contextlib.suppress(OSError):  # a pipe created by another user: C libraries may then wait
        if stat.S_ISSOCK(mode):
            os.set_blocking(_STDERR, False)
        elif stat.S_ISFIFO(mode):
            own = os.open(f"/proc/self/fd/{_STDERR}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.dup2(own, _STDERR)
            os.close(own)
