"""The view of a state: every row of the contract's section 3, at any moment, whatever the wall clock does."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lookout.errors import CameraBusy, Fault
from lookout.frame import Frame
from lookout.geometry import Rect
from lookout.pipeline.smoothing import Answer, Threshold
from lookout.state.state import (
    CameraState,
    ModelState,
    PredictionRecord,
    Rate,
    StageTimes,
    State,
    is_current,
    next_change,
    status,
)
from lookout.state.view import StateView, view
from lookout.system.reading import SystemReading
from lookout.timestamps import rfc3339

NOW = 1000.0  # monotonic
WALL = datetime(2026, 5, 1, 7, 14, 11, 20_000, UTC).timestamp()
STALE_S, INTERVAL_S = 2.0, 0.1

MODEL = ModelState(
    name="cat-dog-resnet18",
    version="1",
    precision="int8",
    threads=2,
    labels=("cat", "dog", "neither"),
    titles={"cat": "Cat", "dog": "Dog", "neither": "Neither"},
    thresholds={"cat": Threshold(0.85, 0.6), "dog": Threshold(0.85, 0.6)},
)


def frame_at(captured_at: float) -> Frame:
    return Frame(np.zeros((2, 2, 3), np.uint8), captured_at, 99120, "pi:0")


def state_of(**changes: Any) -> State:
    """A service in full swing at NOW: a frame and its prediction 41 ms old."""
    usual: dict[str, Any] = {
        "instance": "k3f9",
        "sequence": 8812,
        "started_at": NOW - 86400,
        "camera": CameraState("streaming", "pi:0", NOW - 86000, "imx708", 640, 480, frames_per_s=15.0),
        "answer": Answer("cat", None, NOW - 121.9, (0.984, 0.005, 0.011)),
        "stale_after_s": STALE_S,
        "interval_s": INTERVAL_S,
        "prediction": PredictionRecord((0.981, 0.006, 0.013), 99120, NOW - 0.041),
        "frame": frame_at(NOW - 0.041),
        "model": MODEL,
        "region_seen": Rect(0.125, 0.0, 0.75, 1.0),
        "rate": Rate(10.0, "max_rate", 5),
        "timing": StageTimes(2.1, 0.3, 4.8, 0.1, 0.1),
    }
    return State(**(usual | changes))


def camera_of(name: str, **changes: Any) -> CameraState:
    return replace(state_of().camera, status=name, **changes)  # type: ignore[arg-type]


def reported(state: State, now: float = NOW, wall: float = WALL, **reading: Any) -> StateView:
    return view(state, now, wall, SystemReading(**reading))


def test_the_view_is_the_contracts() -> None:
    shown = reported(
        state_of(), temperature_c=51.2, cpu_percent=23.0, memory_bytes=130_000_000, clock_synchronised=True
    )
    expected = {
        "type": "state",
        "instance": "k3f9",
        "sequence": 8812,
        "status": "ok",
        "time": {"now": "2026-05-01T07:14:11.020Z", "synchronised": True},
        "answer": {
            "label": "cat",
            "reason": None,
            "title": "Cat",
            "probability": 0.984,
            "current": True,
            "since": "2026-05-01T07:12:09.120Z",
            "for_s": 121.9,
            "probabilities": {"cat": 0.984, "dog": 0.005, "neither": 0.011},
            "thresholds": {"cat": {"enter": 0.85, "leave": 0.6}, "dog": {"enter": 0.85, "leave": 0.6}},
        },
        "prediction": {
            "probabilities": {"cat": 0.981, "dog": 0.006, "neither": 0.013},
            "frame_id": 99120,
            "captured_at": "2026-05-01T07:14:10.979Z",
            "age_ms": 41,
        },
        "region": {
            "asked": {"x": 0, "y": 0, "width": 1, "height": 1},
            "seen": {"x": 0.125, "y": 0, "width": 0.75, "height": 1},
            "focused": False,
            "why": None,
        },
        "camera": {
            "status": "streaming",
            "source": "pi:0",
            "name": "imx708",
            "width": 640,
            "height": 480,
            "frames_per_s": 15.0,
            "since": "2026-04-30T07:20:51.020Z",
            "for_s": 86000,
            "code": None,
            "reason": None,
            "remedy": None,
            "restarts": 0,
        },
        "model": {
            "name": "cat-dog-resnet18",
            "version": "1",
            "precision": "int8",
            "threads": 2,
            "labels": ["cat", "dog", "neither"],
        },
        "rate": {"classifications_per_s": 10.0, "limited_by": "max_rate", "dropped_frames": 5},
        "timing_ms": {"capture": 2.1, "preprocess": 0.3, "inference": 4.8, "postprocess": 0.1, "publish": 0.1},
        "system": {
            "temperature_c": 51.2,
            "throttled": [],
            "cpu_percent": 23.0,
            "memory_bytes": 130_000_000,
            "uptime_s": 86400,
            "disk": None,
        },
    }
    assert holds(shown, expected), "changes are additive: there may be more, but all of this"


def holds(shown: Any, expected: Any) -> bool:
    """Whether everything expected is shown; objects may hold more."""
    if isinstance(expected, dict):
        assert expected.keys() <= shown.keys()
        for key, value in expected.items():
            assert holds(shown[key], value), f"{key}: {shown[key]} instead of {value}"
        return True
    return bool(shown == expected)


# --- status, in its order ---------------------------------------------------------------------------------------

PRECEDENCE = [
    ("failed", {"model": None}),
    ("paused", {"paused": True}),
    ("absent", {"camera": camera_of("failed")}),
    ("starting", {"frame": None}),
    ("stale", {"frame": frame_at(NOW - STALE_S)}),
    ("ok", {}),
]


@pytest.mark.parametrize("place", range(len(PRECEDENCE)))
def test_status_is_the_first_that_applies(place: int) -> None:
    """All that follow in the order are true as well, and do not count."""
    changes: dict[str, Any] = {}
    for _, change in reversed(PRECEDENCE[place:]):
        changes |= change
    assert status(state_of(**changes), NOW) == PRECEDENCE[place][0]


@pytest.mark.parametrize(
    ("camera", "expected"),
    [
        ("absent", "absent"),
        ("failed", "absent"),
        ("ended", "ended"),
        ("opening", "stale"),
        ("stalled", "stale"),
        ("paused", "stale"),
        ("streaming", "ok"),
    ],
)
def test_the_cameras_status_decides(camera: str, expected: str) -> None:
    assert status(state_of(camera=camera_of(camera)), NOW) == expected


def test_a_file_that_ended_before_its_first_frame_is_over_and_not_starting() -> None:
    assert status(state_of(camera=camera_of("ended"), frame=None), NOW) == "ended"


def test_a_stalled_camera_that_never_delivered_is_still_starting() -> None:
    assert status(state_of(camera=camera_of("stalled"), frame=None), NOW) == "starting"


def test_a_dead_worker_cannot_leave_ok_standing() -> None:
    """Nothing is published any more, only time goes on."""
    state = state_of(frame=frame_at(NOW), prediction=PredictionRecord((1, 0, 0), 1, NOW))
    assert reported(state, NOW + STALE_S - 0.001)["status"] == "ok"
    late = reported(state, NOW + STALE_S)
    assert late["status"] == "stale"
    assert late["answer"]["current"] is False
    assert late["answer"]["label"] == "cat", "the last one known is still reported, but not as now"
    assert late["camera"]["frame_age_s"] == STALE_S


# --- current ----------------------------------------------------------------------------------------------------


def test_the_answer_is_current_for_one_interval_longer_than_a_frame_is_fresh() -> None:
    state = state_of(frame=frame_at(NOW), prediction=PredictionRecord((1, 0, 0), 1, NOW - STALE_S - INTERVAL_S + 0.01))
    assert is_current(state, NOW)
    assert not is_current(state, NOW + 0.02), "frames still come, but nobody looks at them"
    assert status(state, NOW + 0.02) == "ok"


@pytest.mark.parametrize("changes", [change for _, change in PRECEDENCE[:-1]])
def test_the_answer_is_not_current_in_any_other_status_than_ok(changes: dict[str, Any]) -> None:
    assert reported(state_of(**changes))["answer"]["current"] is False


def test_without_a_prediction_nothing_is_current() -> None:
    shown = reported(state_of(prediction=None, answer=Answer(None, "no_data", NOW - 1)))
    assert shown["prediction"] is None
    assert (shown["answer"]["current"], shown["answer"]["reason"]) == (False, "no_data")
    assert shown["answer"]["probabilities"] == {}


# --- what people read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "title"), [("reject", "Nobody here"), ("unsure", "Not sure"), ("no_data", "No answer yet")]
)
def test_without_a_label_the_reason_has_a_title(reason: Any, title: str) -> None:
    answer = reported(state_of(answer=Answer(None, reason, NOW, (0.2, 0.2, 0.6))))["answer"]
    assert (answer["label"], answer["reason"], answer["title"]) == (None, reason, title)
    assert answer["probability"] is None


def test_a_fault_of_the_camera_is_reported_in_its_three_parts_and_the_next_try() -> None:
    fault = Fault.of(CameraBusy("Another program holds the camera.", "Close it."))
    camera = reported(state_of(camera=camera_of("failed", fault=fault, retry_at=NOW + 4.0, restarts=3)))["camera"]
    assert (camera["code"], camera["reason"], camera["remedy"]) == (
        "camera_busy",
        "Another program holds the camera.",
        "Close it.",
    )
    assert (camera["retry_in_s"], camera["restarts"]) == (4.0, 3)


def test_a_try_that_is_due_is_never_in_the_past() -> None:
    assert reported(state_of(camera=camera_of("failed", retry_at=NOW - 4.0)))["camera"]["retry_in_s"] == 0.0


def test_a_model_that_does_not_run_is_reported_with_its_fault() -> None:
    shown = reported(state_of(model=None, model_fault=Fault("model_rejected", "It is none.", "Restore it.")))
    assert (shown["status"], shown["model"]) == ("failed", None)
    assert shown["fault"] == {"code": "model_rejected", "reason": "It is none.", "remedy": "Restore it."}
    assert shown["answer"]["thresholds"] == {}


def test_what_the_machine_does_not_tell_is_null() -> None:
    shown = reported(state_of())
    assert shown["time"]["synchronised"] is None
    assert shown["system"]["temperature_c"] is None
    assert shown["system"]["uptime_s"] == 86400


# --- two clocks -------------------------------------------------------------------------------------------------


def test_a_wall_clock_that_jumps_moves_labels_and_nothing_else() -> None:
    """A Pi has no battery clock: at boot it believes in its last day, then jumps to the present."""
    state = state_of()
    before, after = reported(state, wall=WALL - 40 * 86400), reported(state, wall=WALL)
    assert after["time"]["now"] == "2026-05-01T07:14:11.020Z"
    assert after["answer"]["since"] == "2026-05-01T07:12:09.120Z", "made when served, so it corrects itself"
    for shown in (before, after):
        shown["time"]["now"] = shown["answer"]["since"] = shown["camera"]["since"] = ""
        assert shown["prediction"] is not None
        shown["prediction"]["captured_at"] = ""
    assert before == after


def test_ages_are_never_negative() -> None:
    """A camera whose clock runs a little ahead stamps frames in the future."""
    shown = reported(state_of(prediction=PredictionRecord((1, 0, 0), 1, NOW + 0.02), frame=frame_at(NOW + 0.02)))
    assert shown["prediction"] is not None
    assert shown["prediction"]["age_ms"] == 0
    assert shown["camera"]["frame_age_s"] == 0.0


def test_times_are_rfc3339_in_utc_with_milliseconds() -> None:
    assert rfc3339(0.0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(WALL + 0.0004) == "2026-05-01T07:14:11.020Z"


# --- the next change --------------------------------------------------------------------------------------------


def test_the_next_change_is_the_stale_deadline() -> None:
    state = state_of(frame=frame_at(NOW), prediction=PredictionRecord((1, 0, 0), 1, NOW))
    assert next_change(state, NOW) == NOW + STALE_S
    assert next_change(state, NOW + STALE_S) == NOW + STALE_S + INTERVAL_S
    assert next_change(state, NOW + STALE_S + INTERVAL_S) is None


def test_nothing_changes_with_time_before_the_first_frame() -> None:
    assert next_change(state_of(frame=None, prediction=None), NOW) is None


offsets = st.floats(-10.0, 1.0)


@given(offsets, offsets, st.floats(0.0, 10.0), st.sampled_from(["streaming", "stalled", "absent", "ended"]))
def test_between_now_and_the_next_change_nothing_changes(
    frame: float, predicted: float, share: float, camera: str
) -> None:
    state = state_of(
        frame=frame_at(NOW + frame),
        prediction=PredictionRecord((1, 0, 0), 1, NOW + predicted),
        camera=camera_of(camera),
    )
    change = next_change(state, NOW)
    later = NOW + share if change is None else NOW + (change - NOW) * min(share / 10.0, 0.999)
    assert (status(state, later), is_current(state, later)) == (status(state, NOW), is_current(state, NOW))


@given(offsets, offsets, st.floats(0.0, 100.0))
def test_the_view_is_always_json(frame: float, predicted: float, later: float) -> None:
    state = state_of(frame=frame_at(NOW + frame), prediction=PredictionRecord((1, 0, 0), 1, NOW + predicted))
    assert json.loads(json.dumps(reported(state, NOW + later), allow_nan=False))["type"] == "state"


def test_a_copy_with_changes_differs_in_nothing_else() -> None:
    before = state_of()
    after = before.but(sequence=before.sequence + 1, paused=True)
    assert after == replace(before, sequence=before.sequence + 1, paused=True)
    assert (before.paused, after.paused) == (False, True)
    with pytest.raises(KeyError, match="colour"):
        before.but(colour="red")
