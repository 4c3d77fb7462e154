"""The machine's readings at one time, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from lookout.errors import Fault


@dataclass(frozen=True, slots=True)
class SystemReading:
    """The machine's readings; None for what it does not report. disk: what is wrong with the state folder's disk."""

    temperature_c: float | None = None
    throttled: tuple[str, ...] = ()
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    clock_synchronised: bool | None = None
    disk: Fault | None = None
