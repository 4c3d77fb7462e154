"""The state in one sentence, for `systemctl status` and the log."""

from __future__ import annotations

from lookout.state.view import StateView


def sentence(view: StateView) -> str:
    """Return what the camera sees, or why it sees nothing; and what is wrong with the disk, if anything."""
    disk = view["system"]["disk"]
    return f"{_seen(view)} {disk['reason']}" if disk else _seen(view)


def _seen(view: StateView) -> str:
    camera, answer, fault = view["camera"], view["answer"], view["fault"]
    match view["status"]:
        case "ok":
            return f"{_answer(view)}, for {duration(answer['for_s'])}."
        case "failed":
            return f"No model runs: {fault['reason']} {fault['remedy']}" if fault else "No model runs."
        case "paused":
            return "Paused: the camera is closed."
        case "absent":
            return f"No picture: {camera['reason'] or 'no camera.'} {camera['remedy'] or ''}".strip()
        case "ended":
            return f"{camera['source']} is over."
        case "starting":
            return f"Opening {camera['source']}."
        case "stale":
            age = camera["frame_age_s"]
            since = f" for {duration(age)}" if age is not None else ""
            return f"No new picture{since}: {camera['reason'] or 'the camera is late.'}"


def duration(seconds: float) -> str:
    """Return the duration in words: 9 s, 2 min, 3 h, 4 days."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit != "days" and seconds >= length):
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def _answer(view: StateView) -> str:
    probability = view["answer"]["probability"]
    title = view["answer"]["title"]
    return title if probability is None else f"{title} ({probability:.0%})"
