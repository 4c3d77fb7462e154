"""Rates and durations, smoothed for display. Times are monotonic seconds, passed in."""

from __future__ import annotations

from collections import deque

# Long enough that a value does not flicker, short enough to follow changes.
WINDOW_S = 3.0
_GAIN = 0.1
_MIN_INTERVAL_S = 1e-6


class RateMeter:
    """Events per second over the last few seconds. When events stop, the rate falls the longer none comes."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._times: deque[float] = deque()

    def tick(self, now: float) -> None:
        self._times.append(now)
        while len(self._times) > 2 and now - self._times[0] > self._window_s:
            self._times.popleft()

    def per_s(self, now: float) -> float:
        if len(self._times) < 2:
            return 0.0
        first, last = self._times[0], self._times[-1]
        usual = (last - first) / (len(self._times) - 1)
        return 1.0 / max(usual, now - last, _MIN_INTERVAL_S)

    def clear(self) -> None:
        self._times.clear()


def smoothed(before: float, value: float) -> float:
    """One step of an exponential average that starts with its first value."""
    return value if before == 0.0 else before + _GAIN * (value - before)
