"""What the topics say of a state: plain functions of the view. Sentences for people stay in the dashboard."""

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

# Answers that are not labels. A label of the same name cannot be distinguished from them.
NOBODY, UNSURE = "nobody", "unsure"
# A probability that moves by less, or sooner, is not sent by itself: a home's history is not a measuring instrument.
_MIN_STEP, _MIN_S = 5.0, 5.0


@dataclass(frozen=True, slots=True)
class Profile:
    """What discovery depends on. labels: that can be the answer, with their titles. models: that can be chosen.

    notices: whether any are sent.
    """

    labels: tuple[str, ...] = ()
    titles: Mapping[str, str] | None = None
    models: tuple[str, ...] = ()
    notices: bool = False

    def title(self, label: str) -> str:
        return (self.titles or {}).get(label, label)


def profile_of(view: StateView, models: tuple[str, ...], *, notices: bool = False) -> Profile | None:
    """None while there is no model: what was announced stays."""
    model = view["model"]
    if model is None:
        return None
    labels = tuple(label for label in model["labels"] if label in view["answer"]["thresholds"])
    known = models if model["name"] in models else (*models, model["name"])
    return Profile(labels, {label: model["titles"].get(label, label) for label in labels}, known, notices)


def camera(view: StateView) -> bytes:
    """Whether pictures come. A model that fails is not the camera's fault, and makes the answer unsure."""
    streaming = view["camera"]["status"] == "streaming" and view["status"] in ("ok", "failed")
    return b"online" if streaming else b"offline"


def answer_state(view: StateView) -> str:
    """The label, or what is said instead of one: never the label of a picture that is not of now."""
    answer = view["answer"]
    if not answer["current"]:
        return UNSURE
    if answer["label"] is not None:
        return answer["label"]
    return NOBODY if answer["reason"] == "reject" else UNSURE


class AnswerMessage:
    """The answer's message. A new state is sent at once, a probability that drifts now and then."""

    def __init__(self) -> None:
        self._said: dict[str, Any] = {}
        self._at = 0.0

    def of(self, view: StateView, now: float) -> bytes:
        """now: monotonic seconds. The message as it should stand; the same as before where nothing is worth sending."""
        state, answer = answer_state(view), view["answer"]
        shown = answer["probabilities"].get(state) if state in answer["probabilities"] else _surest(view)
        probability = round(shown * 100, 1) if shown is not None and answer["current"] else None
        if state != self._said.get("state") or self._is_worth(probability, now):
            self._said = {
                "state": state,
                "probability": probability,
                "label": answer["label"] if answer["current"] else None,
                "since": answer["since"],
            }
            self._at = now
        return _json(self._said)

    def _is_worth(self, probability: float | None, now: float) -> bool:
        before = self._said.get("probability")
        if (before is None) != (probability is None):
            return True
        return (
            before is not None
            and probability is not None
            and abs(probability - before) >= _MIN_STEP
            and now - self._at >= _MIN_S
        )


def unsure() -> bytes:
    """An answer that holds whatever the labels are."""
    return _json({"state": UNSURE, "probability": None, "label": None, "since": None})


def _surest(view: StateView) -> float | None:
    return max(view["answer"]["probabilities"].values(), default=None)


def health(view: StateView, disk_left_days: float | None = None) -> bytes:
    """How the machine is. power: ON means that something is wrong with it, as Home Assistant's "problem" wants it.

    disk_left_days: until the oldest events make room for new ones.
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
    """The retained topics but answer, health and picture, which have their own pace."""
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
    """None unless it is a visit of a label: cameras and models have topics of their own."""
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
