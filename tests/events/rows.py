"""Events as tests put them into a store: straight, without a camera."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from lookout.events.curve import Curve, pack
from lookout.events.rows import insert
from lookout.events.store import Store
from lookout.storage import Storage

# 2026-05-01T07:00:00Z
MORNING = 1_777_618_800.0
DAY_S = 86_400.0


def row(started: float = MORNING, **more: Any) -> dict[str, Any]:
    """A visit of ten seconds by a cat."""
    return {
        "kind": "seen",
        "boot": "boot-1",
        "mono_start": 100.0,
        "started": started,
        "ended": started + 10.0,
        "label": "cat",
        "probability": 0.97,
        "mean": 0.91,
        "frames": 100,
        "model": '["cats", "1", "fp32"]',
        "region": "[0.0, 0.0, 1.0, 1.0]",
        **more,
    }


CURVE = Curve(("cat", "dog"), (0.0, 5.0, 10.0), ((0.5, 0.5), (0.9, 0.1), (1.0, 0.0)))


def add(store: Store, *rows: dict[str, Any], pictures: bool = False) -> list[int]:
    """Their numbers. pictures: each has a snapshot and a thumbnail that say so."""

    def work(connection: sqlite3.Connection) -> list[int]:
        ids = []
        for values in rows:
            folder = {"folder": "2026-05", "bytes": 2000} if pictures else {}
            number = insert(connection, "events", {**values, **folder})
            insert(connection, "details", {"id": number, "curve": pack(CURVE), "embedding": bytes(1024)})
            ids.append(number)
        return ids

    ids = store.database.write(work)
    if pictures:
        (store.folder / "2026-05").mkdir(parents=True, exist_ok=True)
        for number in ids:
            (store.folder / "2026-05" / f"{number}.jpg").write_bytes(b"jpg of %d" % number)
            (store.folder / "2026-05" / f"{number}.webp").write_bytes(b"webp of %d" % number)
    return ids


def store_at(folder: Path, **more: Any) -> Store:
    return Store(folder, Storage(folder), **more)


def pictures_in(store: Store) -> set[str]:
    return {path.name for path in store.folder.glob("????-??/*")}
