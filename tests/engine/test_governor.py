"""The governor: targets kept, reasons given, no swinging, and nothing limited that nobody measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lookout.engine.governor import COOL_BY_C, Governor, Limit, Targets
from lookout.system.reading import SystemReading

TARGETS = Targets(temperature_c=75.0, cpu_percent=0.0, min_rate=1.0)
COOL = SystemReading(temperature_c=50.0, cpu_percent=80.0)
HOT = SystemReading(temperature_c=80.0, cpu_percent=80.0)


def _after(
    governor: Governor, *readings: SystemReading, targets: Targets = TARGETS, wanted: float = 10.0
) -> Limit | None:
    limit = governor.limit
    for reading in readings:
        running = limit.rate if limit else wanted or 30.0
        limit = governor.step(reading, targets, running=running, wanted=wanted)
    return limit


def test_a_cool_machine_is_not_limited() -> None:
    assert _after(Governor(), *[COOL] * 10) is None


def test_a_machine_without_readings_is_not_limited() -> None:
    targets = replace(TARGETS, cpu_percent=50.0)
    assert _after(Governor(), *[SystemReading()] * 10, targets=targets) is None


def test_heat_slows_step_by_step_and_says_how_warm_it_is() -> None:
    governor = Governor()
    first = _after(governor, HOT)
    second = _after(governor, HOT)
    assert first is not None
    assert second is not None
    assert 1.0 < second.rate < first.rate < 10.0
    assert "80 °C" in first.reason
    assert "power.temperature_c" in first.reason


def test_however_hot_the_least_rate_is_kept() -> None:
    limit = _after(Governor(), *[HOT] * 50)
    assert limit is not None
    assert limit.rate == 1.0


def test_a_limit_never_asks_for_more_than_was_wanted() -> None:
    limit = _after(Governor(), *[HOT] * 5, wanted=0.5)
    assert limit is not None
    assert limit.rate == 0.5


def test_a_source_slower_than_the_ceiling_is_slowed_from_where_it_is() -> None:
    limit = Governor().step(HOT, TARGETS, running=4.0, wanted=10.0)
    assert limit is not None
    assert limit.rate < 4.0


def test_without_a_ceiling_the_running_rate_is_where_it_begins_and_ends() -> None:
    governor = Governor()
    limit = _after(governor, HOT, wanted=0.0)
    assert limit is not None
    assert limit.rate < 30.0
    for _ in range(50):  # the camera gives 30 a second and no more
        limit = governor.step(COOL, TARGETS, running=min(30.0, limit.rate if limit else 30.0), wanted=0.0)
    assert limit is None


def test_when_it_cools_the_rate_rises_and_the_limit_ends() -> None:
    governor = Governor()
    low = _after(governor, *[HOT] * 10)
    higher = _after(governor, COOL)
    assert low is not None
    assert higher is not None
    assert higher.rate > low.rate
    assert "80 °C" in low.reason
    assert "°C" not in higher.reason, "what is reported is so now"
    assert _after(governor, *[COOL] * 40) is None


def test_just_below_the_target_the_rate_stays_so_that_it_does_not_swing() -> None:
    governor = Governor()
    before = _after(governor, *[HOT] * 3)
    assert before is not None
    lukewarm = replace(COOL, temperature_c=75.0 - COOL_BY_C / 2)
    after = _after(governor, *[lukewarm] * 10)
    assert after is not None
    assert after.rate == before.rate


def test_a_temperature_that_falls_already_is_given_time() -> None:
    governor = Governor()
    before = _after(governor, replace(HOT, temperature_c=79.0))
    after = _after(governor, replace(HOT, temperature_c=78.0))
    assert before is not None
    assert after is not None
    assert after.rate == before.rate


@pytest.mark.parametrize(
    ("bit", "words"),
    [
        ("throttled now", "throttles"),
        ("soft temperature limit now", "temperature limit"),
        ("frequency capped now", "frequency"),
        ("under-voltage now", "power supply"),
    ],
)
def test_what_the_firmware_does_now_slows_and_what_it_did_does_not(bit: str, words: str) -> None:
    limit = _after(Governor(), replace(COOL, throttled=(bit,)))
    assert limit is not None
    assert words in limit.reason
    assert _after(Governor(), replace(COOL, throttled=(bit.replace("now", "since boot"),))) is None


def test_a_share_of_the_processor_is_kept() -> None:
    """Each classification costs 8 % of a core a second here, and the camera 10 %."""
    targets, governor = Targets(0.0, 50.0, 1.0), Governor()
    rate = 10.0
    for _ in range(60):
        limit = governor.step(replace(COOL, cpu_percent=10.0 + 8.0 * rate), targets, running=rate, wanted=10.0)
        rate = min(10.0, limit.rate) if limit else 10.0
    assert limit is not None
    assert 45.0 <= 10.0 + 8.0 * rate <= 55.0
    assert "power.cpu_percent" in limit.reason


def test_targets_that_are_off_limit_nothing_and_end_what_was_limited() -> None:
    off = Targets(0.0, 0.0, 1.0)
    assert _after(Governor(), *[HOT] * 10, targets=off) is None
    governor = Governor()
    assert _after(governor, HOT) is not None
    assert _after(governor, HOT, targets=off) is None


def test_a_target_taken_away_ends_its_limit_at_once_and_leaves_the_others() -> None:
    busy, both = replace(HOT, temperature_c=50.0), replace(TARGETS, cpu_percent=20.0)
    governor = Governor()
    assert "power.cpu_percent" in str(_after(governor, *[busy] * 5, targets=both))
    assert _after(governor, busy) is None
    governor = Governor()
    _after(governor, *[HOT] * 5, targets=both)
    limit = _after(governor, HOT)
    assert limit is not None
    assert "80 °C" in limit.reason


def test_nothing_runs_so_nothing_is_limited() -> None:
    assert Governor().step(HOT, TARGETS, running=0.0, wanted=10.0) is None


def test_a_modelled_pi_settles_below_the_target_without_swinging() -> None:
    """First-order heating: 45 °C idle, 4.5 degrees more for each classification a second, half-way in two minutes."""
    governor, celsius, rate = Governor(), 70.0, 10.0
    history = []
    for _ in range(600):
        celsius += (45.0 + 4.5 * rate - celsius) * (1 - 0.5 ** (3 / 120))
        limit = governor.step(SystemReading(temperature_c=round(celsius, 1)), TARGETS, running=rate, wanted=10.0)
        rate = min(10.0, limit.rate) if limit else 10.0
        history.append(celsius)
    assert max(history) < 80.0, "the firmware's own limit was never reached"
    settled = history[300:]
    assert min(settled) > 65.0
    assert max(settled) < 78.0
