"""The view: a state as JSON, as every interface serves it at a given time.

Status, ages and wall times are derived each time the view is served, so that "ok" cannot outlive a worker that died,
and times are corrected when the wall clock jumps at boot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from typing_extensions import TypedDict

from lookout.errors import Fault
from lookout.geometry import Rect
from lookout.pipeline.smoothing import Reason
from lookout.state.state import CameraStatus, FocusReason, LimitedBy, ModelState, State, Status, is_current, status
from lookout.system.reading import SystemReading
from lookout.timestamps import rfc3339


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
    label_count: int
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
    """Return the state as of `now` (monotonic seconds), when the wall clock shows `wall` (Unix seconds)."""
    clock = _Clock(now, wall)
    return {
        "type": "state",
        "instance": state.instance,
        "sequence": state.sequence,
        "status": status(state, now),
        "stale_after_s": state.stale_after_s,
        "time": {"now": rfc3339(wall), "synchronised": system.clock_synchronised},
        "answer": _answer(state, clock),
        "prediction": _prediction(state, clock),
        "region": _region(state),
        "camera": _camera(state, clock),
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
class _Clock:
    """Converts monotonic times to wall times and ages."""

    now: float
    wall: float

    def moment(self, at: float) -> str:
        return rfc3339(self.wall - (self.now - at))

    def age_s(self, at: float) -> float:
        return max(0.0, self.now - at)


def _answer(state: State, clock: _Clock) -> AnswerView:
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
        "current": is_current(state, clock.now),
        "since": clock.moment(answer.since),
        "for_s": round(clock.age_s(answer.since), 1),
        "probabilities": probabilities,
        "thresholds": {label: {"enter": t.enter, "leave": t.leave} for label, t in thresholds.items()},
    }


def _prediction(state: State, clock: _Clock) -> PredictionView | None:
    prediction = state.prediction
    if prediction is None:
        return None
    return {
        "probabilities": _by_label(state.model.labels if state.model else (), prediction.probabilities),
        "frame_id": prediction.frame_id,
        "captured_at": clock.moment(prediction.captured_at),
        "age_ms": round(clock.age_s(prediction.captured_at) * 1e3),
    }


def _camera(state: State, clock: _Clock) -> CameraView:
    camera, fault = state.camera, state.camera.fault
    return {
        "status": camera.status,
        "source": camera.source,
        "name": camera.name,
        "width": camera.width,
        "height": camera.height,
        "frames_per_s": round(camera.frames_per_s, 1),
        "frame_age_s": round(clock.age_s(state.frame.captured_at), 2) if state.frame else None,
        "since": clock.moment(camera.since),
        "for_s": round(clock.age_s(camera.since), 1),
        "code": fault.code if fault else None,
        "reason": fault.detail if fault else None,
        "remedy": fault.remedy if fault else None,
        "retry_in_s": round(max(0.0, camera.retry_at - clock.now), 1) if camera.retry_at is not None else None,
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
    return {"code": fault.code, "reason": fault.detail, "remedy": fault.remedy} if fault else None


def _model(model: ModelState | None) -> ModelView | None:
    if model is None:
        return None
    return {
        "name": model.name,
        "version": model.version,
        "precision": model.precision,
        "threads": model.threads,
        "labels": list(model.labels),
        "label_count": len(model.labels),
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
