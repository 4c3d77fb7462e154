"""Converts monotonic to wall time, with a wall clock that may be wrong at first and jump when it is set."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# A wall clock that shows an earlier time (2026-01-01) was not set since the machine started.
_EARLIEST = 1_767_225_600.0


@dataclass(frozen=True, slots=True)
class Reading:
    """offset: wall minus monotonic seconds. good: whether the wall clock can be trusted."""

    offset: float
    good: bool

    def wall(self, at: float) -> float:
        return at + self.offset


class WallClock:
    """Reads both clocks together."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float], boot: str | None = None) -> None:
        """boot: the id of the span within which monotonic times can be compared."""
        self._clock, self._wall = clock, wall
        self.boot = boot or boot_id()

    def read(self, synchronised: bool | None) -> Reading:
        """synchronised: what the system reports; None if it reports nothing."""
        now, wall = self._clock(), self._wall()
        return Reading(wall - now, synchronised is not False and wall >= _EARLIEST)


def boot_id() -> str:
    """Return an id that is the same for every process until the machine restarts."""
    try:
        return _BOOT_ID.read_text("ascii").strip()[:13]
    except OSError:
        return secrets.token_hex(6)
