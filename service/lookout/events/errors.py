"""The errors of the diary.

LookoutError
  UnknownEvent
  NoPicture
  EventsOff
  NothingToUndo
  NotConfirmed
  EventsUnavailable
  EventsLimited
"""

from __future__ import annotations

from lookout.errors import LookoutError


class UnknownEvent(LookoutError):
    """No event has that id, or it was deleted."""

    code = "unknown_event"
    title = "There is no such event"
    status = 404


class NoPicture(LookoutError):
    """The event has no picture: none is kept for its label or at its hour, or there was no space."""

    code = "no_picture"
    title = "There is no picture of this event"
    status = 404


class EventsOff(LookoutError):
    """Events are not recorded."""

    code = "events_off"
    title = "Events are switched off"
    status = 409


class NothingToUndo(LookoutError):
    """Nothing was changed in the last ten minutes, or the change was undone already."""

    code = "nothing_to_undo"
    title = "There is nothing to undo"
    status = 409


class NotConfirmed(LookoutError):
    """Everything is deleted only if the request confirms it in the words asked for."""

    code = "not_confirmed"
    title = "Deleting everything needs a confirmation"
    status = 422


class EventsUnavailable(LookoutError):
    """The stored events cannot be read at the moment."""

    code = "events_unavailable"
    title = "The events cannot be read"
    status = 503


class EventsLimited(LookoutError):
    """Less is kept of what was seen than the settings ask for."""

    code = "events_limited"
    title = "Fewer events are kept"
    status = 507
