"""Which precision and how many threads, and which thresholds hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lookout.engine.thresholds import thresholds_of, unknown_labels
from lookout.errors import UnknownModel
from lookout.pipeline.card import Card
from lookout.pipeline.smoothing import Threshold
from lookout.registry.loader import decide
from lookout.registry.tuning import Candidate
from lookout.settings.schema import AnswerSettings, ModelSettings

from tests.models import colour_graph, write_card


def card_with(tmp_path: Path, *precisions: str, **changes: Any) -> Card:
    return write_card(tmp_path, graphs={precision: colour_graph() for precision in precisions}, **changes)


def decided(card: Card, measured: Candidate | None = None, **settings: Any) -> tuple[str, int]:
    choice = decide(card, ModelSettings.model_validate(settings), measured)
    return choice.precision, choice.threads


def test_auto_begins_with_int8_else_with_the_cards_first_file(tmp_path: Path) -> None:
    assert decided(card_with(tmp_path, "fp32", "int8")) == ("int8", 1)
    assert decided(card_with(tmp_path, "fp16", "fp32")) == ("fp16", 1)


def test_what_was_measured_is_taken_where_the_settings_leave_it_open(tmp_path: Path) -> None:
    card, measured = card_with(tmp_path, "fp32", "int8"), Candidate("fp32", 2)
    assert decided(card, measured) == ("fp32", 2)
    assert decided(card, measured, precision="int8") == ("int8", 2)
    assert decided(card, measured, threads=4) == ("fp32", 4)


def test_a_precision_that_the_model_lacks_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match='no precision "int8"') as caught:
        decided(card_with(tmp_path, "fp32"), precision="int8")
    assert "fp32" in caught.value.remedy


def limits(card: Card, **settings: Any) -> dict[str, Threshold]:
    return dict(thresholds_of(card, AnswerSettings.model_validate(settings)))


def test_the_cards_thresholds_hold_unless_a_setting_overrides_them(tmp_path: Path) -> None:
    card = card_with(tmp_path, "fp32", thresholds={"cat": {"enter": 0.85, "leave": 0.55}})
    assert limits(card) == {"cat": Threshold(0.85, 0.55), "dog": Threshold(0.8, 0.6)}
    assert limits(card, enter={"cat": 0.7}, leave={"dog": 0.1}) == {
        "cat": Threshold(0.7, 0.55),
        "dog": Threshold(0.8, 0.1),
    }


def test_one_threshold_may_hold_for_every_label(tmp_path: Path) -> None:
    card = card_with(tmp_path, "fp32")
    assert limits(card, enter={"*": 0.9, "dog": 0.7}, leave={"*": 0.5}) == {
        "cat": Threshold(0.9, 0.5),
        "dog": Threshold(0.7, 0.5),
    }
    assert unknown_labels(card, AnswerSettings.model_validate({"enter": {"*": 0.9}})) == ""


def test_leave_never_lies_above_enter(tmp_path: Path) -> None:
    card = card_with(tmp_path, "fp32")
    assert limits(card, enter={"cat": 0.5})["cat"] == Threshold(0.5, 0.5)
    assert limits(card, leave={"cat": 0.95})["cat"] == Threshold(0.8, 0.8)


def test_a_reject_label_has_no_thresholds_and_one_that_the_model_lacks_gets_none(tmp_path: Path) -> None:
    assert set(limits(card_with(tmp_path, "fp32"), enter={"neither": 0.5, "bird": 0.5})) == {"cat", "dog"}
