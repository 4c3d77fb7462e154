"""Queries for events: pages by id, and the filter that lists, batches and exports share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from lookout.events.errors import UnknownEvent
from lookout.events.event import Event, Kind
from lookout.events.rows import SELECTED, event_of
from lookout.events.tables import DRAWN

Review = Literal["sampled", "todo", "wrong", "done"]
# A quiet moment is shown only if it was drawn; the others are deleted when the day's sample is drawn.
_SHOWN = "(kind <> 'quiet' OR sampled = 1)"
_REVIEW = {
    "sampled": DRAWN,
    "todo": '"right" IS NULL AND doubt IS NOT NULL AND open = 0',
    "wrong": '"right" IS NOT NULL AND "right" IS NOT label',
    "done": '"right" IS NOT NULL',
}
# Rows per query when a caller walks through all events, so that other queries can run in between.
_STRIDE = 500


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events. after, until: Unix seconds, of their start. label: the one that counts, corrected if reviewed."""

    label: str | None = None
    view: str | None = None
    kind: Kind | None = None
    after: float | None = None
    until: float | None = None
    review: Review | None = None
    kept: bool | None = None

    def where(self) -> tuple[str, list[Any]]:
        """Return the filter as an SQL condition with its values."""
        terms: list[tuple[str, Any]] = []
        if self.label is not None:
            terms.append(("called = ?", self.label))
        if self.view is not None:
            terms.append(("view = ?", self.view))
        if self.kind is not None:
            terms.append(("kind = ?", self.kind))
        if self.after is not None:
            terms.append(("started >= ?", self.after))
        if self.until is not None:
            terms.append(("started < ?", self.until))
        if self.kept is not None:
            terms.append(("kept = ?", int(self.kept)))
        conditions = [condition for condition, _ in terms]
        if self.review is not None:
            conditions.append(_REVIEW[self.review])
        return " AND ".join([*conditions, _SHOWN]), [value for _, value in terms]


def page(
    connection: sqlite3.Connection, wanted: Filter, before: int | None, limit: int
) -> tuple[list[Event], int | None]:
    """Return the newest matching events with ids below `before`, and the next page's `before` (None: the end)."""
    where, values = wanted.where()
    if before is not None:
        where, values = f"id < ? AND {where}", [before, *values]
    rows = connection.execute(
        f"SELECT {SELECTED} FROM events WHERE {where} ORDER BY id DESC LIMIT ?", [*values, limit + 1]
    ).fetchall()
    events = [event_of(row) for row in rows[:limit]]
    return events, events[-1].id if len(rows) > limit else None


def numbers(connection: sqlite3.Connection, wanted: Filter, most: int) -> list[int]:
    """Return the ids of the newest events that match."""
    where, values = wanted.where()
    found = connection.execute(f"SELECT id FROM events WHERE {where} ORDER BY id DESC LIMIT ?", [*values, most])
    return [int(row[0]) for row in found]


def one(connection: sqlite3.Connection, number: int) -> Event:
    """Return the event. Raises UnknownEvent."""
    row = connection.execute(f"SELECT {SELECTED} FROM events WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise unknown(number)
    return event_of(row)


def several(connection: sqlite3.Connection, ids: list[int]) -> list[Event]:
    """Return the events that exist, in the order of the ids."""
    found = []
    for number in ids:
        row = connection.execute(f"SELECT {SELECTED} FROM events WHERE id = ?", (number,)).fetchone()
        if row is not None:
            found.append(event_of(row))
    return found


def unknown(number: int) -> UnknownEvent:
    return UnknownEvent(f"There is no event {number}.", "List the events to see which there are.")


def picture_folder(connection: sqlite3.Connection, number: int) -> str | None:
    """Return the month's folder that holds the event's pictures; None if it has none. Raises UnknownEvent."""
    row = connection.execute("SELECT folder FROM events WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise unknown(number)
    return None if row[0] is None else str(row[0])


def curve(connection: sqlite3.Connection, number: int) -> bytes | None:
    """Return the packed curve; None if the event has none. Raises UnknownEvent."""
    one(connection, number)
    row = connection.execute("SELECT curve FROM details WHERE id = ?", (number,)).fetchone()
    return None if row is None or row[0] is None else bytes(row[0])


def totals(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the number of events and the bytes of their pictures."""
    n, size = connection.execute("SELECT coalesce(sum(n), 0), coalesce(sum(bytes), 0) FROM daily").fetchone()
    return int(n), int(size)


def strides(connection: sqlite3.Connection, wanted: Filter, after: int) -> list[Event]:
    """Return the next few events that match, oldest first, with ids above `after`."""
    where, values = wanted.where()
    rows = connection.execute(
        f"SELECT {SELECTED} FROM events WHERE id > ? AND {where} ORDER BY id LIMIT ?", [after, *values, _STRIDE]
    )
    return [event_of(row) for row in rows.fetchall()]


def labels(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield every label under which an event is counted."""
    for row in connection.execute("SELECT DISTINCT label FROM daily WHERE label <> ''"):
        yield str(row[0])
