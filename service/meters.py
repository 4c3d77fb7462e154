"""Rates and times, smoothed for people to read. Times are monotonic seconds, passed in."""

from __future__ import annotations

from collections import deque

# Long enough that a figure does not flicker, short enough that it follows.
WINDOW_S = 3.0
_GAIN = 0.1


class RateMeter:
    """Events a second over the last few seconds."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._times: deque[float] = deque()

    def tick(self, now: float) -> None:
        self._times.append(now)
        self._forget(now)

    def per_s(self, now: float) -> float:
        self._forget(now)
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-6)

    def clear(self) -> None:
        self._times.clear()

    def _forget(self, now: float) -> None:
        while self._times and now - self._times[0] > self._window_s:
            self._times.popleft()


def smoothed(before: float, value: float) -> float:
    """One step of an exponential average that begins with its first value."""
    return value if before == 0.0 else before + _GAIN * (value - before)
