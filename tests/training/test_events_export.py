"""The archive of events, unpacked, is a data folder as it is."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
from lookout.events.export import zip_parts
from lookout.events.queries import Filter

from models.training import data
from tests.events.rows import add, row, store_at


def test_an_exported_archive_is_read_by_training(tmp_path: Path) -> None:
    store = store_at(tmp_path / "state")
    ids = add(store, *(row(label="cat", right="dog" if number % 2 else "cat") for number in range(300)), pictures=True)
    picture = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    for number in ids:
        (store.folder / "2026-05" / f"{number}.jpg").write_bytes(picture)
    with zipfile.ZipFile(io.BytesIO(b"".join(zip_parts(store, Filter(review="done"))))) as archive:
        archive.extractall(tmp_path / "data")
    store.close()
    train, held_out = data.load_both(tmp_path / "data")
    assert train.labels == ("cat", "dog")
    assert len(train) + len(held_out) == 300
