"""Pictures shrink for slow watchers and grow again for fast ones."""

from __future__ import annotations

from lookout.api.streaming.pacing import FIRST_BYTES, LEAST_BYTES, MOST_SHRINK, PICTURE_S, PicturePace


def test_the_first_picture_has_a_limit() -> None:
    pace = PicturePace()
    assert pace.fits(FIRST_BYTES)
    assert not pace.fits(FIRST_BYTES + 1)


def test_the_next_picture_takes_as_long_as_it_may() -> None:
    pace = PicturePace()
    pace.sent(50_000, now=10.0)
    pace.acknowledged(now=11.0)
    assert pace.fits(round(50_000 * PICTURE_S))
    assert not pace.fits(round(50_000 * PICTURE_S) + 1)


def test_the_smallest_picture_always_goes_out() -> None:
    pace = PicturePace()
    for _ in range(5):
        pace.smaller()
    assert pace.shrink == MOST_SHRINK
    assert pace.fits(10**9)


def test_a_stalled_reader_keeps_a_limit_above_nothing() -> None:
    pace = PicturePace()
    pace.sent(50_000, now=0.0)
    pace.acknowledged(now=1000.0)
    assert pace.fits(LEAST_BYTES)


def test_a_fast_reader_gets_its_full_size_back_step_by_step() -> None:
    pace, now = PicturePace(), 0.0
    pace.smaller()
    pace.smaller()
    for _ in range(8):
        pace.sent(60_000 // pace.shrink**2, now)
        now += 0.05
        pace.acknowledged(now)
    assert pace.shrink == 1
    assert pace.fits(500_000)
