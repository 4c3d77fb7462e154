"""The ladder of recovery, with time passed in."""

from __future__ import annotations

import pytest
from lookout.engine.supervisor import (
    HEALTHY_S,
    MAX_OPEN_S,
    MIN_OPEN_S,
    OPEN_DEADLINE_S,
    OPEN_MARGIN,
    PAUSES_S,
    Supervisor,
)

OVERDUE_S = 2.0


def delivering(now: float = 0.0) -> Supervisor:
    """A source that is open and delivered a frame at `now`."""
    supervisor = Supervisor(OVERDUE_S, now)
    supervisor.opened(now)
    supervisor.frame(now)
    return supervisor


def pauses(supervisor: Supervisor, now: float, failures: int) -> list[float]:
    """Fail so often, each time opening in vain as soon as it is due; the pauses before each try."""
    waited = []
    for _ in range(failures):
        supervisor.failed(now)
        assert supervisor.retry_at is not None
        waited.append(supervisor.retry_at - now)
        now = supervisor.retry_at
        assert supervisor.due(now) == "open"
    return waited


def test_at_first_it_opens_then_it_reads() -> None:
    supervisor = Supervisor(OVERDUE_S, 0.0)
    assert supervisor.due(0.0) == "open"
    supervisor.opened(0.5)
    assert supervisor.due(0.5) == "read"
    assert supervisor.retry_at is None


def test_a_source_that_delivered_is_reopened_at_once_then_with_growing_pauses() -> None:
    assert pauses(delivering(), 10.0, 9) == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_source_that_was_never_there_is_tried_with_growing_pauses() -> None:
    assert pauses(Supervisor(OVERDUE_S, 0.0), 0.0, 8) == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_it_waits_until_the_pause_is_over() -> None:
    supervisor = Supervisor(OVERDUE_S, 0.0)
    supervisor.failed(10.0)
    assert supervisor.due(10.999) == "wait"
    assert supervisor.due(11.0) == "open"


def test_a_source_that_opens_and_delivers_nothing_climbs_the_ladder_too() -> None:
    supervisor, now, waited = Supervisor(OVERDUE_S, 0.0), 0.0, []
    for _ in range(4):
        supervisor.opened(now)
        supervisor.failed(now + OVERDUE_S)
        assert supervisor.retry_at is not None
        waited.append(supervisor.retry_at - now - OVERDUE_S)
        now = supervisor.retry_at
    assert waited == [1.0, 2.0, 4.0, 8.0]


def test_a_source_that_delivers_a_little_and_fails_again_climbs_on() -> None:
    supervisor, now, waited = Supervisor(OVERDUE_S, 0.0), 0.0, []
    for _ in range(5):
        supervisor.opened(now)
        supervisor.frame(now)
        supervisor.frame(now + HEALTHY_S - 1)
        now += HEALTHY_S - 1
        supervisor.failed(now)
        assert supervisor.retry_at is not None
        waited.append(supervisor.retry_at - now)
        now = supervisor.retry_at
    assert waited == [0.0, 1.0, 2.0, 4.0, 8.0]


def test_a_minute_of_health_starts_the_ladder_over() -> None:
    supervisor = delivering()
    assert pauses(supervisor, 10.0, 5)[-1] == 8.0
    supervisor.opened(100.0)
    supervisor.frame(100.0)
    supervisor.frame(100.0 + HEALTHY_S)
    assert pauses(supervisor, 170.0, 2) == [0.0, 1.0]


def test_a_source_is_overdue_when_it_was_silent_for_too_long_since_its_last_frame() -> None:
    supervisor = delivering(0.0)
    supervisor.frame(5.0)
    assert not supervisor.is_overdue(5.0 + OVERDUE_S - 0.001)
    assert supervisor.is_overdue(5.0 + OVERDUE_S)


def test_a_source_that_is_not_open_is_not_overdue() -> None:
    supervisor = delivering()
    supervisor.failed(10.0)
    assert not supervisor.is_overdue(1000.0)


def test_restarts_count_how_often_an_open_source_was_lost() -> None:
    supervisor = Supervisor(OVERDUE_S, 0.0)
    pauses(supervisor, 0.0, 5)
    assert supervisor.restarts == 0, "a camera that was never there was not restarted"
    supervisor.opened(100.0)
    pauses(supervisor, 110.0, 3)
    assert supervisor.restarts == 1


def test_closed_on_purpose_it_opens_again_with_a_clean_slate() -> None:
    supervisor = delivering()
    pauses(supervisor, 10.0, 4)
    supervisor.closed(20.0)
    assert supervisor.due(20.0) == "open"
    assert pauses(supervisor, 20.0, 2) == [1.0, 2.0]


def test_a_source_that_opened_quickly_is_not_waited_for_long_when_it_hangs() -> None:
    supervisor, given = Supervisor(OVERDUE_S, 0.0), []
    assert supervisor.open_within_s == OPEN_DEADLINE_S, "nothing is known of it yet"
    supervisor.opened(0.5, took_s=0.5)
    for now in (10.0, 20.0, 30.0, 40.0, 50.0):
        supervisor.failed(now)
        given.append(supervisor.open_within_s)
    assert given == [2.0, 4.0, 8.0, 16.0, MAX_OPEN_S]
    supervisor.opened(60.0, took_s=1.5)
    assert supervisor.open_within_s == 4.5


@pytest.mark.parametrize("failures", [len(PAUSES_S), 1000])
def test_it_never_gives_up(failures: int) -> None:
    assert pauses(delivering(), 0.0, failures)[-1] == PAUSES_S[-1]


def test_a_source_that_never_opened_gets_the_whole_deadline_and_longer_if_the_machine_is_slow() -> None:
    supervisor, given = Supervisor(OVERDUE_S, 0.0), []
    for attempt in range(4):
        given.append(supervisor.open_within_s)
        supervisor.failed(100.0 * attempt)
    assert given == [OPEN_DEADLINE_S, 2 * OPEN_DEADLINE_S, MAX_OPEN_S, MAX_OPEN_S]
    supervisor.opened(500.0, took_s=26.0)
    assert supervisor.open_within_s == MAX_OPEN_S, "what once took long may take long again"


def test_a_reopening_that_hangs_is_given_up_soon_and_each_next_one_later() -> None:
    supervisor = Supervisor(OVERDUE_S, 0.0)
    supervisor.opened(0.5, took_s=0.5)
    supervisor.failed(1.0)
    allowed = []
    for attempt in range(5):
        allowed.append(supervisor.open_within_s)
        supervisor.failed(10.0 * attempt)
    assert allowed == [MIN_OPEN_S, 2 * MIN_OPEN_S, 4 * MIN_OPEN_S, 8 * MIN_OPEN_S, MAX_OPEN_S]
    supervisor.opened(100.0, took_s=0.5)
    assert supervisor.open_within_s == MIN_OPEN_S


def test_a_source_that_opens_slowly_is_given_as_much_time_again() -> None:
    supervisor = Supervisor(OVERDUE_S, 0.0)
    supervisor.opened(2.0, took_s=2.0)
    supervisor.failed(3.0)
    assert supervisor.open_within_s == OPEN_MARGIN * 2.0
