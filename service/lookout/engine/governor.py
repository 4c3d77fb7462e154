"""Slows classification down before the processor gets too hot or the firmware throttles it, and says why.

A pure state machine: readings and times are passed in, nothing is read or waited for here. The firmware's own throttle
cuts the clock of everything, the camera and the network included; fewer classifications cost only themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from lookout.system.reading import SystemReading

# A step down at each reading that is too hot, a smaller one up where it is cool: heat takes minutes to come and go.
DOWN, UP = 0.8, 1.1
# Below the target by so many degrees before the rate rises again, so that it does not swing around the target.
COOL_BY_C = 3.0
# Hotter than the target by so much it slows down even while the temperature falls.
FAR_ABOVE_C = 5.0
# A share within this of its target stays as it is.
SHARE_TOLERANCE = 0.1
# What is told of a limit whose cause is gone.
RISES = "Fewer classifications for a little longer: their rate rises again step by step."
# What the firmware calls it when it holds the processor back, see system/thermal.py.
HELD_BACK = {
    "throttled now": "the firmware throttles the processor",
    "soft temperature limit now": "the firmware's temperature limit is reached",
    "frequency capped now": "the firmware caps the processor's frequency",
    "under-voltage now": "the power supply is too weak",
}


@dataclass(frozen=True, slots=True)
class Targets:
    """What to stay below; 0: not limited. min_rate: classifications a second that are kept in any case."""

    temperature_c: float
    cpu_percent: float
    min_rate: float


@dataclass(frozen=True, slots=True)
class Limit:
    """Classifications a second at most, and why, as a sentence."""

    rate: float
    reason: str


class Governor:
    """Fed with a reading every few seconds; `limit` is what follows, None while nothing need be limited."""

    def __init__(self) -> None:
        self.limit: Limit | None = None
        self._temperature_c: float | None = None
        self._targets = Targets(0.0, 0.0, 0.0)

    def step(self, reading: SystemReading, targets: Targets, *, running: float, wanted: float) -> Limit | None:
        """running: classifications a second now. wanted: at most without a limit, 0 for as many as frames come.

        What the machine does not tell limits nothing.
        """
        freed, self._targets = _freed(self._targets, targets), targets
        falling = self._falls(reading.temperature_c)
        factor, reason = _judge(reading, targets, falling=falling)
        if self.limit is None and (factor >= 1.0 or running <= 0):
            return None
        now = self.limit.rate if self.limit else min(running, wanted or running)
        rate = max(min(targets.min_rate, now), now * factor)  # where less is wanted than the least, that is the least
        # Back at what would run without a limit, or told not to limit: there is nothing to limit any more.
        over = factor > 1.0 and (freed or rate >= (wanted or running * UP * UP))
        self.limit = None if over else Limit(rate, reason or RISES)
        return self.limit

    def _falls(self, temperature_c: float | None) -> bool:
        before, self._temperature_c = self._temperature_c, temperature_c
        return before is not None and temperature_c is not None and temperature_c < before


def _freed(before: Targets, now: Targets) -> bool:
    """Whether a target was taken away."""
    return before.temperature_c > 0 >= now.temperature_c or before.cpu_percent > 0 >= now.cpu_percent


def _judge(reading: SystemReading, targets: Targets, *, falling: bool) -> tuple[float, str]:
    """By what the rate is to be multiplied, and why it is held down; the strictest reason wins."""
    if targets.temperature_c <= 0 and targets.cpu_percent <= 0:
        return float("inf"), ""
    judged = [_by_firmware(reading, targets), _by_heat(reading, targets, falling=falling), _by_share(reading, targets)]
    return min(judged, key=lambda one: one[0])


def _by_firmware(reading: SystemReading, targets: Targets) -> tuple[float, str]:
    found = next((words for bit, words in HELD_BACK.items() if bit in reading.throttled), None)
    if found is None or targets.temperature_c <= 0:
        return UP, ""
    return DOWN, f"Fewer classifications, because {found}."


def _by_heat(reading: SystemReading, targets: Targets, *, falling: bool) -> tuple[float, str]:
    celsius, target = reading.temperature_c, targets.temperature_c
    if celsius is None or target <= 0 or celsius <= target - COOL_BY_C:
        return UP, ""
    reason = (
        f"Fewer classifications, because the processor is {celsius:.0f} °C warm; power.temperature_c is {target:g}."
    )
    if celsius > target and (not falling or celsius > target + FAR_ABOVE_C):
        return DOWN, reason
    return 1.0, reason


def _by_share(reading: SystemReading, targets: Targets) -> tuple[float, str]:
    percent, target = reading.cpu_percent, targets.cpu_percent
    if percent is None or target <= 0 or percent < target * (1 - SHARE_TOLERANCE):
        return UP, ""
    reason = f"Fewer classifications, to use {target:g} % of a processor core at most (power.cpu_percent)."
    if percent > target * (1 + SHARE_TOLERANCE):
        return max(DOWN, target / percent), reason
    return 1.0, reason
