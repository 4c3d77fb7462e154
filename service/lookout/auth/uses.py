"""When each token was last used, so that an unused one can be recognised and revoked.

Stored to the hour: writes wear an SD card, and people only care about the day.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from pathlib import Path

from lookout.storage import Storage
from lookout.system.regular_files import read_regular

USES_FILE = "token-uses.json"
_MAX_BYTES = 2**20
# A use this soon after the stored one is not written.
KEEP_EVERY_S = 3600.0


class TokenUses:
    """The last use of each token, in Unix seconds. `note` only updates memory; `keep` writes now and then."""

    def __init__(self, folder: Path, storage: Storage, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / USES_FILE
        self._storage = storage
        self._clock = clock
        self._noted: dict[str, int] = {}
        self._kept: dict[str, int] | None = None

    def note(self, token_id: str) -> None:
        """Record that the token is being used now."""
        self._noted[token_id] = int(self._clock())

    def keep(self, known: Collection[str]) -> None:
        """Write uses that have changed enough. known: ids of existing tokens. Only the first call reads the disk."""
        noted = {token: at for token, at in self._noted.copy().items() if token in known}
        if not noted:
            return
        if self._kept is None:
            self._kept = self.read()
        kept = self._kept
        # In either direction, so that times of a clock that was wrong at first are corrected later.
        if all(abs(at - kept.get(token, 0)) < KEEP_EVERY_S for token, at in noted.items()):
            return
        self._kept = {token: at for token, at in (kept | noted).items() if token in known}
        content = json.dumps(self._kept).encode()
        self._storage.later(lambda writer: writer.replace(self._path, content), "When tokens were last used")

    def read(self) -> dict[str, int]:
        """Return the stored uses; empty if they cannot be read, since nothing depends on them."""
        try:
            entries = json.loads(read_regular(self._path, _MAX_BYTES))
            return {str(token): int(at) for token, at in entries.items()}
        except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return {}
