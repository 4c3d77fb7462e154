"""The forms of answers and bodies about events; an event's own is in `events.event`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints, model_validator

from lookout.api.moments import Moment
from lookout.events.event import EventView, Kind
from lookout.events.queries import Review
from lookout.events.summary import BandState

# Printable, since it becomes the name of a folder in an export.
LabelText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
]
NoteText = Annotated[str, StringConstraints(max_length=500)]
_Number = Annotated[int, Field(strict=True, ge=1, le=2**63 - 1)]


def _true(given: object) -> object:
    """Pydantic compares: 1 and 1.0 would be true."""
    if given is True:
        return given
    raise ValueError("it is true or left out")


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EventListResponse(_Response):
    """Events, the newest first."""

    events: list[EventView]
    next: int | None = Field(description="For `before`, to go on; null at the end.")


class CurveResponse(_Response):
    """The answer's probabilities over an event; a long one is thinned out to where its own label is least sure."""

    labels: list[str]
    times_s: list[float] = Field(description="Seconds since the event began.")
    probabilities: dict[str, list[float]] = Field(description="By label, one a time.")


class EventChange(BaseModel):
    """What is set of an event; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"right": "cat"}})

    right: LabelText | None = Field(None, description="What it really was; null takes the mark back.")
    kept: StrictBool | None = Field(None, description="Keep it for ever.")
    note: NoteText | None = None

    @model_validator(mode="after")
    def _says_something(self) -> EventChange:
        if not self.model_fields_set:
            raise ValueError("name at least one of right, kept and note")
        if "kept" in self.model_fields_set and self.kept is None:
            raise ValueError("kept is true or false")
        if "note" in self.model_fields_set and self.note is None:
            raise ValueError("note is a text, which may be empty")
        return self

    def changes(self) -> dict[str, object]:
        """By column."""
        return self.model_dump(include=self.model_fields_set)


class DeletionResponse(_Response):
    """It is out of sight, and in ten minutes gone for good."""

    deleted: int
    undo_for_s: float = Field(description="Seconds for which POST /api/events/undo brings it back.")


class EventFilter(BaseModel):
    """As the parameters of GET /api/events."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    label: Annotated[str, StringConstraints(max_length=100)] | None = None
    view: Annotated[str, StringConstraints(max_length=100)] | None = None
    kind: Kind | None = None
    begun_from: Moment | None = Field(None, alias="from")
    begun_to: Moment | None = Field(None, alias="to")
    review: Review | None = None
    kept: StrictBool | None = None


class EventBatch(BaseModel):
    """Which events, by number or by filter, and what is done to them: `set` or `delete`."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"ids": [4711, 4712], "set": {"kept": True}}}
    )

    ids: list[_Number] | None = Field(None, min_length=1, max_length=1000)
    filter: EventFilter | None = Field(None, description="The newest 1,000 that fit.")
    set: EventChange | None = None
    delete: Annotated[Literal[True], BeforeValidator(_true)] | None = None

    @model_validator(mode="after")
    def _is_clear(self) -> EventBatch:
        if (self.ids is None) == (self.filter is None):
            raise ValueError("name either ids or filter")
        if (self.set is None) == (self.delete is None):
            raise ValueError("say either set or delete")
        return self


class BatchResponse(_Response):
    """What a batch has changed."""

    changed: int
    more: bool = Field(description="Whether more fit the filter than one request changes.")
    undo_for_s: float = Field(description="Seconds for which POST /api/events/undo takes it back.")


class UndoResponse(_Response):
    """What was taken back: a deletion, or a mark."""

    undone: Literal["delete", "set"]
    events: int
    more_for_s: float | None = Field(description="Seconds in which an earlier change can be undone; null: none is.")


class MissedEvent(BaseModel):
    """What the camera overlooks at this moment."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"label": "cat"}})

    label: LabelText


class BandSpan(_Response):
    """A part of the day's band. Spans that are `seen` lie over the others, which follow each other without a gap."""

    begin: str = Field(description="RFC 3339, UTC.")
    end: str
    state: BandState = Field(description="off: the service did not run, so nobody knows.")
    label: str | None
    event: int | None = Field(description="The first of the events that the span joins.")


class DayResponse(_Response):
    """A day at a glance."""

    day: str
    zone: str = Field(description="The time zone whose day it is; empty: the machine's.")
    begin: str
    end: str
    counts: dict[str, int] = Field(description="Visits by the label that counts.")
    hours: list[dict[str, int]] = Field(description="The same for each hour from the day's begin; 23 to 25.")
    band: list[BandSpan]
    todo: int = Field(description="Events of all days that somebody should look at.")
    oldest: str | None = Field(description="When the oldest event began; null: there is none.")
    undo_for_s: float | None = Field(description="Seconds in which the latest change can be undone; null: none is.")


class LabelAccuracy(_Response):
    reviewed: int
    right: int


class AccuracyResponse(_Response):
    """How often the answers are right here: of the events drawn at random only, so that it is honest."""

    reviewed: int
    right: int
    interval: tuple[float, float] | None = Field(
        description="Where the true share lies, 95 times of 100 (Wilson); null before anything was reviewed."
    )
    waiting: int = Field(description="Drawn, and looked at by nobody yet.")
    labels: dict[str, LabelAccuracy]


class EventStorageResponse(_Response):
    """What the events take, and how far back they will reach."""

    events: int
    kept: int
    bytes: int
    max_bytes: int
    bytes_a_day: int = Field(description="Of the last two weeks.")
    days_left: float | None = Field(
        description="Days until the oldest go for lack of space; null: they go by their age first, or it is too early."
    )
    oldest: str | None
    waiting: int = Field(description="Events that wait for the disk.")
    lost: int = Field(description="Since the start: events that are counted only, since the disk did not take them.")
    without_picture: int = Field(description="Since the start: pictures for which there was no room.")


class DeleteEverything(BaseModel):
    """The words that delete everything."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"confirm": "delete everything"}})

    confirm: Annotated[str, StringConstraints(max_length=100)] = ""
