"""Pictures and states shrink to what a watcher's network carries, and grow again with it."""

from __future__ import annotations

from lookout.api.streaming.pacing import FIRST_BYTES, MAX_INTERVAL_S, PICTURE_S, RETRY_S, SHARES, TOO_SLOW_S, Pace

FULL = 60_000  # bytes of a picture in its full width


def bytes_of(pace: Pace) -> int:
    return round(FULL * pace.share**1.6)


def show(pace: Pace, now: float, bytes_per_s: float, way_s: float = 0.0) -> float:
    """Send one picture, as large as the pace has it; returns when it was acknowledged."""
    while not pace.fits(bytes_of(pace)):
        pace.smaller_than(bytes_of(pace))
    size = bytes_of(pace)
    pace.sent(size, now)
    now += size / bytes_per_s + way_s
    pace.acknowledged(now)
    return now


def test_the_first_picture_is_small_enough_for_the_slowest_network() -> None:
    """It was 64 KiB: three seconds at 20 kB/s, after which pages gave the connection up."""
    pace = Pace()
    assert not pace.fits(FULL)
    pace.smaller_than(FULL)
    assert bytes_of(pace) <= 2 * FIRST_BYTES
    assert pace.fits(bytes_of(pace))


def test_pictures_take_as_long_as_they_may() -> None:
    pace, now = Pace(), 0.0
    for picture in range(5):
        assert pace.slow == (picture >= 4), "the first pictures are small on every network"
        now = show(pace, now, bytes_per_s=20_000)
    began = now
    assert 0.2 < show(pace, now, bytes_per_s=20_000) - began <= PICTURE_S


def test_a_fast_reader_gets_its_full_size_in_three_pictures() -> None:
    pace, now = Pace(), 0.0
    for _ in range(3):
        now = show(pace, now, bytes_per_s=5e6, way_s=0.01)
    assert pace.share == 1.0


def test_a_long_way_is_not_taken_for_a_slow_network() -> None:
    """Half a second there and back, as over a satellite: small pictures would be no sooner there."""
    pace, now = Pace(), 0.0
    for _ in range(8):
        pace.confirmed(0.6)
        now = show(pace, now, bytes_per_s=500_000, way_s=0.6)
        assert not pace.too_slow
    assert pace.share == 1.0


def test_where_even_the_smallest_takes_too_long_one_is_tried_now_and_then() -> None:
    pace = Pace()
    slow = FULL * SHARES[-1] ** 1.6 / (TOO_SLOW_S + 0.1)
    began = show(pace, 0.0, bytes_per_s=slow)
    assert not pace.too_slow, "something else may have been on its way"
    now = show(pace, began, bytes_per_s=slow)
    assert pace.too_slow
    assert not pace.is_due(now)
    assert pace.is_due(began + RETRY_S)
    now = show(pace, began + RETRY_S, bytes_per_s=20_000)
    assert not pace.too_slow
    assert pace.is_due(now)


def test_states_take_a_quarter_of_a_slow_network_and_come_before_a_second_of_silence() -> None:
    for bytes_per_s, interval_s in ((20_000, 0.3), (2_000, MAX_INTERVAL_S), (1e6, 0.1)):
        pace = Pace()
        assert pace.interval_s(1_500, 0.1) == 0.1
        show(pace, 0.0, bytes_per_s)
        assert round(pace.interval_s(1_500, 0.1), 3) == interval_s
