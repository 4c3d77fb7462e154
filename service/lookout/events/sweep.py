"""Repairs rows without pictures and pictures without rows, as a power cut or a full disk leaves them."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lookout.events.store import Store
from lookout.storage.atomic_files import sweep_folder

log = logging.getLogger(__name__)

_MONTH = "????-??"
_AT_ONCE = 500
_DAY_S = 86_400.0
_SETTLED_S = 60.0


@dataclass(frozen=True, slots=True)
class Swept:
    """files: pictures without a row, removed. rows: rows whose picture is missing, corrected."""

    files: int
    rows: int


def sweep(store: Store, days: int, *, now: float | None = None) -> Swept:
    """Check every picture and every row. May take a while, in small steps. Raises like `Store.delete`.

    days: how long pictures stay whose rows were lost with a malformed file.
    """
    now = time.time() if now is None else now
    files = rows = 0
    for ids in _rows_without_picture(store, now - _SETTLED_S):
        rows += len(ids)
        _strike(store, ids)
    for folder in sorted(store.folder.glob(_MONTH)):
        sweep_folder(folder)
        for some in _in_steps(folder):
            lost = _without_row(store, folder.name, some)
            lost = [path for path in lost if not _is_spared(store, path, now, days)]
            store.storage.run(lambda writer, lost=lost: writer.discard(lost))  # type: ignore[misc]
            files += len(lost)
        with contextlib.suppress(OSError):
            folder.rmdir()  # only if it is empty
    if files or rows:
        log.info("Swept the events: %d pictures without a row, %d rows without their picture.", files, rows)
    return Swept(files, rows)


def _in_steps(folder: Path) -> Iterator[list[Path]]:
    some: list[Path] = []
    for path in folder.iterdir():
        if path.suffix in (".jpg", ".webp"):
            some.append(path)
        if len(some) >= _AT_ONCE:
            yield some
            some = []
    yield some


def _without_row(store: Store, folder: str, paths: list[Path]) -> list[Path]:
    numbers = sorted({int(path.stem) for path in paths if path.stem.isdecimal()})

    def look(connection: sqlite3.Connection) -> set[int]:
        known = set()
        for table in ("events", "trash"):
            holes = ", ".join("?" * len(numbers))
            rows = connection.execute(
                f"SELECT id FROM {table} WHERE folder = ? AND id IN ({holes})", [folder, *numbers]
            )
            known |= {int(row[0]) for row in rows}
        return known

    known = store.database.read(look)
    return [path for path in paths if not path.stem.isdecimal() or int(path.stem) not in known]


def _is_spared(store: Store, path: Path, now: float, days: int) -> bool:
    """Whether the picture lost its row with a malformed file, and is not yet past the age limit."""
    if not path.stem.isdecimal():
        return False
    row = store.database.read(
        lambda connection: connection.execute("SELECT value FROM notes WHERE key = 'salvaged_to'").fetchone()
    )
    if row is None or int(path.stem) > int(row[0]):
        return False
    with contextlib.suppress(OSError):
        return now - path.stat().st_mtime < days * _DAY_S
    return False


def _rows_without_picture(store: Store, ended_before: float) -> Iterator[list[int]]:
    """Yield ids of events that ended some time ago, because a running service writes the row before the picture."""
    last = 0
    while True:
        rows = store.database.read(
            lambda connection, last=last: connection.execute(  # type: ignore[misc]
                "SELECT id, folder FROM events WHERE id > ? AND folder IS NOT NULL AND open = 0 AND ended < ? "
                "ORDER BY id LIMIT ?",
                (last, ended_before, _AT_ONCE),
            ).fetchall()
        )
        if not rows:
            return
        last = rows[-1][0]
        gone = [number for number, folder in rows if _is_missing(store.picture_path(number, folder, "jpg"))]
        if gone:
            yield gone


def _is_missing(path: Path) -> bool:
    """Return True only if the file does not exist: an error of the disk does not mean that the picture is gone."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _strike(store: Store, ids: list[int]) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.executemany("UPDATE events SET folder = NULL, bytes = 0 WHERE id = ?", [(one,) for one in ids])

    store.database.write(work, reserved=False)
