"""Where to find the latest log: the journal of the service and of the kernel, or a file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from lookout.doctor.check import output_of
from lookout.errors import LookoutError
from lookout.redaction import redact_text

LINES = 500
MAX_FILE_BYTES = 64 * 2**20
_KERNEL = re.compile(
    r"voltage|mmcblk|EXT4-fs|Out of memory|oom-kill|unicam|imx\d|rp1-cfe|usb .*disconnect", re.IGNORECASE
)
# Anything that may give access: bearer tokens, login URLs, cookies.
_SECRETS = re.compile(r"(token=|bearer\s+|cookie:\s*|password=|secret=)\S+", re.IGNORECASE)


class LogUnreadable(LookoutError):
    """The log file cannot be read."""

    code = "log_unreadable"
    title = "The log cannot be read"


def journal() -> list[str]:
    """Return the service's last lines, then the kernel's relevant ones; empty if this user may not read the journal."""
    service = _lines(["journalctl", "--no-pager", "-q", "-u", "lookout", "-n", str(LINES)])
    kernel = _lines(["journalctl", "--no-pager", "-q", "-k", "-n", "2000"]) or _lines(["dmesg"])
    return service + [line for line in kernel if _KERNEL.search(line)][-LINES:]


def _lines(command: list[str]) -> list[str]:
    status, text = output_of(command)
    return text.splitlines() if status == 0 else []


def from_file(path: Path) -> list[str]:
    """Return the lines of a log file; the path - means stdin. Raises LogUnreadable."""
    if str(path) == "-":
        return sys.stdin.read(MAX_FILE_BYTES).splitlines()
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode("utf-8", "replace").splitlines()
    except OSError as error:
        raise LogUnreadable(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error


def without_secrets(line: str, source: str) -> str:
    """Return the line without a stream's password or a token. source: the camera's address."""
    return _SECRETS.sub(lambda found: f"{found[1]}***", redact_text(line, source))
