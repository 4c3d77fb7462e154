"""Rates and times for people to read."""

from __future__ import annotations

import pytest
from lookout.engine.meters import WINDOW_S, RateMeter, smoothed


def meter_with(*times: float) -> RateMeter:
    meter = RateMeter()
    for moment in times:
        meter.tick(moment)
    return meter


def test_ten_a_second_are_ten_a_second() -> None:
    assert meter_with(*(i / 10 for i in range(100))).per_s(9.9) == pytest.approx(10.0)


def test_one_event_is_not_a_rate() -> None:
    assert RateMeter().per_s(1.0) == 0.0
    assert meter_with(1.0).per_s(1.5) == 0.0


def test_it_follows_within_its_window() -> None:
    slow = [i / 5 for i in range(50)]
    fast = [slow[-1] + i / 50 for i in range(1, round(50 * WINDOW_S) + 2)]
    assert meter_with(*slow, *fast).per_s(fast[-1]) == pytest.approx(50.0, rel=0.02)


def test_a_rate_slower_than_the_window_is_a_rate_nevertheless() -> None:
    assert meter_with(0.0, 10.0, 20.0, 30.0).per_s(30.0) == pytest.approx(0.1)


def test_it_waits_one_interval_before_it_falls() -> None:
    meter = meter_with(*(i / 10 for i in range(30)))
    assert meter.per_s(2.9 + 0.1) == pytest.approx(10.0)
    assert meter.per_s(2.9 + 2.0) == pytest.approx(0.5), "at most one in the two seconds since"


def test_two_events_at_once_divide_by_nothing() -> None:
    assert meter_with(1.0, 1.0).per_s(1.0) > 0.0


def test_clear_starts_over() -> None:
    meter = meter_with(0.0, 0.1)
    meter.clear()
    assert meter.per_s(0.1) == 0.0


def test_it_remembers_no_more_than_its_window() -> None:
    meter = meter_with(*(i / 100 for i in range(10_000)))
    assert len(meter._times) <= WINDOW_S * 100 + 2


def test_an_average_begins_with_its_first_value_and_then_moves_a_tenth() -> None:
    assert smoothed(0.0, 5.0) == 5.0
    assert smoothed(5.0, 6.0) == pytest.approx(5.1)
