"""From predictions to an answer: exponential smoothing, thresholds with hysteresis, a minimum hold time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Reason = Literal["reject", "unsure", "no_data"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A label becomes the answer at `enter` and is dropped below `leave`."""

    enter: float
    leave: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer, concluded from the predictions so far.

    label: the answer, or None with the reason why there is none.
    since: capture time of the frame that led to this label and reason, in monotonic seconds.
    probabilities: smoothed, one per label in the card's order; empty before the first prediction.
    """

    label: str | None
    reason: Reason | None
    since: float
    probabilities: tuple[float, ...] = ()


class Smoother:
    """Smooths by s <- s + (1 - exp(-dt / window_s)) (p - s), with dt from capture times; then hysteresis on s.

    The candidate is the label with the largest s among those that are not reject labels and reach `enter`. If there is
    no answer, the candidate becomes the answer at once. Otherwise the answer changes only after `hold_s`, and only if
    its own s fell below `leave` or the candidate's s is larger.
    """

    def __init__(
        self,
        labels: Sequence[str],
        reject: Sequence[str],
        thresholds: Mapping[str, Threshold],
        *,
        window_s: float,
        hold_s: float,
        gap_s: float,
        now: float,
    ) -> None:
        """thresholds: one for each label that is not a reject label. gap_s: start over after a gap longer than this."""
        self._labels = tuple(labels)
        self._place = {label: place for place, label in enumerate(self._labels)}
        self._reject = frozenset(reject)
        self._gap_s = gap_s
        self._uniform = (1.0 / len(self._labels),) * len(self._labels)
        self._smoothed = self._uniform
        self._last: float | None = None
        self.answer = Answer(None, "no_data", now)
        self.tune(thresholds, window_s=window_s, hold_s=hold_s)

    def tune(self, thresholds: Mapping[str, Threshold], *, window_s: float, hold_s: float) -> None:
        """Use other parameters from the next prediction on; the smoothed probabilities are kept."""
        self._thresholds = dict(thresholds)
        self._window_s = window_s
        self._hold_s = hold_s

    def add(self, probabilities: Sequence[float], captured_at: float) -> Answer:
        """Take one prediction into account and return the resulting answer. captured_at: monotonic seconds."""
        dt = captured_at - self._last if self._last is not None else math.inf
        if dt > self._gap_s:
            # Results from before the gap no longer apply: start from uniform probabilities, one window ago.
            self._smoothed, dt = self._uniform, self._window_s
            self.answer = Answer(None, "no_data", captured_at)
        gain = 1.0 - math.exp(-max(0.0, dt) / self._window_s) if self._window_s > 0 else 1.0
        self._smoothed = tuple([s + gain * (p - s) for s, p in zip(self._smoothed, probabilities, strict=True)])
        self._last = captured_at
        label = self._conclude(captured_at)
        reason = self._reason() if label is None else None
        before = self.answer
        same = label == before.label and reason == before.reason
        self.answer = Answer(label, reason, before.since if same else captured_at, self._smoothed)
        return self.answer

    def _conclude(self, now: float) -> str | None:
        current, candidate = self.answer.label, self._candidate()
        if current is None:
            return candidate
        own = self._smoothed[self._place[current]]
        overtaken = candidate is not None and self._smoothed[self._place[candidate]] > own
        may_change = now - self.answer.since >= self._hold_s
        return candidate if may_change and (own < self._thresholds[current].leave or overtaken) else current

    def _candidate(self) -> str | None:
        best, most = None, -1.0
        for label, limit in self._thresholds.items():
            value = self._smoothed[self._place[label]]
            if value >= limit.enter and value > most:
                best, most = label, value
        return best

    def _reason(self) -> Reason:
        """Return "reject" if a reject label leads ("Nobody here"), else "unsure"."""
        leader = self._labels[self._smoothed.index(max(self._smoothed))]
        return "reject" if leader in self._reject else "unsure"
