"""How often a frame is classified: the maximum rate, when the next one is due, and what limits the rate."""

from __future__ import annotations

from lookout.engine.governor import Limit
from lookout.engine.meters import RateMeter, smoothed
from lookout.settings.schema import Settings
from lookout.state.state import LimitedBy, Rate

# At or above this fraction of the maximum, the maximum is what limits the rate.
_NEARLY = 0.9


class Pace:
    """Decides which frames are due, and measures the rate. Owned by the worker. Times: monotonic seconds, passed in."""

    def __init__(self, now: float) -> None:
        self.limit: Limit | None = None  # set by the governor
        self._due_at = now
        self._busy_s = 0.0
        self._classified = RateMeter()

    def restart(self, now: float) -> None:
        """Forget the measurements, because the camera, the model or the region has changed."""
        self._classified.clear()
        self._due_at = now

    def stand_still(self) -> None:
        """Report a rate of zero, because no frames arrive."""
        self._classified.clear()

    def is_due(self, settings: Settings, now: float) -> bool:
        """Whether the maximum rate allows a classification now; if so, schedule the next.

        A late one earns a credit of at most one interval.
        """
        interval = self._ceiling_s(settings)
        if now < self._due_at:
            return False
        self._due_at = max(self._due_at + interval, now - interval)
        return True

    def classified(self, now: float) -> None:
        """Record that a frame was classified."""
        self._classified.tick(now)

    def was_busy(self, took_s: float) -> None:
        """Record that classifying and publishing a frame took this many seconds."""
        self._busy_s = smoothed(self._busy_s, took_s)

    def interval_s(self, settings: Settings) -> float:
        """Seconds between two classifications when nothing is wrong."""
        return self._ceiling_s(settings) or usual_interval_s(settings)

    def rate(self, settings: Settings, now: float, *, frames_per_s: float, dropped_frames: int, resting: bool) -> Rate:
        """Return the rate and what limits it.

        frames_per_s: what the camera delivers. dropped_frames: since the source was created.
        resting: whether an unchanged picture is being classified less often.
        """
        per_s = self._classified.per_s(now)
        limited_by = "unchanged_picture" if resting else self._limited_by(settings, frames_per_s, per_s)
        reason = self.limit.reason if self.limit and limited_by == "governor" else None
        return Rate(per_s, limited_by, dropped_frames, reason)

    def _limited_by(self, settings: Settings, frames_per_s: float, classified_per_s: float) -> LimitedBy:
        ceiling = self._ceiling(settings)
        if ceiling > 0 and classified_per_s >= _NEARLY * ceiling:
            return "max_rate" if ceiling == settings.answer.max_rate else "governor"
        return "inference" if self._busy_s * frames_per_s >= _NEARLY else "camera"

    def _ceiling_s(self, settings: Settings) -> float:
        rate = self._ceiling(settings)
        return 1.0 / rate if rate > 0 else 0.0

    def _ceiling(self, settings: Settings) -> float:
        """Maximum classifications per second; 0: as fast as frames come."""
        wanted = settings.answer.max_rate
        if self.limit is None:
            return wanted
        # With a lower rate the answer would look old between two classifications.
        limited = max(self.limit.rate, 2.0 / settings.camera.stale_after_s)
        return min(wanted, limited) if wanted > 0 else limited


def usual_interval_s(settings: Settings) -> float:
    """Seconds between two classifications if nothing limits them."""
    return 1.0 / (settings.answer.max_rate or settings.camera.fps)
