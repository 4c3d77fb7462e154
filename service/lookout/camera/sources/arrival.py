"""Estimates when a frame was captured from when it arrived, since a stalled connection delivers old pictures first."""

from __future__ import annotations

from collections import deque

_WINDOW_S = 3.0
# The longest pause between two frames that counts in that window, so that stalls do not shorten it.
_MAX_STEP_S = 0.5
_STANDSTILL_S = 1.0
_USUAL = 3  # a pause of this many usual intervals is a standstill, if that is longer
_WAITED_S = 0.05
_HELD_S = 3.0


class ArrivalClock:
    """Estimates when a frame was captured, from its time in the stream and its time of arrival.

    A frame that a stalled connection has held back arrives late, and its time in the stream shows how late. The minimum
    delay of the last few seconds counts as "not held back"; a constant shift of the stream's clock is forgotten after
    that window, in which standstills do not count.
    """

    def __init__(self) -> None:
        self._delays: deque[tuple[float, float]] = deque()
        self._last = -1.0
        self._last_arrived: float | None = None
        self._active = 0.0  # seconds of arriving frames, without standstills

    def captured_at(self, in_stream: float, arrived: float) -> float:
        """Return the capture time, at most `arrived`. In seconds; `arrived` and the result on the monotonic clock."""
        if in_stream <= self._last:
            self._delays.clear()  # the stream started over, or has no timestamps at all
        self._last = in_stream
        if self._last_arrived is not None:
            self._active += min(_MAX_STEP_S, arrived - self._last_arrived)
        self._last_arrived = arrived
        delay = arrived - in_stream
        while self._delays and self._delays[0][0] < self._active - _WINDOW_S:
            self._delays.popleft()
        while self._delays and self._delays[-1][1] >= delay:
            self._delays.pop()
        self._delays.append((self._active, delay))
        return min(arrived, in_stream + self._delays[0][1])


class Standstill:
    """The same for a stream without timestamps: data that arrives right after a standstill was sent before it."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._picture_at: float | None = None
        self._usual_s: float | None = None
        self._held: tuple[float, float] | None = None  # when the standstill began, and when it ended

    def sent_at(self, now: float, waited_s: float) -> float:
        """Return the latest time at which bytes that arrive `now` were sent. waited_s: seconds of waiting for them."""
        last, self._last = self._last, now
        if last is not None and now - last > max(_STANDSTILL_S, _USUAL * (self._usual_s or now)):
            self._held = (last, now)
        elif self._held is not None:
            waited = waited_s > min(_WAITED_S, (self._usual_s or _WAITED_S) / _USUAL)
            if waited or now - self._held[1] > _HELD_S:
                self._held = None
        return now if self._held is None else self._held[0]

    def picture(self, now: float) -> None:
        """Record that a picture is complete, to learn the usual interval between two."""
        if self._picture_at is not None:
            step = now - self._picture_at
            self._usual_s = step if self._usual_s is None else 0.8 * self._usual_s + 0.2 * step
        self._picture_at = now
