"""How large a watcher's pictures may be, and how often it gets states, so that nothing waits long on its network.

A network delivers in order: a state sent after a large picture arrives after the picture. So pictures are sized to take
half a second, states get a quarter of the bandwidth, and if even the smallest picture takes too long, none is sent.
"""

from __future__ import annotations

import math
from collections import deque

# How long a picture may take on the watcher's network. A state may have to wait for one, and must still be current.
PICTURE_S = 0.5
# If the smallest picture takes longer than this, none is sent: pictures that far apart are not live.
TOO_SLOW_S = 1.8
# The smallest is then retried at this interval: the network may have recovered.
RETRY_S = 5.0
# Before anything is known about the network: a little over a second of the slowest network that gets pictures at all.
FIRST_BYTES = 2 * 1024
# The next picture has at most this many times the bytes of the one before, and at least this fraction.
_GROWTH, _FALL = 8, 3
# Shares of the requested width. From one to the next the bytes almost halve: they grow as the width to this power.
SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.125)
_POWER = 1.6
# States may take this share of the bandwidth; but they come at least this often, as promised.
_STATES_SHARE = 0.25
MAX_INTERVAL_S = 0.9
# After this many pictures it is known whether the network is slow: the first ones are small on every network.
_MEASURED = 4
# The round trip is the shortest that one of this many recent states took.
_STATES = 16


class Pace:
    """Learns from the watcher's acknowledgements how fast its network is. Times in monotonic seconds."""

    def __init__(self) -> None:
        self._step = 0
        self._budget = float(FIRST_BYTES)
        self._rate: float | None = None  # bytes per second
        self._sent = (0, float("-inf"))
        self._round_trips: deque[float] = deque(maxlen=_STATES)
        self._acknowledged = 0
        self._slow = 0  # smallest pictures in a row that took too long

    @property
    def too_slow(self) -> bool:
        """Whether even the smallest picture takes too long. A single slow one may have met other traffic."""
        return self._slow > 1

    @property
    def slow(self) -> bool:
        """Whether pictures are smaller than requested because of the network, not because it is still unknown."""
        return self._step > 0 and self._acknowledged >= _MEASURED

    @property
    def share(self) -> float:
        """The share of the requested width that the next picture should have, above 0 and at most 1."""
        return SHARES[self._step]

    def fits(self, size: int) -> bool:
        """Return whether a picture of this many bytes may be sent. The smallest always may, unless `too_slow`."""
        return size <= self._budget or self._step == len(SHARES) - 1

    def smaller_than(self, size: int) -> None:
        """Reduce the share after a picture of this many bytes was too large, by at least one step."""
        expected = float(size)
        while self._step < len(SHARES) - 1:
            expected *= (SHARES[self._step + 1] / self.share) ** _POWER
            self._step += 1
            if expected <= self._budget:
                break

    def is_due(self, now: float) -> bool:
        """Return whether a picture may be sent at all. On a network that is too slow, few are: they test it again."""
        return not self.too_slow or now - self._sent[1] >= RETRY_S

    def sent(self, size: int, now: float) -> None:
        """Note that a picture of this many bytes is being sent."""
        self._sent = (size, now)

    def acknowledged(self, now: float) -> None:
        """Note that the watcher has the picture: what it could have received in `PICTURE_S` limits the next one."""
        size, at = self._sent
        took = now - at
        self._acknowledged += 1
        # The round trip takes time whatever the size: without this, distance would look like slowness.
        round_trip = min(self._round_trips, default=0.0)
        rate = size / max(took - round_trip, took / 20, 1e-3)
        # A lower rate counts at once, a higher one only by half: one lucky measurement does not make a network faster.
        self._rate = rate if self._rate is None or rate < self._rate else math.sqrt(rate * self._rate)
        self._budget = min(max(self._rate * PICTURE_S, size / _FALL), size * _GROWTH)
        self._slow = self._slow + 1 if self._step == len(SHARES) - 1 and took > TOO_SLOW_S else 0
        expected = float(size)
        while self._step > 0:
            expected *= (SHARES[self._step - 1] / self.share) ** _POWER
            if expected > self._budget:
                break
            self._step -= 1

    def confirmed(self, took: float) -> None:
        """Note that a state took this many seconds to reach the watcher and be confirmed."""
        self._round_trips.append(took)

    def interval_s(self, size: int, requested_s: float) -> float:
        """Return the seconds between states of `size` bytes for a watcher that requested one every `requested_s`."""
        if self._rate is None:
            return requested_s
        return max(requested_s, min(MAX_INTERVAL_S, size / (self._rate * _STATES_SHARE)))
