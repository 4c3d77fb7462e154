"""An event: a label was seen, or something happened to the camera or the model. Plain data, and its JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from lookout.geometry import Rect
from lookout.timestamps import rfc3339

# seen: a label was the answer. quiet: a time drawn at random, at which nothing was seen. missed: a person reported that
# the camera overlooked something. The others happen to the camera and the model.
Kind = Literal["seen", "quiet", "missed", "camera_lost", "camera_back", "paused", "resumed", "model_changed"]
KINDS: tuple[Kind, ...] = (
    *("seen", "quiet", "missed"),
    *("camera_lost", "camera_back", "paused", "resumed", "model_changed"),
)
# The kinds that have a label, a picture and a review.
LABELLED: tuple[Kind, ...] = ("seen", "quiet", "missed")
Doubt = Literal["sampled", "unsure", "new"]


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """The network that gave the answer."""

    name: str
    version: str
    precision: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it is stored.

    label: the answer; right: the correct label, None until it is reviewed. started, ended: Unix seconds; ended is None
    while the event is in progress. probability: of the label in the best frame, 0..1; mean: of the answer over the
    event. frames: predictions that counted. region: the part of the best frame that the network saw. why: thresholds,
    window and gaps. cut: the end is unknown because the service stopped before it. clock_ok: whether the wall clock was
    trusted. sampled: drawn at random for review. doubt: why it should be reviewed. bytes: on disk. picture: whether
    there is one.
    """

    id: int
    kind: Kind
    started: float
    ended: float | None
    view: str = "main"
    label: str | None = None
    right: str | None = None
    probability: float | None = None
    mean: float | None = None
    frames: int = 0
    model: ModelUsed | None = None
    region: Rect | None = None
    why: Mapping[str, Any] = field(default_factory=dict)
    cut: bool = False
    clock_ok: bool = True
    reviewed_at: float | None = None
    sampled: bool = False
    doubt: Doubt | None = None
    kept: bool = False
    note: str = ""
    bytes: int = 0
    picture: bool = False

    @property
    def called(self) -> str | None:
        """The label that counts: the correct one if the event was reviewed, else the answer."""
        return self.label if self.right is None else self.right


class ModelUsedView(TypedDict):
    name: str
    version: str
    precision: str


class PartView(TypedDict):
    """A part of the picture, normalised to 0..1: upper left corner, width and height."""

    x: float
    y: float
    width: float
    height: float


class EventView(TypedDict):
    """One event."""

    id: int
    view: Annotated[str, Field(description="The camera; always main for now.")]
    kind: Kind
    label: Annotated[str | None, Field(description="The answer.")]
    right: Annotated[str | None, Field(description="The correct label; null: not reviewed.")]
    called: Annotated[str | None, Field(description="The label that counts: `right` where there is one, else `label`.")]
    started: Annotated[str, Field(description="RFC 3339, UTC.")]
    ended: Annotated[str | None, Field(description="Null while it is in progress.")]
    for_s: Annotated[float | None, Field(description="Seconds it lasted; null while it is in progress.")]
    cut: Annotated[bool, Field(description="The service stopped before it ended; `ended` is the last time known.")]
    clock_ok: Annotated[bool, Field(description="Whether the wall clock was trusted.")]
    probability: Annotated[float | None, Field(description="Of the label, in the best frame.")]
    mean: Annotated[float | None, Field(description="Of the label, over the event.")]
    frames: Annotated[int, Field(description="Predictions that counted.")]
    model: ModelUsedView | None
    region: Annotated[PartView | None, Field(description="The part of the best frame that the network saw.")]
    why: Annotated[
        dict[str, Any],
        Field(
            description="enter, leave, window_s, hold_s: settings in force. gaps: [[from_s, to_s]] without a camera, "
            "counted from the start."
        ),
    ]
    reviewed_at: str | None
    sampled: Annotated[bool, Field(description="Drawn at random: reviewing it shows how often the answers are right.")]
    doubt: Annotated[Doubt | None, Field(description="Why it should be reviewed; null: no need, or done.")]
    kept: Annotated[bool, Field(description="Never deleted by age or for space.")]
    note: str
    bytes: Annotated[int, Field(description="On disk.")]
    picture: Annotated[bool, Field(description="Whether there are snapshot.jpg and thumbnail.webp.")]


def event_view(event: Event) -> EventView:
    """The event as JSON, the same for the API, WebSockets and integrations."""
    model, region = event.model, event.region
    return {
        "id": event.id,
        "view": event.view,
        "kind": event.kind,
        "label": event.label,
        "right": event.right,
        "called": event.called,
        "started": rfc3339(event.started),
        "ended": None if event.ended is None else rfc3339(event.ended),
        "for_s": None if event.ended is None else round(event.ended - event.started, 2),
        "cut": event.cut,
        "clock_ok": event.clock_ok,
        "probability": _rounded(event.probability),
        "mean": _rounded(event.mean),
        "frames": event.frames,
        "model": None if model is None else _model(model),
        "region": None if region is None else _part(region),
        "why": dict(event.why),
        "reviewed_at": None if event.reviewed_at is None else rfc3339(event.reviewed_at),
        "sampled": event.sampled,
        "doubt": None if event.right is not None else event.doubt,
        "kept": event.kept,
        "note": event.note,
        "bytes": event.bytes,
        "picture": event.picture,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _model(model: ModelUsed) -> ModelUsedView:
    return {"name": model.name, "version": model.version, "precision": model.precision}


def _part(rect: Rect) -> PartView:
    return {
        "x": round(rect.x, 4),
        "y": round(rect.y, 4),
        "width": round(rect.width, 4),
        "height": round(rect.height, 4),
    }
