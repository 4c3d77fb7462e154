"""The number of viewers by kind: counted so that too many are refused politely and a leak would show."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Literal

from lookout.errors import TooBusy

Kind = Literal["live", "events", "stream", "export"]

# Far above a household's needs; each viewer costs memory for buffers, and a Pi has little.
LIMITS: dict[Kind, int] = {"live": 100, "events": 40, "stream": 40, "export": 4}


class Viewers:
    """Counts and limits viewers. For the event loop only."""

    def __init__(self) -> None:
        self._counts: Counter[Kind] = Counter()

    def counts(self) -> dict[Kind, int]:
        return {kind: self._counts[kind] for kind in LIMITS}

    @contextlib.contextmanager
    def admit(self, kind: Kind) -> Iterator[None]:
        """Count one viewer for as long as it watches. Raises TooBusy."""
        if self._counts[kind] >= LIMITS[kind]:
            raise TooBusy(f"{LIMITS[kind]} viewers are watching already.", "Close a page, or try again later.")
        self._counts[kind] += 1
        try:
            yield
        finally:
            self._counts[kind] -= 1
