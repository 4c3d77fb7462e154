"""How large a watcher's pictures may be, and how often it hears of states, so that nothing waits long on its network.

A network takes what is sent in order: a state behind a large picture arrives when the picture has. So a picture is
sized to take half a second, states get a quarter of what the network carries, and where even the smallest picture
takes too long, none is sent.
"""

from __future__ import annotations

import math
from collections import deque

# What a picture may take on the watcher's network. A state may wait for one, and must still be of now.
PICTURE_S = 0.5
# Where the smallest picture takes longer than this none is sent: pictures so far apart could not be called live.
TOO_SLOW_S = 1.8
# The smallest is then tried this often: the network may have recovered.
RETRY_S = 5.0
# Before anything is known of the network: little more than a second's worth of the slowest that has pictures at all.
FIRST_BYTES = 2 * 1024
# The next picture has at most so many times the bytes of the one before, and at least the other part of them.
_GROWTH, _FALL = 8, 3
# Shares of the width asked for. From one to the next the bytes nearly halve: they grow as the width to this power.
SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.125)
_POWER = 1.6
# Of what the network carries, states may take this share; but they come at least this often, as was promised.
_STATES_SHARE = 0.25
MAX_INTERVAL_S = 0.9
# After so many pictures it is known whether the network is slow: the first ones are small on every network.
_MEASURED = 4
# The way there and back is the shortest that one of the last so many states took.
_STATES = 16


class Pace:
    """Learns from what the watcher acknowledges how fast its network is. Times in monotonic seconds."""

    def __init__(self) -> None:
        self._step = 0
        self._budget = float(FIRST_BYTES)
        self._rate: float | None = None  # bytes a second
        self._sent = (0, float("-inf"))
        self._ways: deque[float] = deque(maxlen=_STATES)
        self._acknowledged = 0
        self._slow = 0  # smallest pictures in a row that took too long

    @property
    def too_slow(self) -> bool:
        """Whether even the smallest picture takes too long. One alone may have met with something else on its way."""
        return self._slow > 1

    @property
    def slow(self) -> bool:
        """Whether pictures are smaller than asked for because of the network, and not because it is not known yet."""
        return self._step > 0 and self._acknowledged >= _MEASURED

    @property
    def share(self) -> float:
        """The share of the width asked for that the next picture should have, above 0 and at most 1."""
        return SHARES[self._step]

    def fits(self, size: int) -> bool:
        """Whether a picture of so many bytes may go out. The smallest always may, unless `too_slow`."""
        return size <= self._budget or self._step == len(SHARES) - 1

    def smaller_than(self, size: int) -> None:
        """The picture, of so many bytes, did not fit: go down to the share that should, one step at least."""
        expected = float(size)
        while self._step < len(SHARES) - 1:
            expected *= (SHARES[self._step + 1] / self.share) ** _POWER
            self._step += 1
            if expected <= self._budget:
                break

    def is_due(self, now: float) -> bool:
        """Whether a picture may go out at all. Where the network is too slow, now and then one measures it again."""
        return not self.too_slow or now - self._sent[1] >= RETRY_S

    def sent(self, size: int, now: float) -> None:
        """A picture of so many bytes goes out."""
        self._sent = (size, now)

    def acknowledged(self, now: float) -> None:
        """The watcher has the picture: what it could have had in `PICTURE_S` is the next one's limit."""
        size, at = self._sent
        took = now - at
        self._acknowledged += 1
        # The way itself takes time, whatever the size: without this distance would look like slowness.
        way = min(self._ways, default=0.0)
        rate = size / max(took - way, took / 20, 1e-3)
        # Down at once, up by halves: one lucky measurement is no faster network.
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
        """A state was with the watcher, and its confirmation here, after so many seconds."""
        self._ways.append(took)

    def interval_s(self, size: int, requested_s: float) -> float:
        """Seconds from one state of `size` bytes to the next for a watcher that wishes one every `requested_s`."""
        if self._rate is None:
            return requested_s
        return max(requested_s, min(MAX_INTERVAL_S, size / (self._rate * _STATES_SHARE)))
