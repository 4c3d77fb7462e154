"""The hub's listener: notes the answer of each published state, on the camera loop's thread, in a few microseconds."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Set
from dataclasses import dataclass

from lookout.events.rules import Sight
from lookout.frame import Frame
from lookout.geometry import Rect
from lookout.state.state import FocusReason, State

# Four seconds of a loop at a thousand frames a second; the recorder empties the queue four times a second.
_MAX_SIGHTS = 4096
# A frame replaces the best one only if it is better by this much, so that nearly equal frames are not copied.
_BETTER = 0.01


@dataclass(frozen=True, slots=True)
class Candidate:
    """A frame that may be the best of its visit. since: when the visit's label became the answer, monotonic seconds."""

    label: str
    since: float
    probability: float
    frame: Frame
    seen: Rect
    focus: FocusReason | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of which labels pictures are wanted; None: all."""

    pictures: bool = False
    labels: Set[str] | None = None

    def covers(self, label: str | None) -> bool:
        return self.pictures and (self.labels is None or label in self.labels)


class Watcher:
    """`observe` is the hub's listener; everything else is for the recorder's thread.

    A frame may lie in memory that the camera needs back, so at most one is held, until the recorder has copied it.
    """

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.wish = Wanted()
        self.missed = 0  # sights dropped because the recorder was late
        self._sights: deque[Sight] = deque(maxlen=_MAX_SIGHTS)
        self._candidate: deque[Candidate] = deque(maxlen=1)
        self._before: State | None = None
        self._best: tuple[str, float] | None = None
        self._best_probability = 0.0

    def observe(self, state: State) -> None:
        """Take a published state. Called on the camera loop's thread."""
        before, self._before = self._before, state
        if before is not None and state.answer is before.answer and state.paused == before.paused:
            return
        is_new = state.prediction is not None and (before is None or state.prediction is not before.prediction)
        raw = state.prediction.probabilities if is_new and state.prediction is not None else None
        if len(self._sights) == _MAX_SIGHTS:
            self.missed += 1
        self._sights.append(Sight.of(state, raw))
        label = state.answer.label
        if label is None:
            self._best = None
        elif raw is not None:
            self._consider(state, label, raw)
        if before is None or label != before.answer.label or state.paused != before.paused:
            self.arrived.set()

    def _consider(self, state: State, label: str, raw: tuple[float, ...]) -> None:
        which = (label, state.answer.since)
        model, frame = state.model, state.frame
        if model is None or frame is None or not self.wish.covers(label):
            return
        probability = raw[model.labels.index(label)]
        if which == self._best and probability < self._best_probability + _BETTER:
            return
        self._best, self._best_probability = which, probability
        self._candidate.append(Candidate(label, state.answer.since, probability, frame, state.region_seen, state.focus))
        self.arrived.set()

    def sights(self) -> list[Sight]:
        """Return the sights since the last call, oldest first."""
        found = []
        while self._sights:
            found.append(self._sights.popleft())
        return found

    def candidate(self) -> Candidate | None:
        """Return the best frame since the last call."""
        try:
            return self._candidate.pop()
        except IndexError:
            return None
