"""At the hub's side: takes down what each published state says, on the camera loop's thread, in a few microseconds."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Set
from dataclasses import dataclass

from lookout.events.rules import Sight
from lookout.frame import Frame
from lookout.geometry import Rect
from lookout.state.state import FocusReason, State

# Of a loop at a thousand a second, four seconds: the recorder looks four times a second.
_MAX_SIGHTS = 4096
# A frame is a better one from here on: a hundred nearly equal ones would be copied for nothing.
_BETTER = 0.01


@dataclass(frozen=True, slots=True)
class Candidate:
    """A frame that may be the best of its visit. at: monotonic seconds."""

    label: str
    since: float
    probability: float
    frame: Frame
    seen: Rect
    focus: FocusReason | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What pictures are wanted of. labels: None for all."""

    pictures: bool = False
    labels: Set[str] | None = None

    def covers(self, label: str | None) -> bool:
        return self.pictures and (self.labels is None or label in self.labels)


class Watcher:
    """Its `observe` is the hub's listener; the rest is for the recorder's thread.

    A frame may lie in memory that the camera wants back: one at most is held, until the recorder has copied it.
    """

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.wish = Wanted()
        self.missed = 0  # sights that were lost because the recorder did not come
        self._sights: deque[Sight] = deque(maxlen=_MAX_SIGHTS)
        self._candidate: deque[Candidate] = deque(maxlen=1)
        self._before: State | None = None
        self._best: tuple[str, float] | None = None
        self._best_probability = 0.0

    def observe(self, state: State) -> None:
        """The camera loop's thread, after each state."""
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
        """Those since the last time, oldest first."""
        found = []
        while self._sights:
            found.append(self._sights.popleft())
        return found

    def candidate(self) -> Candidate | None:
        """The best frame since the last time."""
        try:
            return self._candidate.pop()
        except IndexError:
            return None
