"""The state: what the worker knows, in monotonic times; and the view: what people are told of it at a moment.

A `State` is a fact and never grows old. `view(state, now)` derives status, ages and wall times each time anything
is served, so a worker that died cannot leave "ok" standing, and a wall clock that jumps at boot corrects itself.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Literal

from typing_extensions import TypedDict

from lookout.errors import LookoutError
from lookout.frame import WHOLE, Frame, Rect
from lookout.pipeline.smoothing import Answer, Reason, Threshold

Status = Literal["failed", "paused", "absent", "ended", "starting", "stale", "ok"]
CameraStatus = Literal["opening", "streaming", "stalled", "absent", "failed", "paused", "ended"]
FocusReason = Literal["changed", "found"]
LimitedBy = Literal["camera", "max_rate", "inference", "governor", "unchanged_picture"]


# --- facts ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, in the three parts every error has."""

    code: str
    reason: str
    remedy: str

    @classmethod
    def of(cls, error: LookoutError) -> Fault:
        return cls(error.code, error.detail, error.remedy)


@dataclass(frozen=True, slots=True)
class CameraState:
    """The source as the worker last saw it. since, retry_at: monotonic seconds."""

    status: CameraStatus
    source: str
    since: float
    name: str = ""
    width: int = 0
    height: int = 0
    live: bool = True
    frames_per_s: float = 0.0
    fault: Fault | None = None
    restarts: int = 0
    retry_at: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelState:
    """The network in use."""

    name: str
    version: str
    precision: str
    threads: int
    labels: tuple[str, ...]
    titles: Mapping[str, str]
    thresholds: Mapping[str, Threshold]


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the network said of one frame. captured_at: monotonic seconds."""

    probabilities: tuple[float, ...]
    frame_id: int
    captured_at: float


@dataclass(frozen=True, slots=True)
class Rate:
    """reason: why the governor holds it down, as a sentence."""

    classifications_per_s: float = 0.0
    limited_by: LimitedBy = "camera"
    dropped_frames: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Smoothed milliseconds a classification spends in each stage."""

    capture: float = 0.0
    preprocess: float = 0.0
    inference: float = 0.0
    postprocess: float = 0.0
    publish: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """Everything a watcher needs, at one moment of the worker's.

    sequence rises by one a state; `instance` is random per process and scopes it. `frame` is the newest accepted
    one. interval_s: seconds between two classifications; `stale_after_s` seconds after its capture a frame is
    no longer of now. focus: what drew the look to `region_seen`, None where it is all of the region that was asked for.
    """

    instance: str
    sequence: int
    started_at: float
    camera: CameraState
    answer: Answer
    stale_after_s: float
    interval_s: float
    prediction: Predicted | None = None
    frame: Frame | None = None
    model: ModelState | None = None
    model_fault: Fault | None = None
    paused: bool = False
    region_asked: Rect = WHOLE
    region_seen: Rect = WHOLE
    focus: FocusReason | None = None
    rate: Rate = field(default_factory=Rate)
    timing: StageTimes = field(default_factory=StageTimes)

    def but(self, **changes: object) -> State:
        """A copy with these changes.

        The worker makes one for each frame. `dataclasses.replace` asks for the description of every field: with the
        caches as a network leaves them that takes 27 microseconds, this 20.
        """
        return State(**{**dict(zip(_FIELDS, _values(self), strict=True)), **changes})


_FIELDS = tuple(each.name for each in fields(State))
_values = operator.attrgetter(*_FIELDS)


@dataclass(frozen=True, slots=True)
class SystemReading:
    """The machine. What it does not tell is None. disk: what is wrong with the one that changes are kept on."""

    temperature_c: float | None = None
    throttled: tuple[str, ...] = ()
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    clock_synchronised: bool | None = None
    disk: Fault | None = None


# --- what follows from them at a moment -------------------------------------------------------------------------


def status(state: State, now: float) -> Status:
    """The first that applies, from the worst to "ok"; `now` in monotonic seconds."""
    if state.model is None:
        return "failed"
    if state.paused:
        return "paused"
    if state.camera.status in ("absent", "failed"):
        return "absent"
    if state.camera.status == "ended":
        return "ended"
    if state.frame is None:
        return "starting"
    if state.camera.status != "streaming" or now >= _stale_at(state, state.frame.captured_at):
        return "stale"
    return "ok"


def is_current(state: State, now: float) -> bool:
    """Whether the answer is of now: the one rule by which every interface tells."""
    prediction = state.prediction
    return (
        prediction is not None
        and status(state, now) == "ok"
        and now < _stale_at(state, prediction.captured_at) + state.interval_s
    )


def next_change(state: State, now: float) -> float | None:
    """The next moment (monotonic seconds) at which time alone changes what is told, None if it never does."""
    moments = []
    if state.frame is not None:
        moments.append(_stale_at(state, state.frame.captured_at))
    if state.prediction is not None:
        moments.append(_stale_at(state, state.prediction.captured_at) + state.interval_s)
    return min((moment for moment in moments if moment > now), default=None)


def _stale_at(state: State, captured_at: float) -> float:
    return captured_at + state.stale_after_s


# --- the view: JSON as every interface serves it ----------------------------------------------------------------


class TimeView(TypedDict):
    now: str
    synchronised: bool | None


class ThresholdView(TypedDict):
    enter: float
    leave: float


class AnswerView(TypedDict):
    label: str | None
    reason: Reason | None
    title: str
    probability: float | None
    current: bool
    since: str
    for_s: float
    probabilities: dict[str, float]
    thresholds: dict[str, ThresholdView]


class PredictionView(TypedDict):
    probabilities: dict[str, float]
    frame_id: int
    captured_at: str
    age_ms: int


class RectView(TypedDict):
    x: float
    y: float
    width: float
    height: float


class RegionView(TypedDict):
    asked: RectView
    seen: RectView
    focused: bool
    why: FocusReason | None


class CameraView(TypedDict):
    status: CameraStatus
    source: str
    name: str
    width: int
    height: int
    frames_per_s: float
    frame_age_s: float | None
    since: str
    for_s: float
    code: str | None
    reason: str | None
    remedy: str | None
    retry_in_s: float | None
    restarts: int
    notes: list[str]


class ModelView(TypedDict):
    name: str
    version: str
    precision: str
    threads: int
    labels: list[str]
    titles: dict[str, str]


class FaultView(TypedDict):
    code: str
    reason: str
    remedy: str


class RateView(TypedDict):
    classifications_per_s: float
    limited_by: LimitedBy
    reason: str | None
    dropped_frames: int


class TimingView(TypedDict):
    capture: float
    preprocess: float
    inference: float
    postprocess: float
    publish: float


class SystemView(TypedDict):
    temperature_c: float | None
    throttled: list[str]
    cpu_percent: float | None
    memory_bytes: int | None
    uptime_s: float
    disk: FaultView | None


class StateView(TypedDict):
    type: Literal["state"]
    instance: str
    sequence: int
    status: Status
    stale_after_s: float
    time: TimeView
    answer: AnswerView
    prediction: PredictionView | None
    region: RegionView
    camera: CameraView
    model: ModelView | None
    fault: FaultView | None
    rate: RateView
    timing_ms: TimingView
    system: SystemView


_NO_SYSTEM = SystemReading()
_REASON_TITLES: dict[Reason, str] = {"reject": "Nobody here", "unsure": "Not sure", "no_data": "No answer yet"}


def view(state: State, now: float, wall: float, system: SystemReading = _NO_SYSTEM) -> StateView:
    """What is told of the state at `now` (monotonic seconds), when the wall clock shows `wall` (Unix seconds)."""
    told = _Teller(now, wall)
    return {
        "type": "state",
        "instance": state.instance,
        "sequence": state.sequence,
        "status": status(state, now),
        "stale_after_s": state.stale_after_s,
        "time": {"now": rfc3339(wall), "synchronised": system.clock_synchronised},
        "answer": _answer(state, told),
        "prediction": _prediction(state, told),
        "region": _region(state),
        "camera": _camera(state, told),
        "model": _model(state.model),
        "fault": _fault(state.model_fault),
        "rate": {
            "classifications_per_s": round(state.rate.classifications_per_s, 2),
            "limited_by": state.rate.limited_by,
            "reason": state.rate.reason,
            "dropped_frames": state.rate.dropped_frames,
        },
        "timing_ms": {
            "capture": round(state.timing.capture, 2),
            "preprocess": round(state.timing.preprocess, 2),
            "inference": round(state.timing.inference, 2),
            "postprocess": round(state.timing.postprocess, 2),
            "publish": round(state.timing.publish, 2),
        },
        "system": {
            "temperature_c": system.temperature_c,
            "throttled": list(system.throttled),
            "cpu_percent": system.cpu_percent,
            "memory_bytes": system.memory_bytes,
            "uptime_s": round(now - state.started_at, 1),
            "disk": _fault(system.disk),
        },
    }


@dataclass(frozen=True, slots=True)
class _Teller:
    """Turns monotonic moments into what people read."""

    now: float
    wall: float

    def moment(self, at: float) -> str:
        return rfc3339(self.wall - (self.now - at))

    def age_s(self, at: float) -> float:
        return max(0.0, self.now - at)


def rfc3339(wall: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds: 2026-05-01T07:14:11.020Z."""
    text = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _answer(state: State, told: _Teller) -> AnswerView:
    answer, model = state.answer, state.model
    labels = model.labels if model else ()
    probabilities = _by_label(labels, answer.probabilities)
    thresholds = model.thresholds if model else {}
    title = _REASON_TITLES[answer.reason] if answer.reason else ""
    if answer.label is not None:
        title = model.titles.get(answer.label, answer.label) if model else answer.label
    return {
        "label": answer.label,
        "reason": answer.reason,
        "title": title,
        "probability": probabilities.get(answer.label) if answer.label else None,
        "current": is_current(state, told.now),
        "since": told.moment(answer.since),
        "for_s": round(told.age_s(answer.since), 1),
        "probabilities": probabilities,
        "thresholds": {label: {"enter": t.enter, "leave": t.leave} for label, t in thresholds.items()},
    }


def _prediction(state: State, told: _Teller) -> PredictionView | None:
    prediction = state.prediction
    if prediction is None:
        return None
    return {
        "probabilities": _by_label(state.model.labels if state.model else (), prediction.probabilities),
        "frame_id": prediction.frame_id,
        "captured_at": told.moment(prediction.captured_at),
        "age_ms": round(told.age_s(prediction.captured_at) * 1e3),
    }


def _camera(state: State, told: _Teller) -> CameraView:
    camera, fault = state.camera, state.camera.fault
    return {
        "status": camera.status,
        "source": camera.source,
        "name": camera.name,
        "width": camera.width,
        "height": camera.height,
        "frames_per_s": round(camera.frames_per_s, 1),
        "frame_age_s": round(told.age_s(state.frame.captured_at), 2) if state.frame else None,
        "since": told.moment(camera.since),
        "for_s": round(told.age_s(camera.since), 1),
        "code": fault.code if fault else None,
        "reason": fault.reason if fault else None,
        "remedy": fault.remedy if fault else None,
        "retry_in_s": round(max(0.0, camera.retry_at - told.now), 1) if camera.retry_at is not None else None,
        "restarts": camera.restarts,
        "notes": list(camera.notes),
    }


def _region(state: State) -> RegionView:
    return {
        "asked": _rect(state.region_asked),
        "seen": _rect(state.region_seen),
        "focused": state.focus is not None,
        "why": state.focus,
    }


def _fault(fault: Fault | None) -> FaultView | None:
    return {"code": fault.code, "reason": fault.reason, "remedy": fault.remedy} if fault else None


def _model(model: ModelState | None) -> ModelView | None:
    if model is None:
        return None
    return {
        "name": model.name,
        "version": model.version,
        "precision": model.precision,
        "threads": model.threads,
        "labels": list(model.labels),
        "titles": dict(model.titles),
    }


def _rect(rect: Rect) -> RectView:
    return {
        "x": round(rect.x, 4),
        "y": round(rect.y, 4),
        "width": round(rect.width, 4),
        "height": round(rect.height, 4),
    }


def _by_label(labels: tuple[str, ...], values: tuple[float, ...]) -> dict[str, float]:
    return {label: round(value, 4) for label, value in zip(labels, values, strict=False)}
