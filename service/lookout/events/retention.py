"""Which events are deleted when: by age, by count, by bytes. The newest of each label go last, kept ones never."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from lookout.events import queries
from lookout.settings.schema import EventsSettings

# Deleted per transaction, so that other jobs of the writer can run in between.
AT_ONCE = 100
_DAY_S = 86_400.0
# A row with its indexes and details; the files of a picture come on top.
ROW_BYTES = 2_500


@dataclass(frozen=True, slots=True)
class Limits:
    """days: None while the wall clock is not trusted. max_bytes: pictures and rows."""

    days: int | None
    max_count: int
    max_bytes: int
    keep_per_label: int

    @classmethod
    def of(cls, events: EventsSettings, state_max_bytes: int, *, clock_good: bool) -> Limits:
        """Return the limits; a quarter of the state folder's limit is left to everything other than events."""
        max_bytes = min(events.max_bytes, state_max_bytes * 3 // 4)
        return cls(events.days if clock_good else None, events.max_count, max_bytes, events.keep_per_label)


def overdue(connection: sqlite3.Connection, limits: Limits, now: float) -> list[int]:
    """Return the ids of the next few events to be deleted, oldest first. now: Unix seconds."""
    if limits.days is not None and (old := _older(connection, now - limits.days * _DAY_S)):
        return old
    count, size = queries.totals(connection)
    size += count * ROW_BYTES
    if count <= limits.max_count and size <= limits.max_bytes:
        return []
    too_many, too_large = count - limits.max_count, size - limits.max_bytes
    rows = _expendable(connection, limits.keep_per_label) or _oldest(connection)
    chosen: list[int] = []
    for number, row_bytes in rows:
        if too_many <= 0 and too_large <= 0:
            break
        chosen.append(number)
        too_many, too_large = too_many - 1, too_large - row_bytes - ROW_BYTES
    return chosen


def _older(connection: sqlite3.Connection, than: float) -> list[int]:
    """Return events past the age limit, even the last of a label: the limit is a promise of privacy."""
    rows = connection.execute(
        "SELECT id FROM events WHERE started < ? AND kept = 0 AND open = 0 ORDER BY started LIMIT ?", (than, AT_ONCE)
    )
    return [int(row[0]) for row in rows]


def _expendable(connection: sqlite3.Connection, keep: int) -> list[tuple[int, int]]:
    """Return id and bytes of the oldest events whose label has enough newer ones."""
    first_to_stay: dict[str, int] = {}
    for label in queries.labels(connection) if keep else ():
        row = connection.execute(
            "SELECT id FROM events WHERE called = ? ORDER BY id DESC LIMIT 1 OFFSET ?", (label, keep - 1)
        ).fetchone()
        first_to_stay[label] = int(row[0]) if row is not None else 0
    found: list[tuple[int, int]] = []
    last = 0
    while len(found) < AT_ONCE:
        rows = connection.execute(
            "SELECT id, called, bytes FROM events WHERE id > ? AND kept = 0 AND open = 0 ORDER BY id LIMIT 1000",
            (last,),
        ).fetchall()
        if not rows:
            break
        found += [(number, size) for number, label, size in rows if number < first_to_stay.get(label, 2**63)]
        last = rows[-1][0]
    return found[:AT_ONCE]


def _oldest(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    rows = connection.execute(
        "SELECT id, bytes FROM events WHERE kept = 0 AND open = 0 ORDER BY id LIMIT ?", (AT_ONCE,)
    )
    return [(int(number), int(size)) for number, size in rows]


@dataclass(frozen=True, slots=True)
class Forecast:
    """bytes: used now, pictures and rows. days_left: until space or count forces deletions; None: age does so first."""

    events: int
    kept: int
    bytes: int
    max_bytes: int
    bytes_a_day: int
    days_left: float | None
    oldest: float | None


def forecast(connection: sqlite3.Connection, limits: Limits) -> Forecast:
    """Return the forecast, from the average of the last days without today."""
    count, size = queries.totals(connection)
    size += count * ROW_BYTES
    days = connection.execute(
        "SELECT sum(n), sum(bytes) FROM daily WHERE day >= date('now', '-14 days') AND day < date('now') GROUP BY day"
    ).fetchall()
    oldest = connection.execute("SELECT min(started) FROM events").fetchone()[0]
    kept = int(connection.execute("SELECT count(*) FROM events WHERE kept = 1").fetchone()[0]) if count else 0
    if not days:
        return Forecast(count, kept, size, limits.max_bytes, 0, None, oldest)
    daily_count = sum(row[0] for row in days) / len(days)
    daily_bytes = sum(row[1] for row in days) / len(days) + daily_count * ROW_BYTES
    left = min((limits.max_bytes - size) / daily_bytes, (limits.max_count - count) / daily_count)
    by_age = limits.days is not None and limits.max_bytes / daily_bytes > limits.days
    by_age = by_age and limits.max_count / daily_count > (limits.days or 0)
    return Forecast(
        count, kept, size, limits.max_bytes, round(daily_bytes), None if by_age else round(max(0.0, left), 1), oldest
    )
