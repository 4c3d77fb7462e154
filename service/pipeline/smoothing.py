"""From predictions to an answer: exponential smoothing, thresholds with hysteresis, a minimum hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Reason = Literal["reject", "unsure", "no_data"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A label becomes the answer at `enter` and is given up below `leave`."""

    enter: float
    leave: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The conclusion over time.

    label: the answer, or None with the reason why there is none.
    since: monotonic seconds of the frame that brought this answer (label and reason).
    probabilities: smoothed, one a label in the card's order; empty before the first prediction.
    """

    label: str | None
    reason: Reason | None
    since: float
    probabilities: tuple[float, ...] = ()


class Smoother:
    """s <- s + (1 - exp(-dt / window_s)) (p - s), with dt from capture times; then hysteresis on s.

    The candidate is the label with the largest s among those that are no reject label and reach `enter`. From
    no label to a label at once; otherwise the answer changes only after `hold_s`, and only when its own s fell
    below `leave` or the candidate's s is larger.
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
        """thresholds: one for each label that is no reject label. gap_s: a longer gap forgets what was."""
        self._labels = tuple(labels)
        self._reject = frozenset(reject)
        self._thresholds = dict(thresholds)
        self._window_s = window_s
        self._hold_s = hold_s
        self._gap_s = gap_s
        self._uniform = (1.0 / len(self._labels),) * len(self._labels)
        self._smoothed = self._uniform
        self._last: float | None = None
        self.answer = Answer(None, "no_data", now)

    def add(self, probabilities: Sequence[float], captured_at: float) -> Answer:
        """Take one prediction into account; `captured_at` in monotonic seconds. Returns the answer it leaves."""
        self._smoothed = self._step(probabilities, captured_at)
        self._last = captured_at
        label, reason = self._conclude(captured_at)
        changed = (label, reason) != (self.answer.label, self.answer.reason)
        since = captured_at if changed else self.answer.since
        self.answer = Answer(label, reason, since, self._smoothed)
        return self.answer

    def _step(self, probabilities: Sequence[float], captured_at: float) -> tuple[float, ...]:
        before, dt = self._smoothed, captured_at - self._last if self._last is not None else 0.0
        if self._last is None or dt > self._gap_s:
            # What was seen before the gap says nothing of now: start uniform, as long ago as one window.
            before, dt = self._uniform, self._window_s
        gain = 1.0 if self._window_s <= 0 else 1.0 - math.exp(-max(0.0, dt) / self._window_s)
        return tuple(s + gain * (p - s) for s, p in zip(before, probabilities, strict=True))

    def _conclude(self, now: float) -> tuple[str | None, Reason | None]:
        current, candidate = self.answer.label, self._candidate()
        if current is None or self.answer.reason == "no_data":
            return (candidate, None) if candidate else (None, self._reason())
        held = now - self.answer.since >= self._hold_s
        own = self._of(current)
        if not held or (own >= self._thresholds[current].leave and not self._larger(candidate, own)):
            return current, None
        return (candidate, None) if candidate else (None, self._reason())

    def _candidate(self) -> str | None:
        fit = [label for label, limit in self._thresholds.items() if self._of(label) >= limit.enter]
        return max(fit, key=self._of, default=None)

    def _larger(self, candidate: str | None, than: float) -> bool:
        return candidate is not None and self._of(candidate) > than

    def _reason(self) -> Reason:
        """ "reject" when a reject label leads ("Nobody here"), else "unsure"."""
        leader = self._labels[max(range(len(self._labels)), key=self._smoothed.__getitem__)]
        return "reject" if leader in self._reject else "unsure"

    def _of(self, label: str) -> float:
        return self._smoothed[self._labels.index(label)]
