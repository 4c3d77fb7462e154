"""The payloads of the topics, as pure functions of the view. Sentences for people are left to the dashboard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lookout.events.event import Event
from lookout.events.feed import News
from lookout.integrations.mqtt.topics import Topics
from lookout.state.view import StateView
from lookout.timestamps import rfc3339

# Answers that are not labels. A model's label of the same name cannot be distinguished from them.
NOBODY, UNSURE = "nobody", "unsure"
# In percentage points and seconds: smaller or quicker changes of a probability are not sent on their own, because Home
# Assistant would record every one.
_MIN_STEP, _MIN_S = 5.0, 5.0


@dataclass(frozen=True, slots=True)
class Profile:
    """What discovery depends on. labels: that can be the answer, with titles. models: that can be selected.

    notices: whether any are sent.
    """

    labels: tuple[str, ...] = ()
    titles: Mapping[str, str] | None = None
    models: tuple[str, ...] = ()
    notices: bool = False

    def title(self, label: str) -> str:
        return (self.titles or {}).get(label, label)


def profile_of(view: StateView, models: tuple[str, ...], *, notices: bool = False) -> Profile | None:
    """Return the profile; None while there is no model, so that the last announcement stays."""
    model = view["model"]
    if model is None:
        return None
    labels = tuple(label for label in model["labels"] if label in view["answer"]["thresholds"])
    known = models if model["name"] in models else (*models, model["name"])
    return Profile(labels, {label: model["titles"].get(label, label) for label in labels}, known, notices)


def camera(view: StateView) -> bytes:
    """Return whether the camera delivers frames. A model that fails makes the answer unsure, not the camera offline."""
    streaming = view["camera"]["status"] == "streaming" and view["status"] in ("ok", "failed")
    return b"online" if streaming else b"offline"


def answer_state(view: StateView) -> str:
    """Return the label, or what replaces it: never a label whose frame is not current."""
    answer = view["answer"]
    if not answer["current"]:
        return UNSURE
    if answer["label"] is not None:
        return answer["label"]
    return NOBODY if answer["reason"] == "reject" else UNSURE


class AnswerMessage:
    """The answer's message: a new state is sent at once, a drifting probability only now and then."""

    def __init__(self) -> None:
        self._sent: dict[str, Any] = {}
        self._at = 0.0

    def of(self, view: StateView, now: float) -> bytes:
        """Return the message to publish; the same as before if no change is worth it. now: monotonic seconds."""
        state, answer = answer_state(view), view["answer"]
        shown = answer["probabilities"].get(state) if state in answer["probabilities"] else _highest(view)
        probability = round(shown * 100, 1) if shown is not None and answer["current"] else None
        if state != self._sent.get("state") or self._is_worth_sending(probability, now):
            self._sent = {
                "state": state,
                "probability": probability,
                "label": answer["label"] if answer["current"] else None,
                "since": answer["since"],
            }
            self._at = now
        return _json(self._sent)

    def _is_worth_sending(self, probability: float | None, now: float) -> bool:
        before = self._sent.get("probability")
        if (before is None) != (probability is None):
            return True
        return (
            before is not None
            and probability is not None
            and abs(probability - before) >= _MIN_STEP
            and now - self._at >= _MIN_S
        )


def unsure() -> bytes:
    """Return an answer that is valid with any set of labels."""
    return _json({"state": UNSURE, "probability": None, "label": None, "since": None})


def _highest(view: StateView) -> float | None:
    return max(view["answer"]["probabilities"].values(), default=None)


def health(view: StateView, disk_left_days: float | None = None) -> bytes:
    """Return the machine's health. power: ON means a problem, as Home Assistant's device class "problem" defines it.

    disk_left_days: until the oldest events are deleted to make room for new ones.
    """
    throttled = [words for words in view["system"]["throttled"] if words.endswith("now")]
    return _json(
        {
            "power": "ON" if throttled else "OFF",
            "throttled": throttled,
            "rate": round(view["rate"]["classifications_per_s"], 1),
            "inference_ms": round(view["timing_ms"]["inference"], 1),
            "temperature": view["system"]["temperature_c"],
            "memory_mb": round((view["system"]["memory_bytes"] or 0) / 1e6),
            "disk_left_days": disk_left_days,
            "status": view["status"],
            "time": view["time"]["now"],
        }
    )


def values(view: StateView, topics: Topics, *, paused: bool) -> dict[str, bytes]:
    """Return the retained topics except answer, health and picture, which are sent at intervals of their own."""
    model = view["model"]
    said = {topics("paused"): b"ON" if paused else b"OFF"}
    if model is not None:
        said[topics("model")] = model["name"].encode()
    for label, threshold in view["answer"]["thresholds"].items():
        said[topics.enter(label)] = f"{threshold['enter']:g}".encode()
    return said


def event_type(label: str, what: str) -> str:
    return f"{label}_{what}"


def event(news: News, address: str) -> bytes | None:
    """Return the message for a visit of a label; None for other events: camera and model have their own topics."""
    one = news.event
    if one.kind != "seen" or one.label is None or news.what not in ("begun", "ended"):
        return None
    return _json(_event(one, "began" if news.what == "begun" else "ended", address))


def _event(one: Event, what: str, address: str) -> dict[str, Any]:
    return {
        "event_type": event_type(one.label or "", what),
        "id": one.id,
        "label": one.label,
        "probability": None if one.probability is None else round(one.probability * 100, 1),
        "started": rfc3339(one.started),
        "ended": None if one.ended is None else rfc3339(one.ended),
        "url": f"{address}api/events/{one.id}/snapshot.jpg",
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
