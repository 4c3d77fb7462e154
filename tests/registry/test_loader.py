"""Which model is loaded when the settings ask for what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from lookout.errors import UnknownModel
from lookout.registry import loader
from lookout.registry.catalogue import Catalogue
from lookout.resources import DEFAULT_MODEL
from lookout.settings.schema import ModelSettings, Settings

from tests.models import colour_graph, write_card


def load(folder: Path, precision: str, *, exactly: bool = False) -> str:
    settings = Settings.model_validate({"model": {"folder": folder, "name": "colours", "precision": precision}})
    return loader.load(Catalogue.of(settings), settings.model, exactly=exactly).precision


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the model "colours", in fp32 only."""
    write_card(tmp_path, graphs={"fp32": colour_graph()})
    return tmp_path


def test_a_precision_set_long_ago_gives_way_to_what_the_model_has(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(folder, "int8") == "fp32"
    assert 'The model "colours" has no precision "int8"' in caplog.text
    assert "it runs in fp32" in caplog.text


def test_one_that_is_asked_for_now_or_that_nobody_knows_is_refused(folder: Path) -> None:
    for precision, exactly in (("int8", True), ("in8", False)):
        with pytest.raises(UnknownModel, match="no precision"):
            load(folder, precision, exactly=exactly)


def test_the_default_model_loads_whatever_precision_was_kept() -> None:
    settings = ModelSettings.model_validate({"precision": "int8"})
    assert settings.name == DEFAULT_MODEL
    assert loader.load(Catalogue.of(Settings()), settings).precision in ("fp32", "int8")
