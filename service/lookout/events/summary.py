"""A day at a glance: counts, and a band of what the service knew at each time of the day."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

# watching: nothing was seen. off: the service was not running, so nothing is known.
BandState = Literal["watching", "seen", "camera_lost", "paused", "off"]
_AFTER: dict[str, BandState] = {
    "camera_lost": "camera_lost",
    "camera_back": "watching",
    "paused": "paused",
    "resumed": "watching",
}
_MACHINE = "kind NOT IN ('seen', 'quiet', 'missed')"
# Like the column `called`, but in a form that the index `events_started` covers, so that no rows are read.
_CALLED = 'coalesce("right", label)'
_SEEN = f"kind IN ('seen', 'missed') AND {_CALLED} IS NOT NULL"
# Parameters: the start of the day twice, and its end.
BY_HOUR = f"""
SELECT cast((started - ?) / 3600 AS INTEGER), {_CALLED}, count(*) FROM events
WHERE started >= ? AND started < ? AND {_SEEN} GROUP BY 1, 2
"""
# Parameters: the earliest start of an event, the end of the day, and its start.
SEEN = f"""
SELECT id, {_CALLED}, started, ended FROM events
WHERE started >= ? AND started < ? AND ended > ? AND {_SEEN} ORDER BY started
"""
_HOUR_S = 3600.0
# An event that began longer than this before the day is not searched for.
_MAX_S = 2 * 86_400.0
# Visits of one label closer together than this are joined: a band of a thousand pixels cannot show the gap.
_PIXEL_S = 60.0


@dataclass(frozen=True, slots=True)
class Span:
    """begin, end: Unix seconds. label: of what was seen. first: the id of its first event."""

    begin: float
    end: float
    state: BandState
    label: str | None = None
    first: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """hours: counts by label, one entry per hour of the day. oldest: the start of the oldest event, Unix seconds."""

    counts: dict[str, int]
    hours: list[dict[str, int]]
    spans: list[Span]
    todo: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class Present:
    """The current run and the time, because the end of the run on disk is some minutes old."""

    run: str
    now: float


def summarise(connection: sqlite3.Connection, begin: float, end: float, present: Present) -> Summary:
    """Summarise the events between two times in Unix seconds. Corrected labels count."""
    counts: dict[str, int] = {}
    hours: list[dict[str, int]] = [{} for _ in range(max(1, round((end - begin) / _HOUR_S)))]
    for hour, label, n in connection.execute(BY_HOUR, (begin, begin, end)):
        counts[label] = counts.get(label, 0) + n
        hour_counts = hours[min(hour, len(hours) - 1)]
        hour_counts[label] = hour_counts.get(label, 0) + n
    todo = connection.execute(
        'SELECT count(*) FROM events WHERE "right" IS NULL AND doubt IS NOT NULL AND open = 0'
    ).fetchone()[0]
    oldest = connection.execute("SELECT min(started) FROM events").fetchone()[0]
    until = min(end, present.now)
    spans = [*_base(connection, begin, until, present), *_seen(connection, begin, until)]
    return Summary(counts, hours, spans, int(todo), oldest)


def _base(connection: sqlite3.Connection, begin: float, end: float, present: Present) -> Iterator[Span]:
    """Yield whether the service ran and the camera delivered frames, without a gap from begin to end."""
    at = begin
    rows = connection.execute(
        "SELECT run, started, ended, first FROM runs WHERE started < ? ORDER BY started", (end,)
    ).fetchall()
    for run, started, ended, first in rows:
        ended = present.now if run == present.run else ended
        if ended <= at:
            continue
        if started > at:
            yield Span(at, started, "off")
            at = started
        yield from _within_run(connection, (started, at, min(ended, end)), first)
        at = max(at, min(ended, end))
    if at < end:
        yield Span(at, end, "off")


def _within_run(connection: sqlite3.Connection, run: tuple[float, float, float], first: str) -> Iterator[Span]:
    """Yield the spans within one run. run: its start, and the start and end of the part to cover."""
    started, at, end = run
    state: BandState = "paused" if first == "paused" else "watching"
    rows = connection.execute(
        f"SELECT kind, started FROM events WHERE {_MACHINE} AND started >= ? AND started < ? ORDER BY id",
        (started, end),
    )
    for kind, moment in rows:
        after = _AFTER.get(kind)
        if after is None or after == state:
            continue
        if moment > at:
            yield Span(at, moment, state)
            at = moment
        state = after
    if at < end:
        yield Span(at, end, state)


def _seen(connection: sqlite3.Connection, begin: float, end: float) -> Iterator[Span]:
    """Yield the visits, joining those of one label that are close together."""
    rows = connection.execute(SEEN, (begin - _MAX_S, end, begin))
    under_way: dict[str, Span] = {}
    for number, label, started, ended in rows:
        before = under_way.get(label)
        if before is not None and started - before.end < _PIXEL_S:
            under_way[label] = Span(before.begin, max(before.end, min(ended, end)), "seen", label, before.first)
            continue
        if before is not None:
            yield before
        under_way[label] = Span(max(started, begin), min(ended, end), "seen", label, number)
    yield from under_way.values()
