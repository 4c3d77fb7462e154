"""Slows classification down before the processor gets too hot or the firmware throttles it, and reports why.

A pure state machine: readings and times are passed in, nothing is read or waited for here. The firmware's throttling
slows everything down, including the camera and the network; fewer classifications affect nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from lookout.system.reading import SystemReading

# Factors for the rate at each reading, too hot or cool. The step up is smaller: heat takes minutes to come and go.
DOWN, UP = 0.8, 1.1
# The rate rises again only this many degrees below the target, so that it does not oscillate around the target.
COOL_BY_C = 3.0
# This many degrees above the target, the rate goes down even while the temperature falls.
FAR_ABOVE_C = 5.0
# A processor share within this fraction of its target leaves the rate as it is.
SHARE_TOLERANCE = 0.1
# The reason for a limit whose cause is gone.
RISES = "Fewer classifications for a little longer: their rate is rising again step by step."
# The firmware's flags for a throttled processor (see system/thermal.py), in words.
HELD_BACK = {
    "throttled now": "the firmware throttles the processor",
    "soft temperature limit now": "the firmware's temperature limit is reached",
    "frequency capped now": "the firmware caps the processor's frequency",
    "under-voltage now": "the power supply is too weak",
}


@dataclass(frozen=True, slots=True)
class Targets:
    """The values to stay below; 0: no limit. min_rate: classifications per second that are allowed in any case."""

    temperature_c: float
    cpu_percent: float
    min_rate: float


@dataclass(frozen=True, slots=True)
class Limit:
    """Maximum classifications per second, and the reason as a sentence."""

    rate: float
    reason: str


class Governor:
    """Computes a limit from a reading every few seconds; `limit` is None while nothing needs limiting."""

    def __init__(self) -> None:
        self.limit: Limit | None = None
        self._temperature_c: float | None = None
        self._targets = Targets(0.0, 0.0, 0.0)

    def step(self, reading: SystemReading, targets: Targets, *, running: float, wanted: float) -> Limit | None:
        """Take one reading into account and return the new limit.

        running: classifications per second now. wanted: the maximum without a limit, 0 for every frame. A value that
        the machine does not report limits nothing.
        """
        freed, self._targets = _freed(self._targets, targets), targets
        falling = self._falls(reading.temperature_c)
        factor, reason = _judge(reading, targets, falling=falling)
        if self.limit is None and (factor >= 1.0 or running <= 0):
            return None
        now = self.limit.rate if self.limit else min(running, wanted or running)
        rate = max(min(targets.min_rate, now), now * factor)  # min_rate does not raise a rate that is lower anyway
        # The rate is back where it would be without a limit, or the target was removed: the limit ends.
        over = factor > 1.0 and (freed or rate >= (wanted or running * UP * UP))
        self.limit = None if over else Limit(rate, reason or RISES)
        return self.limit

    def _falls(self, temperature_c: float | None) -> bool:
        before, self._temperature_c = self._temperature_c, temperature_c
        return before is not None and temperature_c is not None and temperature_c < before


def _freed(before: Targets, now: Targets) -> bool:
    """Whether a target was removed."""
    return before.temperature_c > 0 >= now.temperature_c or before.cpu_percent > 0 >= now.cpu_percent


def _judge(reading: SystemReading, targets: Targets, *, falling: bool) -> tuple[float, str]:
    """Return the factor for the rate and the reason for it, from the strictest of the three rules."""
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
    reason = f"Fewer classifications, to use at most {target:g} % of a processor core (power.cpu_percent)."
    if percent > target * (1 + SHARE_TOLERANCE):
        return max(DOWN, target / percent), reason
    return 1.0, reason
