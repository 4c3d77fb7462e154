"""Where log lines go: stderr, in the form that whoever reads them expects."""

from __future__ import annotations

import logging
import os
import sys

# Syslog's severities: journald reads "<4>" at a line's beginning and files the rest under it.
_SEVERITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class JournalFormatter(logging.Formatter):
    """One line an event, its severity in front; the journal adds the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        severity = _SEVERITY.get(record.levelno, 6)
        return "\n".join(f"<{severity}>{line}" for line in super().format(record).splitlines() or [""])


def set_up_logs(*, verbose: bool = False) -> None:
    """Send log lines to stderr, once."""
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ and not sys.stderr.isatty():
        handler.setFormatter(JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    for chatty in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "websockets"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # It writes a line of offsets for each form that cannot be read; whoever sent that is told in a sentence.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
