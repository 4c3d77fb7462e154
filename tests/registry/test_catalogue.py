"""Which models are installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lookout.errors import ModelRejected, UnknownModel
from lookout.registry.catalogue import Catalogue
from lookout.resources import models_folder
from lookout.settings.schema import Settings
from lookout.storage import with_timeout

from tests.faults import mounts
from tests.models import write_model
from tests.requires import requires


def test_a_folder_with_a_card_is_a_model(tmp_path: Path) -> None:
    write_model(tmp_path, "b")
    write_model(tmp_path, "a")
    (tmp_path / "no-card").mkdir()
    (tmp_path / "readme.txt").write_text("not a model")
    assert Catalogue([tmp_path]).names() == ["a", "b"]
    assert Catalogue([tmp_path]).card("a").name == "a"


def test_an_earlier_folder_wins(tmp_path: Path) -> None:
    write_model(tmp_path / "own", "same", title="Mine")
    write_model(tmp_path / "shipped", "same", title="Theirs")
    catalogue = Catalogue([tmp_path / "own", tmp_path / "shipped"])
    assert catalogue.names() == ["same"]
    assert catalogue.card("same").title == "Mine"


def test_a_model_dropped_in_counts_at_once(tmp_path: Path) -> None:
    catalogue = Catalogue([tmp_path])
    assert catalogue.names() == []
    write_model(tmp_path, "new")
    assert catalogue.names() == ["new"]


@pytest.mark.parametrize("name", ["missing", "", ".", "..", "../secret", "a/b", "/etc", "a\x00b"])
def test_a_name_that_is_none_is_unknown_and_reaches_nothing_outside(tmp_path: Path, name: str) -> None:
    write_model(tmp_path, "secret")
    write_model(tmp_path / "models", "known")
    with pytest.raises(UnknownModel) as caught:
        Catalogue([tmp_path / "models"]).folder(name)
    assert "known" in caught.value.remedy


def test_a_broken_card_is_listed_but_refused(tmp_path: Path) -> None:
    (write_model(tmp_path, "broken") / "card.json").write_text("{")
    assert Catalogue([tmp_path]).names() == ["broken"]
    with pytest.raises(ModelRejected):
        Catalogue([tmp_path]).card("broken")


def test_a_folder_and_its_card_have_one_name(tmp_path: Path) -> None:
    """A model is asked for by the folder's name and reports the card's: two names would be two models."""
    write_model(tmp_path, "mine").rename(tmp_path / "copy-of-mine")
    with pytest.raises(ModelRejected, match='a model named "mine"'):
        Catalogue([tmp_path]).card("copy-of-mine")


def test_a_folder_that_is_not_there_holds_no_models(tmp_path: Path) -> None:
    assert Catalogue([tmp_path / "nowhere"]).names() == []


def test_a_folder_we_may_not_look_into_holds_no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path, "hidden")
    catalogue = Catalogue([tmp_path])

    def denied(path: Path, **_: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", denied)  # permissions do not stop root, who may run these tests
    assert catalogue.names() == []
    with pytest.raises(UnknownModel):
        catalogue.folder("hidden")


def test_the_users_folder_comes_before_the_shipped_one(tmp_path: Path) -> None:
    write_model(tmp_path, "cat-dog-resnet18", title="Mine")
    settings = Settings.model_validate({"model": {"folder": str(tmp_path)}})
    assert Catalogue.of(settings).card("cat-dog-resnet18").title == "Mine"


def test_added_models_are_found_last_and_stay_beside_another_folder(tmp_path: Path) -> None:
    write_model(tmp_path / "state" / "models", "added")
    write_model(tmp_path / "state" / "models", "cat-dog-resnet18")
    write_model(tmp_path / "own", "own")
    catalogue = Catalogue.of(Settings(), tmp_path / "state")
    assert "added" in catalogue.names()
    assert catalogue.folder("cat-dog-resnet18").is_relative_to(models_folder())
    other = catalogue.with_folder_of(Settings.model_validate({"model": {"folder": tmp_path / "own"}}))
    assert {"added", "own"} < set(other.names())
    assert catalogue.finds("own") is None


@requires("silent-disk")
def test_a_silent_disk_hides_added_models_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(with_timeout, "__defaults__", (0.1,))
    catalogue = Catalogue.of(Settings(), tmp_path)
    with mounts.silent(tmp_path):
        assert catalogue.card("cat-dog-resnet18").name == "cat-dog-resnet18"
        assert "cat-dog-resnet18" in catalogue.names()
        with pytest.raises(UnknownModel):
            catalogue.card("added")
