"""How old a frame is when it arrives: from its time in the stream, and after a standstill without such times."""

from __future__ import annotations

import pytest
from lookout.camera.sources.arrival import ArrivalClock, Standstill


def test_a_frame_held_back_is_as_old_as_its_time_in_the_stream_says() -> None:
    clock = ArrivalClock()
    steady = [clock.captured_at(number / 10, 100.0 + number / 10) for number in range(20)]
    assert steady == pytest.approx([100.0 + number / 10 for number in range(20)])
    burst = [clock.captured_at(number / 10, 104.0 + number / 1000) for number in range(20, 30)]
    assert burst == pytest.approx([100.0 + number / 10 for number in range(20, 30)])


def test_a_long_standstill_makes_no_old_frame_young() -> None:
    """The window of the least delay once ended while nothing came: the first frame after 10 s was taken for new."""
    clock = ArrivalClock()
    for number in range(20):
        clock.captured_at(number / 10, 100.0 + number / 10)
    late = [clock.captured_at(number / 10, 112.0 + number / 1000) for number in range(20, 120)]
    assert late[:3] == pytest.approx([102.0, 102.1, 102.2])
    assert clock.captured_at(12.0, 112.13) == pytest.approx(112.0)


def test_a_stream_whose_clock_was_shifted_is_believed_again_after_a_while() -> None:
    clock = ArrivalClock()
    for number in range(10):
        clock.captured_at(number / 10, 100.0 + number / 10)
    ages = []
    for number in range(10, 80):
        arrived = 102.0 + number / 10
        ages.append(arrived - clock.captured_at(number / 10, arrived))
    assert ages[0] == pytest.approx(2.0)
    assert ages[-1] == pytest.approx(0.0)


def test_a_stream_that_begins_again_starts_a_new_reckoning() -> None:
    clock = ArrivalClock()
    for number in range(10):
        clock.captured_at(number / 10, 100.0 + number / 10)
    assert clock.captured_at(0.0, 105.0) == 105.0


def test_a_stream_without_times_is_reckoned_by_arrival() -> None:
    clock = ArrivalClock()
    assert [clock.captured_at(0.0, 100.0 + number) for number in range(5)] == [100.0, 101.0, 102.0, 103.0, 104.0]


def running(fps: float, until: float) -> Standstill:
    """A stream whose pictures came in time until then."""
    standstill = Standstill()
    for number in range(int(until * fps)):
        assert standstill.sent_at(100 + number / fps, 1 / fps) == 100 + number / fps
        standstill.picture(100 + number / fps)
    return standstill


@pytest.mark.parametrize("fps", [2, 10, 30])
def test_what_comes_at_once_after_a_standstill_was_sent_before_it(fps: float) -> None:
    standstill = running(fps, 3)
    last = 103 - 1 / fps
    backlog = [standstill.sent_at(113 + number / 1000, 10.0 if number == 0 else 0.001) for number in range(40)]
    assert backlog == [last] * 40
    assert standstill.sent_at(113.1, 1 / fps) == 113.1  # it had to be waited for, so it is new


def test_pictures_that_became_rarer_are_believed_after_a_few() -> None:
    standstill = running(15, 2)
    ages = []
    for number in range(12):
        now = 105.0 + 2 * number
        ages.append(now - standstill.sent_at(now, 2.0))
        standstill.picture(now)
    assert ages[-1] == 0


def test_a_slow_link_after_a_standstill_does_not_look_old_for_ever() -> None:
    standstill = running(1, 5)
    ages = [now - standstill.sent_at(now, 0.01) for now in (115 + number / 100 for number in range(500))]
    assert ages[0] > 10
    assert ages[-1] == 0
