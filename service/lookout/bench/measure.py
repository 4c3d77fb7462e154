"""Measurements, and how times are taken: side by side, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

# A round of each in turn, so that other work of the machine affects all of them alike.
ROUND_S = 0.25


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report. met: None if there is no goal, or it does not apply here.

    figures: what was measured, in plain numbers, for the JSON.
    """

    name: str
    goal: str
    measured: str
    met: bool | None
    figures: Mapping[str, float | str] = field(default_factory=dict)


def in_turns(contestants: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Return the milliseconds per call of each, from the fastest fifth of its calls: other work only slows calls down.

    seconds: the time for each of them, in rounds of a quarter second.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for call in contestants.values():
        for _ in range(3):  # the first calls allocate
            call()
    for _ in range(max(1, round(seconds / ROUND_S))):
        for name, call in contestants.items():
            until = time.perf_counter() + ROUND_S
            while time.perf_counter() < until:
                started = time.perf_counter()
                call()
                times[name].append((time.perf_counter() - started) * 1e3)
    return {name: percentile(values, 0.2) for name, values in times.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share (0..1) of all values lies; NaN if there are none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(value: float) -> str:
    return f"{value:.3g} ms" if value < 100 else f"{value:.0f} ms"
