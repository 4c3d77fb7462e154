"""The rules for when an event begins and ends, without clock, disk or thread: sights go in, outcomes come out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lookout.events.curve import MAX_LABELS, CurveBuilder
from lookout.events.event import Kind
from lookout.state.state import CameraState, ModelState, State, Status

# How long a frame may be in transit; until then, time passing does not close a visit.
_SLACK_S = 1.0
# At most this many visits at once, for models with a thousand labels; the oldest are closed first.
_MAX_VISITS = 16


@dataclass(frozen=True, slots=True)
class Sight:
    """The answer after one frame.

    at: the frame's monotonic seconds, or those of the change if there is no frame. label: the answer, `since` when.
    smoothed: the answer's probabilities. raw: the network's for this frame, None if there was no inference on it.
    Both are in the order of the model's labels.
    """

    at: float
    label: str | None
    since: float
    smoothed: tuple[float, ...]
    raw: tuple[float, ...] | None
    model: ModelState | None
    source: str = ""
    paused: bool = False

    @classmethod
    def of(cls, state: State, raw: tuple[float, ...] | None) -> Sight:
        answer = state.answer
        at = answer.since if state.frame is None else max(state.frame.captured_at, answer.since)
        return cls(
            at, answer.label, answer.since, answer.probabilities, raw, state.model, state.camera.source, state.paused
        )


@dataclass(slots=True, eq=False)
class Visit:
    """A label that is the answer, or was until recently. Times in monotonic seconds.

    last: the newest frame for which it was the answer. said_s: for how long it was the answer in all, without the gaps.
    """

    label: str
    model: ModelState
    started: float
    last: float
    curve: CurveBuilder
    order: tuple[int, ...]
    said_s: float = 0.0
    frames: int = 0
    total: float = 0.0
    probability: float = 0.0
    waiting: bool = False
    lost: bool = False
    begun: bool = False
    gaps: list[tuple[float, float]] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return self.total / self.frames if self.frames else 0.0


@dataclass(frozen=True, slots=True)
class Began:
    visit: Visit


@dataclass(frozen=True, slots=True)
class Ended:
    visit: Visit


@dataclass(frozen=True, slots=True)
class Happened:
    """Something happened to the camera or the model. at: monotonic seconds."""

    kind: Kind
    at: float
    why: dict[str, str] = field(default_factory=dict)


Outcome = Began | Ended | Happened


class Rules:
    """Takes every sight in order with `see`, and the time now and then with `pass_time`."""

    def __init__(self, *, merge_s: float, min_s: float) -> None:
        self.merge_s = merge_s
        self.min_s = min_s
        self._visits: dict[str, Visit] = {}
        self._model: ModelState | None = None
        self._source: str | None = None
        self._paused: bool | None = None
        self._lost_since: float | None = None
        self._lost_said = False

    @property
    def visits(self) -> list[Visit]:
        """The visits in progress."""
        return list(self._visits.values())

    def visit_of(self, label: str) -> Visit | None:
        return self._visits.get(label)

    # --- sights -------------------------------------------------------------------------------------------------------

    def see(self, sight: Sight) -> Iterator[Outcome]:
        """Yield what follows from one sight."""
        yield from self._note_pause(sight)
        yield from self._note_model(sight)
        if self._source is not None and sight.source != self._source:
            yield from self.close_all()  # another camera shows another place
        self._source = sight.source
        for visit in self.visits:
            if visit.label != sight.label:
                visit.waiting = True
                if sight.at - visit.last >= self.merge_s:
                    yield from self._close(visit)
        if sight.label is not None and sight.model is not None and not sight.paused:
            yield from self._continue_or_begin(sight, sight.label, sight.model)

    def _continue_or_begin(self, sight: Sight, label: str, model: ModelState) -> Iterator[Outcome]:
        visit = self._visits.get(label)
        if visit is not None and visit.waiting and sight.since - visit.last >= self.merge_s:
            yield from self._close(visit)
            visit = None
        if visit is None:
            while len(self._visits) >= _MAX_VISITS:
                yield from self._close(min(self.visits, key=lambda one: one.last))
            visit = self._visits[label] = _new_visit(label, model, sight.since)
        if visit.waiting:
            self._carry_over(visit, sight)
        else:
            visit.said_s += max(0.0, sight.at - visit.last)
        visit.last = max(visit.last, sight.at)
        _count(visit, sight)
        if not visit.begun and visit.said_s >= self.min_s:
            visit.begun = True
            yield Began(visit)

    @staticmethod
    def _carry_over(visit: Visit, sight: Sight) -> None:
        """Continue the visit: the label is back soon enough for both parts to be one event."""
        if visit.lost:
            visit.gaps.append((round(visit.last - visit.started, 2), round(sight.since - visit.started, 2)))
        visit.said_s += max(0.0, sight.at - sight.since)
        visit.waiting = visit.lost = False

    def _note_pause(self, sight: Sight) -> Iterator[Outcome]:
        if self._paused is not None and sight.paused != self._paused:
            yield from self.close_all()
            self._lost_since, self._lost_said = None, False
            yield Happened("paused" if sight.paused else "resumed", sight.at)
        self._paused = sight.paused

    def _note_model(self, sight: Sight) -> Iterator[Outcome]:
        """Report a new model, also a run's first one: only the database knows whether the last run had another."""
        model = sight.model
        if model is None or model is self._model:
            return
        before, self._model = self._model, model
        if before is not None and _identity(before) == _identity(model):
            return
        yield from self.close_all()
        name, version, precision = _identity(model)
        yield Happened("model_changed", sight.at, {"name": name, "version": version, "precision": precision})

    # --- time ---------------------------------------------------------------------------------------------------------

    def pass_time(self, now: float, status: Status, camera: CameraState, newest_at: float | None) -> Iterator[Outcome]:
        """Yield what follows from the time. status: the state's. newest_at: the newest frame's monotonic seconds."""
        if status in ("stale", "absent"):
            yield from self._note_loss(now, camera, newest_at)
        elif status == "ok" and self._lost_since is not None:
            if self._lost_said:
                yield Happened("camera_back", newest_at if newest_at is not None else now)
            self._lost_since, self._lost_said = None, False
        for visit in self.visits:
            if now - visit.last >= self.merge_s + _SLACK_S:
                yield from self._close(visit)

    def _note_loss(self, now: float, camera: CameraState, newest_at: float | None) -> Iterator[Outcome]:
        if self._lost_since is None:
            self._lost_since = camera.since if newest_at is None else newest_at
        for visit in self.visits:
            visit.waiting = visit.lost = True
        if not self._lost_said and now - self._lost_since >= self.merge_s:
            self._lost_said = True
            fault = camera.fault
            why = {"code": fault.code, "reason": fault.detail} if fault else {}
            yield Happened("camera_lost", self._lost_since, why)

    def close_all(self) -> Iterator[Outcome]:
        """End every visit at the last frame in which it was seen."""
        for visit in self.visits:
            yield from self._close(visit)

    def _close(self, visit: Visit) -> Iterator[Outcome]:
        del self._visits[visit.label]
        if visit.begun:
            yield Ended(visit)


def _identity(model: ModelState) -> tuple[str, str, str]:
    return model.name, model.version, model.precision


def _new_visit(label: str, model: ModelState, since: float) -> Visit:
    """Return a visit whose curve holds its own label first, then the model's first other labels."""
    others = [index for index, name in enumerate(model.labels) if name != label]
    order = (model.labels.index(label), *others)[:MAX_LABELS]
    return Visit(label, model, since, since, CurveBuilder([model.labels[index] for index in order]), order)


def _count(visit: Visit, sight: Sight) -> None:
    if sight.raw is None or not sight.smoothed:
        return
    own = visit.order[0]
    visit.frames += 1
    visit.total += sight.smoothed[own]
    visit.probability = max(visit.probability, sight.raw[own])
    visit.curve.add(sight.at - visit.started, [sight.smoothed[index] for index in visit.order])
