"""A malformed events.db is renamed, and every row that is still readable is copied into a new file."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from lookout.events import tables

_ASIDE = ".malformed"
# An unreadable row ends a scan; at most this many gaps are skipped.
_MAX_GAPS = 1000
_TABLES = ("events", "details", "runs", "notes")


def set_aside(path: Path) -> int:
    """Rename the file and its log, create a new one and return how many events were copied. Raises OSError."""
    aside = path.with_name(path.name + _ASIDE)
    for ending in ("", "-wal", "-shm"):
        there = path.with_name(path.name + ending)
        if there.exists():
            there.replace(aside.with_name(aside.name + ending))
        else:
            aside.with_name(aside.name + ending).unlink(missing_ok=True)
    fresh = tables.connect_writer(str(path))
    try:
        kept = _copy_rows(aside, fresh)
        _reserve_ids(path.parent, fresh)
    finally:
        fresh.close()
    return kept


def _copy_rows(aside: Path, fresh: sqlite3.Connection) -> int:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(str(aside))) as old:
        old.execute("PRAGMA writable_schema = ON")  # continues where the schema is damaged
        for table in _TABLES:
            fresh.execute("BEGIN")
            _copy_table(old, fresh, table)
            fresh.execute("COMMIT")
    return int(fresh.execute("SELECT count(*) FROM events").fetchone()[0])


def _copy_table(old: sqlite3.Connection, fresh: sqlite3.Connection, table: str) -> None:
    columns = _shared_columns(old, fresh, table)
    names = ", ".join(f'"{name}"' for name in columns)
    holes = ", ".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({holes})"
    if table in ("runs", "notes"):
        with contextlib.suppress(sqlite3.Error):
            for row in old.execute(f"SELECT {names} FROM {table}"):
                fresh.execute(insert, row)
        return
    last, step = 0, 1
    for _ in range(_MAX_GAPS):
        try:
            for row in old.execute(f"SELECT {names} FROM {table} WHERE id > ? ORDER BY id", (last,)):
                with contextlib.suppress(sqlite3.IntegrityError):
                    fresh.execute(insert, row)
                last, step = int(row[0]), 1
            return
        except (sqlite3.Error, TypeError, ValueError):
            last, step = last + step, step * 2  # skip the damage, further each time
            if step > 2**40:
                return


def _shared_columns(old: sqlite3.Connection, fresh: sqlite3.Connection, table: str) -> list[str]:
    """Return the columns that both have, since SQLite reads a quoted name that it does not know as a string literal."""
    wanted, had = (
        [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")] for connection in (fresh, old)
    )
    return [name for name in wanted if name in had]


def _reserve_ids(folder: Path, fresh: sqlite3.Connection) -> None:
    """Reserve the ids of existing pictures, so that no new event gets one of them."""
    highest = max((int(path.stem) for path in folder.glob("*/*.*") if path.stem.isdecimal()), default=0)
    fresh.execute("INSERT OR REPLACE INTO notes VALUES ('salvaged_to', ?)", (str(highest),))
    there = fresh.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'events'", (highest,)).rowcount
    if not there:
        fresh.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?)", (highest,))
