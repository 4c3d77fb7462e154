"""The archive of events, unpacked, is a data folder as it is, and a network is tuned on it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from lookout.events.export import zip_parts
from lookout.events.queries import Filter

from models.training import tune
from models.training.augment import CameraPolicy, CropPolicy
from models.training.batches import BatchSource
from models.training.data import load_both
from models.training.run import Run
from models.training.tune import TuneConfig, Tuner
from tests.events.rows import add, row, store_at
from tests.training.networks import small_lite
from tests.training.pictures import encoded, scene


@pytest.mark.filterwarnings("ignore")
def test_an_exported_archive_trains_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """birdnet-go#1155: does my review do anything? Half of what was called a cat is a dog, and was marked so."""
    monkeypatch.setattr(tune, "pretrained", lambda _: small_lite())
    store = store_at(tmp_path / "state")
    right = ["dog" if number % 2 else "cat" for number in range(150)]
    ids = add(store, *(row(label="cat", right=label) for label in right), row(label="dog"), pictures=True)
    for number, label in zip(ids, [*right, "dog"], strict=True):
        (store.folder / "2026-05" / f"{number}.jpg").write_bytes(encoded(scene(label, number)))
    with zipfile.ZipFile(io.BytesIO(b"".join(zip_parts(store, Filter(review="done"))))) as archive:
        archive.extractall(tmp_path / "data")
    store.close()
    training, validation = load_both(tmp_path / "data")
    assert training.labels == ("cat", "dog")
    assert len(training) + len(validation) == 150, "what nobody has looked at teaches nothing"
    source = BatchSource(training, CropPolicy(), CameraPolicy(), 16)
    said: list[str] = []
    config = TuneConfig(size=32, epochs=0.5)
    tuner = Tuner(config, source, Run(tmp_path / "run"), lambda _step, _total, words: said.append(words))
    tuner.train()
    losses = [float(words.split()[1].rstrip(",")) for words in said if words.startswith("loss")]
    assert len(losses) == tuner.total >= 3
    assert all(0 < loss < 2 for loss in losses), losses
