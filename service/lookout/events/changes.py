"""Changes that people make: marks, deletions, and undoing either. Each runs in one transaction of the writer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from lookout.events.queries import unknown
from lookout.events.rows import ALL_COLUMNS, insert, update

# One dictionary per event: its id and the marks it had before.
Before = list[dict[str, Any]]
_MARKS = ("right", "reviewed_at", "kept", "note")


def mark(connection: sqlite3.Connection, ids: Sequence[int], changes: Mapping[str, Any], now: float) -> Before:
    """Set right, kept or note of these events; return their previous values. now: Unix seconds."""
    values = dict(changes)
    if "kept" in values:
        values["kept"] = int(values["kept"])
    if "right" in values:
        values["reviewed_at"] = None if values["right"] is None else now
    before = []
    for number in ids:
        row = connection.execute(
            'SELECT "right", reviewed_at, kept, note FROM events WHERE id = ?', (number,)
        ).fetchone()
        if row is None:
            continue
        before.append({"id": number, **dict(zip(_MARKS, row, strict=True))})
        update(connection, number, values)
    return before


def mark_back(connection: sqlite3.Connection, before: Before) -> list[int]:
    """Undo a mark; return the ids of the events that still exist."""
    return [one["id"] for one in before if update(connection, one["id"], {name: one[name] for name in _MARKS})]


def to_trash(connection: sqlite3.Connection, ids: Sequence[int]) -> list[int]:
    """Move events to the trash; return the ids of those that existed."""
    names = ", ".join(f'"{name}"' for name in ALL_COLUMNS)
    gone = []
    for number in ids:
        row = connection.execute(f"SELECT {names} FROM events WHERE id = ?", (number,)).fetchone()
        if row is None:
            continue
        values = dict(zip(ALL_COLUMNS, row, strict=True))
        details = connection.execute("SELECT curve, embedding FROM details WHERE id = ?", (number,)).fetchone()
        curve, embedding = details or (None, None)
        connection.execute(
            "INSERT OR REPLACE INTO trash (id, event, folder, curve, embedding) VALUES (?, ?, ?, ?, ?)",
            (number, json.dumps(values), values["folder"], curve, embedding),
        )
        connection.execute("DELETE FROM events WHERE id = ?", (number,))
        gone.append(number)
    return gone


def from_trash(connection: sqlite3.Connection, ids: Sequence[int]) -> list[int]:
    """Restore events from the trash; return the ids of those that were still there."""
    back = []
    for number in ids:
        row = connection.execute("SELECT event, curve, embedding FROM trash WHERE id = ?", (number,)).fetchone()
        if row is None:
            continue
        insert(connection, "events", json.loads(row[0]) | {"open": 0})
        if row[1] is not None or row[2] is not None:
            insert(connection, "details", {"id": number, "curve": row[1], "embedding": row[2]})
        connection.execute("DELETE FROM trash WHERE id = ?", (number,))
        back.append(number)
    return back


def empty_trash(connection: sqlite3.Connection, ids: Sequence[int] | None = None) -> list[tuple[int, str]]:
    """Delete events in the trash for good; ids: only these. Return id and folder of the pictures to be removed."""
    rows = connection.execute("SELECT id, folder FROM trash").fetchall()
    chosen = rows if ids is None else [row for row in rows if row[0] in set(ids)]
    connection.executemany("DELETE FROM trash WHERE id = ?", [(row[0],) for row in chosen])
    return [(int(number), str(folder)) for number, folder in chosen if folder is not None]


def delete(connection: sqlite3.Connection, ids: Sequence[int]) -> list[tuple[int, str]]:
    """Delete events at once and for good. Return id and folder of the pictures to be removed."""
    pictures = []
    for number in ids:
        row = connection.execute("SELECT folder FROM events WHERE id = ?", (number,)).fetchone()
        if row is None:
            continue
        connection.execute("DELETE FROM events WHERE id = ?", (number,))
        if row[0] is not None:
            pictures.append((number, str(row[0])))
    return pictures


def check_there(connection: sqlite3.Connection, number: int) -> None:
    """Raise UnknownEvent unless the event exists."""
    if connection.execute("SELECT 1 FROM events WHERE id = ?", (number,)).fetchone() is None:
        raise unknown(number)
