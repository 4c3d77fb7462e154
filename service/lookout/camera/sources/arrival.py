"""When a frame was caught, from the moment it arrived: a connection that stood still hands over old pictures first."""

from __future__ import annotations

from collections import deque

_WINDOW_S = 3.0
# What a pause between two frames counts at most in that window: a connection that stood still teaches nothing new.
_MAX_STEP_S = 0.5
_STANDSTILL_S = 1.0
_USUAL = 3  # times the usual time between two pictures is a standstill, where that is longer
_WAITED_S = 0.05
_HELD_S = 3.0


class ArrivalClock:
    """When a frame was caught, from its time in the stream and the moment it arrived.

    A frame that a stalled connection held back arrives late, but says by its time in the stream how late. The least
    delay of the last few seconds stands for "not held back"; a constant shift of the stream's clock is forgotten
    after that window, in which standing still does not count.
    """

    def __init__(self) -> None:
        self._delays: deque[tuple[float, float]] = deque()
        self._last = -1.0
        self._last_arrived: float | None = None
        self._active = 0.0  # seconds of arriving, standstills left out

    def captured_at(self, in_stream: float, arrived: float) -> float:
        """Both in seconds, `arrived` and the result on the monotonic clock; never later than `arrived`."""
        if in_stream <= self._last:
            self._delays.clear()  # the stream began again, or has no times at all
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
    """The same for a stream without times: what comes after a standstill without waiting was sent before it."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._picture_at: float | None = None
        self._usual_s: float | None = None
        self._held: tuple[float, float] | None = None  # when the standstill began, and when it ended

    def sent_at(self, now: float, waited_s: float) -> float:
        """When bytes that arrive `now` were sent, at the latest. waited_s: how long nothing lay there to be read."""
        last, self._last = self._last, now
        if last is not None and now - last > max(_STANDSTILL_S, _USUAL * (self._usual_s or now)):
            self._held = (last, now)
        elif self._held is not None:
            waited = waited_s > min(_WAITED_S, (self._usual_s or _WAITED_S) / _USUAL)
            if waited or now - self._held[1] > _HELD_S:
                self._held = None
        return now if self._held is None else self._held[0]

    def picture(self, now: float) -> None:
        """A picture is whole: teaches how much time usually lies between two."""
        if self._picture_at is not None:
            step = now - self._picture_at
            self._usual_s = step if self._usual_s is None else 0.8 * self._usual_s + 0.2 * step
        self._picture_at = now
