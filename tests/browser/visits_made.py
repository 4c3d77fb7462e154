"""A diary as a service finds it at its start: days full of visits, with pictures, unsure ones and a lost camera."""

from __future__ import annotations

import io
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import skimage.data
from lookout.events.curve import Curve, pack
from lookout.events.rows import insert
from lookout.events.store import Store
from lookout.storage import Storage
from PIL import Image

DAY_S = 86_400.0
CURVE = pack(
    Curve(
        ("cat", "dog", "neither"),
        tuple(float(i) for i in range(20)),
        tuple((0.5 + i / 40, 0.2 - i / 120, 0.3 - i / 60) for i in range(20)),
    )
)
WHY = json.dumps({"enter": 0.8, "leave": 0.58, "window_s": 0.5, "hold_s": 1.0})


def midnight(days_ago: int = 0) -> float:
    """Unix seconds of the first moment of a day, in UTC: the browser lives there."""
    return time.time() // DAY_S * DAY_S - days_ago * DAY_S


def fill(state_folder: Path, visits: int, since: float, until: float) -> None:
    """Consecutive visits between two moments: every third by a dog, some chosen for review, some unsure."""
    pictures = dict(_pictures())
    store = Store(state_folder, Storage(state_folder))
    month = time.strftime("%Y-%m", time.gmtime(since))

    def work(connection: sqlite3.Connection) -> list[int]:
        numbers = [_add(connection, row, month) for row in _rows(visits, since, until)]
        for kind, share in (("camera_lost", 0.4), ("camera_back", 0.45)):
            at = since + share * (until - since)
            insert(connection, "events", {**_plain(at), "kind": kind, "ended": at, "label": None})
        return numbers

    numbers = store.database.write(work)
    folder = store.folder / month
    folder.mkdir(parents=True, exist_ok=True)
    for ending, data in pictures.items():
        first = folder / f"{numbers[0]}.{ending}"
        first.write_bytes(data)
        for number in numbers[1:]:
            (folder / f"{number}.{ending}").hardlink_to(first)  # thousands of files would take their time
    store.close()


def _rows(visits: int, since: float, until: float) -> Iterator[dict[str, Any]]:
    each = (until - since) / visits
    for i in range(visits):
        yield {
            **_plain(since + i * each),
            "ended": since + i * each + 0.4 * each,
            "label": "dog" if i % 3 == 0 else "cat",
            "probability": 0.62 if i % 7 == 3 else 0.97,
            "sampled": int(i % 5 == 0),
            "doubt": "sampled" if i % 5 == 0 else "unsure" if i % 7 == 3 else None,
        }


def _plain(at: float) -> dict[str, Any]:
    model, region = '["cat-dog-resnet18", "1", "int8"]', "[0.125, 0.0, 0.75, 1.0]"
    values = {"kind": "seen", "boot": "made", "mono_start": 100.0, "started": at, "mean": 0.9, "frames": 120}
    return values | {"model": model, "region": region, "why": WHY}


def _add(connection: sqlite3.Connection, row: dict[str, Any], month: str) -> int:
    number = insert(connection, "events", {**row, "folder": month, "bytes": 40_000})
    insert(connection, "details", {"id": number, "curve": CURVE, "embedding": bytes(1024)})
    return number


def _pictures() -> Iterator[tuple[str, bytes]]:
    cat = Image.fromarray(skimage.data.chelsea()[:, 26:426]).convert("RGB")
    for ending, kind, size in (("jpg", "JPEG", (640, 480)), ("webp", "WEBP", (160, 120))):
        packed = io.BytesIO()
        cat.resize(size).save(packed, kind)
        yield ending, packed.getvalue()
