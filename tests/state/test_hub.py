"""The hub: newest wins, one wake-up, and time alone wakes watchers too."""

from __future__ import annotations

import asyncio
import threading
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lookout.frame import Frame
from lookout.pipeline.smoothing import Answer
from lookout.state.hub import RING, Hub
from lookout.state.state import CameraState, PredictionRecord, Rate, StageTimes, State, status
from lookout.system.reading import SystemReading

SHORT_S = 0.2


def state_of(sequence: int, **changes: Any) -> State:
    usual: dict[str, Any] = {
        "instance": "k3f9",
        "sequence": sequence,
        "started_at": 0.0,
        "camera": CameraState("streaming", "demo", 0.0),
        "answer": Answer(None, "no_data", 0.0),
        "stale_after_s": 2.0,
        "interval_s": 0.1,
    }
    return State(**(usual | changes))


def frame_at(captured_at: float) -> Frame:
    return Frame(np.zeros((480, 640, 3), np.uint8), captured_at, 0, "demo")


async def attached(**changes: Any) -> Hub:
    hub = Hub(state_of(1, **changes))
    hub.attach(asyncio.get_running_loop())
    return hub


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


# --- the newest state -------------------------------------------------------------------------------------------


def test_anybody_reads_the_newest_state_with_or_without_a_loop() -> None:
    hub = Hub(state_of(1))
    hub.publish(state_of(2))
    hub.publish(state_of(3))
    assert hub.latest().sequence == 3


async def test_who_is_behind_gets_the_newest_at_once_and_never_the_ones_between() -> None:
    hub = await attached()
    for sequence in range(2, 100):
        hub.publish(state_of(sequence))
    assert (await hub.changed(1, 5.0)).sequence == 99


async def test_who_is_up_to_date_waits_for_the_next() -> None:
    hub = await attached()
    waiting = asyncio.create_task(hub.changed(1, 5.0))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    hub.publish(state_of(2))
    assert (await asyncio.wait_for(waiting, 1.0)).sequence == 2


async def test_after_the_timeout_the_newest_comes_unchanged() -> None:
    hub = await attached()
    started = time.monotonic()
    assert (await hub.changed(1, 0.05)).sequence == 1
    assert time.monotonic() - started >= 0.045


async def test_all_watchers_wake() -> None:
    hub = await attached()
    waiting = [asyncio.create_task(hub.changed(1, 5.0)) for _ in range(50)]
    await asyncio.sleep(0.02)
    threading.Thread(target=hub.publish, args=(state_of(2),)).start()
    assert {state.sequence for state in await asyncio.wait_for(asyncio.gather(*waiting), 1.0)} == {2}


async def test_a_watcher_that_left_leaves_nothing_behind() -> None:
    hub = await attached()
    waiting = asyncio.create_task(hub.changed(1, 5.0))
    await asyncio.sleep(0.02)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    wakes = counted_wakes(hub)
    hub.publish(state_of(2))
    assert wakes == [], "nobody watches any more, so the loop is left alone"


# --- wake-ups ---------------------------------------------------------------------------------------------------


def counted_wakes(hub: Hub) -> list[object]:
    """Grows by one with each wake-up that the hub asks of the loop."""
    loop, wakes = asyncio.get_running_loop(), []

    class Counting:
        def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
            wakes.append(callback)
            loop.call_soon_threadsafe(callback)

    hub.attach(Counting())  # type: ignore[arg-type]
    return wakes


async def test_however_much_is_published_one_wake_up_is_pending() -> None:
    hub = await attached()
    wakes = counted_wakes(hub)
    waiting = [asyncio.create_task(hub.changed(1, 5.0)) for _ in range(3)]
    await asyncio.sleep(0.02)
    for sequence in range(2, 1000):
        hub.publish(state_of(sequence))
    assert len(wakes) == 1
    assert {state.sequence for state in await asyncio.gather(*waiting)} == {999}


async def test_nobody_watches_nobody_is_woken() -> None:
    hub = await attached()
    wakes = counted_wakes(hub)
    hub.publish(state_of(2))
    assert wakes == []


async def test_each_publication_wakes_again() -> None:
    hub = await attached()
    for sequence in range(2, 6):
        waiting = asyncio.create_task(hub.changed(sequence - 1, 5.0))
        await asyncio.sleep(0.01)
        threading.Thread(target=hub.publish, args=(state_of(sequence),)).start()
        assert (await asyncio.wait_for(waiting, 1.0)).sequence == sequence


async def test_a_wake_up_for_what_was_seen_already_wakes_nobody() -> None:
    hub = await attached()
    first = asyncio.create_task(hub.changed(1, 5.0))
    again = asyncio.create_task(hub.changed(2, 5.0))
    await asyncio.sleep(0.01)
    hub.publish(state_of(2))
    await asyncio.sleep(0.05)
    assert first.done()
    assert not again.done()
    hub.publish(state_of(3))
    assert (await asyncio.wait_for(again, 1.0)).sequence == 3


async def test_two_wake_ups_at_once_are_one() -> None:
    hub, complaints = await attached(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    waiting = asyncio.create_task(hub.changed(1, 5.0))
    await asyncio.sleep(0.01)
    hub.publish(state_of(2))
    hub.detach()
    assert (await waiting).sequence == 2
    assert complaints == []


async def test_no_wake_up_is_lost_while_many_threads_publish() -> None:
    hub = await attached()
    numbers, lock = iter(range(2, 4002)), threading.Lock()

    def publish() -> None:
        for _ in range(1000):
            with lock:
                hub.publish(state_of(next(numbers)))

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    seen = [1]
    async with asyncio.timeout(20):
        while seen[-1] < 4001:
            seen.append((await hub.changed(seen[-1], 5.0)).sequence)
    assert seen == sorted(set(seen)), "always onward"


async def test_publishing_after_the_loop_ended_disturbs_nobody() -> None:
    hub = Hub(state_of(1))
    loop = asyncio.new_event_loop()
    hub.attach(loop)
    hub._waiters[loop.create_future()] = 0  # a watcher that was abandoned with its loop
    loop.close()
    hub.publish(state_of(2))
    hub.publish(state_of(3))
    assert hub.latest().sequence == 3


async def test_detaching_lets_everybody_go() -> None:
    hub = await attached(frame=frame_at(time.monotonic()))
    waiting = asyncio.create_task(hub.changed(1, 5.0))
    await asyncio.sleep(0.02)
    hub.detach()
    assert (await asyncio.wait_for(waiting, 1.0)).sequence == 1
    hub.publish(state_of(2))


# --- time -------------------------------------------------------------------------------------------------------


async def test_watchers_wake_when_the_picture_becomes_stale_though_nobody_publishes() -> None:
    hub = await attached(frame=frame_at(time.monotonic()), stale_after_s=SHORT_S, interval_s=9.0)
    state = await asyncio.wait_for(hub.changed(1, 5.0), SHORT_S + 1.0)
    now = time.monotonic()
    assert state.frame is not None
    assert now - state.frame.captured_at == pytest.approx(SHORT_S, abs=0.1)
    assert status(replace(state, model=object()), now) == "stale"  # type: ignore[arg-type]


async def test_after_a_restart_of_the_loop_time_still_wakes_watchers() -> None:
    hub = await attached(frame=frame_at(time.monotonic()), stale_after_s=SHORT_S)
    waiting = asyncio.create_task(hub.changed(1, 5.0))
    await asyncio.sleep(0.02)
    hub.detach()
    await waiting
    hub.attach(asyncio.get_running_loop())
    started = time.monotonic()
    await hub.changed(1, 5.0)
    assert time.monotonic() - started < SHORT_S + 0.5


async def test_a_later_frame_postpones_the_moment() -> None:
    hub = await attached(frame=frame_at(time.monotonic()), stale_after_s=SHORT_S)
    first = asyncio.create_task(hub.changed(1, 5.0))
    await asyncio.sleep(0.01)
    newest = frame_at(time.monotonic() + 0.2)
    hub.publish(state_of(2, frame=newest, stale_after_s=SHORT_S))
    await first
    woken = time.monotonic()
    while woken < newest.captured_at + SHORT_S:  # an early wake-up is harmless, a missing one is not
        await asyncio.wait_for(hub.changed(2, 5.0), 1.0)
        woken = time.monotonic()
    assert woken == pytest.approx(newest.captured_at + SHORT_S, abs=0.1)


# --- transitions ------------------------------------------------------------------------------------------------


def seen(sequence: int, label: str) -> State:
    return state_of(sequence, answer=Answer(label, None, 0.0))


def test_only_what_a_history_would_record_is_a_transition() -> None:
    hub = Hub(state_of(1))
    hub.publish(state_of(2, frame=frame_at(0.0)))
    hub.publish(seen(3, "cat"))
    hub.publish(replace(seen(4, "cat"), answer=Answer("cat", None, 0.0, (0.9, 0.1))))
    hub.publish(replace(seen(5, "cat"), camera=CameraState("stalled", "demo", 0.0)))
    hub.publish(replace(seen(6, "cat"), camera=CameraState("stalled", "demo", 0.0), paused=True))
    news, missed = hub.transitions(0)
    assert [(transition.number, transition.state.sequence) for transition in news] == [(1, 3), (2, 5), (3, 6)]
    assert missed == 0


def test_a_cursor_gets_only_what_is_new_to_it() -> None:
    hub = Hub(state_of(1))
    hub.publish(seen(2, "cat"))
    hub.publish(seen(3, "dog"))
    news, missed = hub.transitions(1)
    assert ([transition.number for transition in news], missed) == ([2], 0)
    assert hub.transitions(2) == ([], 0)


def test_a_subscriber_too_far_behind_learns_how_many_were_missed() -> None:
    hub = Hub(state_of(1))
    for sequence in range(2, RING + 102):
        hub.publish(seen(sequence, "cat" if sequence % 2 else "dog"))
    news, missed = hub.transitions(1)
    assert (len(news), missed) == (RING, 99)
    assert [transition.number for transition in news] == list(range(101, RING + 101))


def test_transitions_do_not_keep_pictures() -> None:
    """A thousand frames of 640 x 480 would be a gigabyte."""
    hub = Hub(state_of(1))
    hub.publish(replace(seen(2, "cat"), frame=frame_at(0.0)))
    assert hub.transitions(0)[0][0].state.frame is None
    assert hub.latest().frame is not None


def test_a_full_ring_weighs_less_than_a_megabyte() -> None:
    def reported(sequence: int) -> State:
        """With figures of its own, as the worker publishes it."""
        x, y, z = (sequence + 1 / part for part in (3, 7, 9))
        return replace(
            seen(sequence, "cat" if sequence % 2 else "dog"),
            camera=CameraState("streaming", "demo", -x, frames_per_s=-y),
            answer=Answer("cat" if sequence % 2 else "dog", None, -z, (x, y, z)),
            prediction=PredictionRecord((x + 1, y + 1, z + 1), sequence, x + 2),
            rate=Rate(x + 3, "camera", sequence),
            timing=StageTimes(x + 4, y + 4, z + 4, x + 5, y + 5),
        )

    hub = Hub(state_of(1))
    tracemalloc.start()
    try:
        for sequence in range(2, RING + 2):
            hub.publish(reported(sequence))
        weight = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert weight < 1e6


def test_the_machines_reading_is_kept_beside() -> None:
    hub = Hub(state_of(1))
    assert hub.system == SystemReading()
    hub.set_system(SystemReading(temperature_c=51.2))
    assert hub.system.temperature_c == 51.2


async def test_a_view_that_aged_before_anybody_waited_wakes_at_once() -> None:
    """A reader that was busy while the frame became stale waits for no further state."""
    now = time.monotonic()
    hub = await attached(frame=frame_at(now - 3.0), stale_after_s=2.0)
    async with asyncio.timeout(1.0):
        assert (await hub.changed(1, 5.0, seen_at=now - 2.0)).sequence == 1
    started = time.monotonic()
    await hub.changed(1, 0.05, seen_at=now)
    assert time.monotonic() - started >= 0.04, "what was seen after that is not seen again"
