"""Recovery of the source as a pure state machine: the worker asks for the next step, does it, reports the result."""

from __future__ import annotations

from typing import Literal

Step = Literal["open", "read", "wait"]

# Seconds before each attempt to reopen. A source that has delivered is retried at once, because of lost packets and
# loose cables; then the pauses grow.
PAUSES_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
# After this many seconds without a failure, the pauses start from the shortest again.
HEALTHY_S = 60.0
# A stream may take two seconds to negotiate and a Pi camera one to start; beyond this, something is wrong.
OPEN_DEADLINE_S = 10.0
# The machine may be slow, though, so the deadline doubles after each failed attempt, up to this.
MAX_OPEN_S = 30.0
# A source that has opened before gets this multiple of the time it took then. Otherwise an attempt that hangs would use
# up the whole deadline although a new attempt could succeed.
OPEN_MARGIN = 3.0
MIN_OPEN_S = 2.0


class Supervisor:
    """Decides when to open and when to read. It never gives up, since cameras come back.

    All times are monotonic seconds, passed in. `overdue_s`: how long an open source may go without a frame.
    `restarts` counts how often a source that was open had to be opened again.
    """

    def __init__(self, overdue_s: float, now: float) -> None:
        self.overdue_s = overdue_s
        self.restarts = 0
        self._open = False
        self._try_at = now
        self._rung = 0  # index into PAUSES_S, for the next failure
        self._heard_at = now
        self._healthy_since: float | None = None
        self._usual_open_s: float | None = None
        self._hung = 0  # failed attempts to open since one succeeded

    def due(self, now: float) -> Step:
        """The next step for the worker."""
        if self._open:
            return "read"
        return "open" if now >= self._try_at else "wait"

    @property
    def retry_at(self) -> float | None:
        """When the next attempt to open is due; None while the source is open."""
        return None if self._open else self._try_at

    @property
    def open_within_s(self) -> float:
        """Seconds an attempt to open may take: at first based on the last success, doubled after each failure."""
        usual = self._usual_open_s
        first = OPEN_DEADLINE_S if usual is None else max(MIN_OPEN_S, OPEN_MARGIN * usual)
        return min(MAX_OPEN_S, first * 2.0**self._hung)

    def opened(self, now: float, took_s: float | None = None) -> None:
        """Record that the source was opened in `took_s` seconds; its first frame is due within `overdue_s` of `now`."""
        self._open, self._heard_at, self._hung = True, now, 0
        if took_s is not None:
            self._usual_open_s = took_s

    def frame(self, now: float) -> None:
        """Record that a frame was accepted."""
        self._heard_at = now
        if self._healthy_since is None:
            self._healthy_since = now
        if now - self._healthy_since >= HEALTHY_S:
            self._rung = 0

    def heard(self, now: float) -> None:
        """Record a sign of life other than a frame, so that the open source is not overdue."""
        self._heard_at = max(self._heard_at, now)

    def is_overdue(self, now: float) -> bool:
        """Whether the open source has been silent for too long."""
        return self._open and now - self._heard_at >= self.overdue_s

    def failed(self, now: float) -> None:
        """Record that the worker has closed the source, because opening or reading failed or it is overdue."""
        if self._open:
            self.restarts += 1
        else:
            self._hung = min(self._hung + 1, len(PAUSES_S))
        rung = max(self._rung, 0 if self._healthy_since is not None else 1)
        self._try_at = now + PAUSES_S[min(rung, len(PAUSES_S) - 1)]
        self._open, self._healthy_since, self._rung = False, None, rung + 1

    def closed(self, now: float) -> None:
        """Record that the source was closed on purpose. It may be opened at once, and past failures do not count."""
        self._open, self._healthy_since, self._rung, self._try_at, self._hung = False, None, 0, now, 0
