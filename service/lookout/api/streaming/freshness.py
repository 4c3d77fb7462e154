"""Whether the newest frame is current, and what to say if there is none."""

from __future__ import annotations

from lookout.errors import NoFrame
from lookout.frame import Frame
from lookout.state.state import State
from lookout.state.summary import duration
from lookout.state.view import StateView


def fresh_frame(state: State, now: float) -> Frame | None:
    """Return the newest frame if it may be shown as live (`now` in monotonic seconds), whether or not a model runs."""
    frame = state.frame
    if frame is None or state.paused or state.camera.status != "streaming":
        return None
    return frame if now < frame.captured_at + state.stale_after_s else None


def newest_frame(state: State, view: StateView) -> Frame:
    """Return the newest frame, stale or not. Raises NoFrame with the camera's reason.

    A missing camera has no newest frame: what it saw last is from another time and perhaps another place.
    """
    if state.frame is not None and view["camera"]["status"] not in ("absent", "failed", "paused"):
        return state.frame
    raise NoFrame(*no_frame_reason(view))


def current_frame(state: State, view: StateView, now: float) -> Frame:
    """Return the newest frame if it is current. Raises NoFrame with the reason why there is none."""
    frame = fresh_frame(state, now)
    if frame is not None:
        return frame
    newest_frame(state, view)
    raise NoFrame(" ".join(stale_lines(view)), "GET /api/state says how the camera is.")


def no_frame_reason(view: StateView) -> tuple[str, str]:
    """Return why there is no picture, and what helps."""
    camera = view["camera"]
    if view["status"] == "paused" or camera["status"] == "paused":
        return "The camera is paused.", "PUT /api/paused with false opens it again."
    if camera["reason"]:
        return camera["reason"], camera["remedy"] or ""
    return "The camera has not delivered a picture yet.", "GET /api/state says how the camera is."


def stale_lines(view: StateView) -> list[str]:
    """Return the line or two that a stream shows instead of a picture."""
    camera, age = view["camera"], view["camera"]["frame_age_s"]
    if view["status"] == "paused" or camera["status"] == "paused":
        return ["Paused: the camera is closed."]
    if camera["status"] == "ended":
        return ["The video has ended."]
    if camera["status"] in ("absent", "failed"):
        return ["No picture.", camera["reason"] or "There is no camera."]
    if age is None:
        return ["Waiting for the first picture."]
    return [f"No new picture for {duration(age)}.", *([camera["reason"]] if camera["reason"] else [])]
