"""Rows of the table `events` as `Event`, and the other way round."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from lookout.events.event import Event, ModelUsed
from lookout.geometry import Rect

# In the order in which `event_of` unpacks them.
COLUMNS = (
    *("id", "view", "kind", "started", "ended", "open", "cut", "clock_ok", "label", '"right"', "probability", "mean"),
    *("frames", "model", "region", "why", "reviewed_at", "sampled", "doubt", "kept", "note", "folder", "bytes"),
)
SELECTED = ", ".join(COLUMNS)
# Every stored column, for moving a row to the trash and back.
ALL_COLUMNS = ("id", "boot", "mono_start", *(name.strip('"') for name in COLUMNS if name != "id"))


def event_of(row: tuple[Any, ...]) -> Event:
    """Return the event of a row with the columns of SELECTED."""
    number, view, kind, started, ended, is_open, cut, clock_ok, label, right, probability, mean = row[:12]
    frames, model, region, why, reviewed_at, sampled, doubt, kept, note, folder, size = row[12:]
    return Event(
        id=number,
        kind=kind,
        started=started,
        ended=None if is_open else ended,
        view=view,
        label=label,
        right=right,
        probability=probability,
        mean=mean,
        frames=frames,
        model=ModelUsed(*json.loads(model)) if model else None,
        region=Rect(*json.loads(region)) if region else None,
        why=json.loads(why),
        cut=bool(cut),
        clock_ok=bool(clock_ok),
        reviewed_at=reviewed_at,
        sampled=bool(sampled),
        doubt=doubt,
        kept=bool(kept),
        note=note,
        bytes=size,
        picture=folder is not None,
    )


def model_text(model: ModelUsed | None) -> str | None:
    return json.dumps([model.name, model.version, model.precision]) if model else None


def region_text(region: Rect | None) -> str | None:
    if region is None:
        return None
    return json.dumps([round(side, 4) for side in (region.x, region.y, region.width, region.height)])


def insert(connection: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> int:
    """Insert one row of named columns; return its id."""
    names = ", ".join(f'"{name}"' for name in values)
    holes = ", ".join(f":{name}" for name in values)
    cursor = connection.execute(f"INSERT INTO {table} ({names}) VALUES ({holes})", values)
    return int(cursor.lastrowid or 0)


def update(connection: sqlite3.Connection, number: int, values: Mapping[str, Any]) -> bool:
    """Change columns of one event; return whether it exists."""
    changes = ", ".join(f'"{name}" = :{name}' for name in values)
    return connection.execute(f"UPDATE events SET {changes} WHERE id = :id", {**values, "id": number}).rowcount > 0
