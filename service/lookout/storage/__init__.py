"""All writing to disk goes through one writer: `Storage`.

It has a budget, a deadline for callers that wait, and its own thread, so that a disk that is full, read-only, slow or
missing is reported and never delays an answer.
"""

from __future__ import annotations

from lookout.storage.budget import Limits
from lookout.storage.lock import Hold, holder_of, holders, sole_use
from lookout.storage.storage import Storage
from lookout.storage.timeout import CACHE_DEADLINE_S, with_timeout
from lookout.storage.writer import Writer

__all__ = [
    "CACHE_DEADLINE_S",
    "Hold",
    "Limits",
    "Storage",
    "Writer",
    "holder_of",
    "holders",
    "sole_use",
    "with_timeout",
]
