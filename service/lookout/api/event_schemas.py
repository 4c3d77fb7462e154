"""Request and response schemas for events; the schema of an event itself is in `events.event`."""

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
    """Accept only true itself: Pydantic compares by value, so 1 and 1.0 would pass."""
    if given is True:
        return given
    raise ValueError("it must be true or left out")


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EventListResponse(_Response):
    """Events, the newest first."""

    events: list[EventView]
    next: int | None = Field(description="Pass it as `before` to get the next page; null on the last one.")


class CurveResponse(_Response):
    """The answer's probabilities over an event. A long curve keeps the points where the event's label is least sure."""

    labels: list[str]
    times_s: list[float] = Field(description="Seconds since the start of the event.")
    probabilities: dict[str, list[float]] = Field(description="For each label, one value per time.")


class EventChange(BaseModel):
    """Changes to an event; fields that are left out stay as they are."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"right": "cat"}})

    right: LabelText | None = Field(None, description="The label of what it really was; null removes the mark.")
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
        """Return the new values by column."""
        return self.model_dump(include=self.model_fields_set)


class DeletionResponse(_Response):
    """How many events were deleted: they are hidden at once, and erased once they can no longer be restored."""

    deleted: int
    undo_for_s: float = Field(description="Seconds during which POST /api/events/undo restores them.")


class EventFilter(BaseModel):
    """The same filters as the parameters of GET /api/events."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    label: Annotated[str, StringConstraints(max_length=100)] | None = None
    view: Annotated[str, StringConstraints(max_length=100)] | None = None
    kind: Kind | None = None
    begun_from: Moment | None = Field(None, alias="from")
    begun_to: Moment | None = Field(None, alias="to")
    review: Review | None = None
    kept: StrictBool | None = None


class EventBatch(BaseModel):
    """Which events, by id or by filter, and what to do with them: `set` or `delete`."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"ids": [4711, 4712], "set": {"kept": True}}}
    )

    ids: list[_Number] | None = Field(None, min_length=1, max_length=1000)
    filter: EventFilter | None = Field(None, description="The newest 1,000 that match.")
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
    """The result of a batch."""

    changed: int
    more: bool = Field(description="Whether more events match the filter than one request changes.")
    undo_for_s: float = Field(description="Seconds during which POST /api/events/undo reverts it.")


class UndoResponse(_Response):
    """What was undone: a deletion or a mark."""

    undone: Literal["delete", "set"]
    events: int
    more_for_s: float | None = Field(
        description="Seconds during which the change before it can still be undone; null: it cannot."
    )


class MissedEvent(BaseModel):
    """Something that the camera is overlooking right now."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"label": "cat"}})

    label: LabelText


class BandSpan(_Response):
    """A span of the day's band. Spans that are `seen` overlie the others, which follow each other without gaps."""

    begin: str = Field(description="RFC 3339, UTC.")
    end: str
    state: BandState = Field(description="off: the service was not running, so nothing is known.")
    label: str | None
    event: int | None = Field(description="The id of the first event in the span.")


class DayResponse(_Response):
    """A day at a glance."""

    day: str
    zone: str = Field(description="The time zone that defines the day; empty: the machine's.")
    begin: str
    end: str
    counts: dict[str, int] = Field(description="Visits by label; a label set by a person replaces the network's.")
    hours: list[dict[str, int]] = Field(description="The same for each hour of the day; 23 to 25 entries.")
    band: list[BandSpan]
    todo: int = Field(description="Events of all days that a person should review.")
    oldest: str | None = Field(description="The start of the oldest event; null: there are none.")
    undo_for_s: float | None = Field(
        description="Seconds during which the latest change can still be undone; null: none can."
    )


class LabelAccuracy(_Response):
    reviewed: int
    right: int


class AccuracyResponse(_Response):
    """How often the answers are right at this site, from events drawn at random only, so that it is unbiased."""

    reviewed: int
    right: int
    interval: tuple[float, float] | None = Field(
        description="The 95 % confidence interval of the share (Wilson); null until an event was reviewed."
    )
    waiting: int = Field(description="Events drawn but not yet reviewed.")
    labels: dict[str, LabelAccuracy]


class EventStorageResponse(_Response):
    """The disk space that the events take, and how long it will last."""

    events: int
    kept: int
    bytes: int
    max_bytes: int
    bytes_a_day: int = Field(description="The average of the last two weeks.")
    days_left: float | None = Field(
        description="Days until the oldest are deleted for lack of space; null: they expire first, or it is too early."
    )
    oldest: str | None
    waiting: int = Field(description="Events not yet written to disk.")
    lost: int = Field(description="Since the start: events that were only counted because the disk did not take them.")
    without_picture: int = Field(description="Since the start: pictures that were dropped for lack of room.")


class DeleteEverything(BaseModel):
    """The words that confirm deleting everything."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"confirm": "delete everything"}})

    confirm: Annotated[str, StringConstraints(max_length=100)] = ""
