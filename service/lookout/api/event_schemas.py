"""The forms of answers and bodies about events; an event's own is in `events.event`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, model_validator

from lookout.events.event import EventView

# Printable, since it becomes the name of a folder in an export.
LabelText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
]
NoteText = Annotated[str, StringConstraints(max_length=500)]


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
