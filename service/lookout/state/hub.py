"""The newest state and its watchers: the only connection between the worker and the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lookout.state.state import Rate, StageTimes, State, next_change
from lookout.system.reading import SystemReading

# A thousand frames would be a gigabyte; rates and timings, which are out of date at once, half a megabyte.
_NOT_RECORDED: dict[str, Any] = {"frame": None, "rate": Rate(), "timing": StageTimes()}
# A watcher that falls behind by more transitions than this only learns how many it missed.
RING = 1024


@dataclass(frozen=True, slots=True)
class Transition:
    """The state after a change of answer, camera status, pause or model, numbered from 1; without frame and timings."""

    number: int
    state: State


@dataclass(frozen=True, slots=True)
class StageDurations:
    """Times of a classification. stages_ms: capture, preprocess, inference, postprocess. age_s: capture to answer."""

    stages_ms: tuple[float, float, float, float]
    age_s: float


class Meter(Protocol):
    """Counts what the worker does. Called on the worker's thread, so it must be quick."""

    def published(self, state: State) -> None: ...

    def classified(self, durations: StageDurations) -> None: ...


class Hub:
    """Holds the newest state only. The worker publishes, the event loop waits for changes, any thread may read.

    However many watchers there are, at most one wake-up of the loop is pending, and none without a watcher.
    """

    def __init__(self, state: State, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.meter: Meter | None = None  # while it is None, no durations are computed
        self._state = state
        self._ring: deque[Transition] = deque(maxlen=RING)
        self._transitions = 0
        self._system = SystemReading()
        self._listener: Callable[[State], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake_pending = False
        self._waiters: dict[asyncio.Future[None], int] = {}  # each with the sequence number that its task has seen
        # Used only on the event loop:
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None

    # --- any thread -------------------------------------------------------------------------------------------

    def latest(self) -> State:
        with self._lock:
            return self._state

    def publish(self, state: State) -> None:
        """Replace the newest state, and wake the watchers once."""
        with self._lock:
            if _is_transition(self._state, state):
                self._transitions += 1
                self._ring.append(Transition(self._transitions, replace(state, **_NOT_RECORDED)))
            self._state = state
            loop = self._loop if self._waiters and not self._wake_pending else None
            self._wake_pending = self._wake_pending or loop is not None
        if self.meter is not None:
            self.meter.published(state)
        if loop is not None:
            self._call_soon(loop)
        if self._listener is not None:
            self._listener(state)

    def listen(self, listener: Callable[[State], None] | None) -> None:
        """Call `listener` with every state, on the camera loop's thread: it must return within microseconds.

        For subscribers that must not miss any state, such as the diary; others need only the newest.
        """
        self._listener = listener

    def transitions(self, after: int) -> tuple[list[Transition], int]:
        """Return the transitions numbered above `after`, oldest first, and how many the ring has already dropped."""
        with self._lock:
            news = [transition for transition in self._ring if transition.number > after]
            return news, max(0, self._transitions - after - len(news))

    @property
    def system(self) -> SystemReading:
        return self._system

    def set_system(self, reading: SystemReading) -> None:
        """Set the machine's newest readings; watchers see them with the next state."""
        self._system = reading

    # --- the event loop ---------------------------------------------------------------------------------------

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the loop on which watchers wait."""
        with self._lock:
            self._loop, self._wake_pending = loop, False

    def detach(self) -> None:
        """Stop waking watchers, because the loop is closing. Tasks that still wait are released."""
        with self._lock:
            self._loop = None
        self._wake_all()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timer_at = None

    async def changed(self, after: int, timeout_s: float, *, seen_at: float | None = None) -> State:
        """Return the newest state, at once if its sequence exceeds `after`, else when it or its view changes.

        seen_at: the time of the caller's view, if that is older than this call: the view may have changed since, for
        example if the frame became stale while a slow client was served.
        Returns the newest state after `timeout_s` seconds at the latest, changed or not.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiters[waiter] = after
            state = self._state
        try:
            if state.sequence <= after and not self._has_aged(state, seen_at):
                self._arm(state)
                await asyncio.wait_for(waiter, timeout_s)
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._waiters.pop(waiter, None)
        return self.latest()

    def _has_aged(self, state: State, seen_at: float | None) -> bool:
        at = None if seen_at is None else next_change(state, seen_at)
        return at is not None and at <= self._clock()

    def _call_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop closed while the worker was publishing its last state
            with self._lock:
                self._loop, self._wake_pending = None, False

    def _wake(self) -> None:
        """Release the tasks that have not seen the newest state; those that began to wait since then have."""
        with self._lock:
            self._wake_pending = False
            newest = self._state.sequence
            waiters = [waiter for waiter, seen in self._waiters.items() if seen < newest]
        _release(waiters)

    def _wake_all(self) -> None:
        with self._lock:
            waiters = list(self._waiters)
        _release(waiters)

    def _arm(self, state: State) -> None:
        """Set one timer for the time at which the view changes without a new state."""
        now = self._clock()
        at = next_change(state, now)
        if at is None or (self._timer_at is not None and now < self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_later(at - now, self._fire)

    def _fire(self) -> None:
        self._timer = self._timer_at = None
        self._wake_all()


def _release(waiters: Iterable[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _is_transition(before: State, after: State) -> bool:
    """Whether the history should record the change."""
    return (
        (before.answer.label, before.answer.reason) != (after.answer.label, after.answer.reason)
        or before.camera.status != after.camera.status
        or before.paused != after.paused
        or (before.model is not after.model and before.model != after.model)
    )
