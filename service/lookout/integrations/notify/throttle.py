"""Rate limits of a rule. Time is monotonic, so that a jump of the wall clock neither mutes a rule nor floods people."""

from __future__ import annotations

from collections import deque
from typing import Any

HOUR_S = 3600.0


class Throttle:
    """The limits of one rule. Cooldown and hourly limit count only notices that were sent, not those held back."""

    def __init__(self, cooldown_s: float, per_hour: int) -> None:
        self._cooldown_s = cooldown_s
        self._sent: deque[float] = deque(maxlen=per_hour)
        self._snoozed_until = float("-inf")
        self.held = 0

    def admits(self, now: float) -> bool:
        """Whether a notice may be sent at `now` (monotonic seconds)."""
        if now < self._snoozed_until:
            return False
        if self._sent and now - self._sent[-1] < self._cooldown_s:
            return False
        return len(self._sent) < (self._sent.maxlen or 0) or now - self._sent[0] >= HOUR_S

    def sent(self, now: float) -> int:
        """Record that a notice was sent; return how many were held back before it."""
        self._sent.append(now)
        held, self.held = self.held, 0
        return held

    def snooze(self, now: float, for_s: float) -> None:
        """Silence the rule for this many seconds; 0 ends it."""
        self._snoozed_until = now + for_s

    def snoozed_for_s(self, now: float) -> float:
        return max(0.0, self._snoozed_until - now)

    def in_last_hour(self, now: float) -> int:
        return sum(now - at < HOUR_S for at in self._sent)

    def kept(self, now: float) -> dict[str, Any]:
        """Return the state that must survive a restart, as durations, which do not depend on any clock."""
        return {
            "sent": [round(now - at, 1) for at in self._sent],
            "snoozed": round(self.snoozed_for_s(now), 1),
            "held": self.held,
        }

    def restore(self, kept: dict[str, Any], now: float, away_s: float) -> None:
        """away_s: the time since `kept`, by the wall clock, which may be wrong. Raises ValueError, TypeError."""
        away_s = max(0.0, away_s)
        for age in kept["sent"]:
            self._sent.append(now - float(age) - away_s)
        self.snooze(now, max(0.0, float(kept["snoozed"]) - away_s))
        self.held = int(kept["held"])
