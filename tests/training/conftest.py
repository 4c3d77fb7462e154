"""Photographs for the tests of the training pipeline: made once a session, decoded once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.training.pictures import write_folders

if TYPE_CHECKING:
    from models.training.data import Pictures


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two threads that wait for each other crawl when the machine has other work; and one makes sums repeatable."""
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ``train`` and ``val`` with a few dozen pictures."""
    folder = tmp_path_factory.mktemp("photographs")
    write_folders(folder / "train", 16)
    write_folders(folder / "val", 8)
    return folder


@pytest.fixture(scope="session")
def train_pictures(photographs: Path) -> Pictures:
    from models.training.data import load

    return load(photographs, "train")


@pytest.fixture(scope="session")
def val_pictures(photographs: Path) -> Pictures:
    from models.training.data import load

    return load(photographs, "val")
