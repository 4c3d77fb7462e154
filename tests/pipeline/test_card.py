"""The model card: what is wrong with it is said in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lookout.errors import ModelRejected
from lookout.pipeline.card import MAX_CARD_BYTES, Card, load_card, sha256_of

from tests.models import LABELS, write_card, write_model


def refusal(folder: Path) -> str:
    """The sentence with which the card is refused; every refusal has a remedy."""
    with pytest.raises(ModelRejected) as caught:
        load_card(folder)
    assert caught.value.remedy.endswith(".")
    assert "\n" not in caught.value.detail
    assert caught.value.exit_code == 3
    return caught.value.detail


def refusal_of(tmp_path: Path, **changes: Any) -> str:
    return refusal(write_model(tmp_path, **changes))


def input_of(**changes: Any) -> dict[str, Any]:
    return {"name": "pixels", "layout": "NHWC", "dtype": "uint8", "width": 96, "height": 96} | changes


def test_a_sound_card_says_what_the_graph_cannot(tmp_path: Path) -> None:
    card = write_card(tmp_path)
    assert card.label_names == LABELS
    assert [label.name for label in card.labels if label.reject] == ["neither"]
    assert card.precisions == ("fp32",)
    assert card.folder == tmp_path / "colours"
    assert sha256_of(card.path("fp32")) == card.files["fp32"].sha256
    assert card.input.shape == (1, 96, 96, 3)
    assert card.outputs.answer == "logits"


def test_a_card_may_say_its_words_in_other_languages(tmp_path: Path) -> None:
    card = write_card(tmp_path, translations={"zh-Hant": {"title": "貓狗", "labels": {"cat": "貓"}}})
    assert card.translations["zh-Hant"].title == "貓狗"
    assert card.translations["zh-Hant"].labels == {"cat": "貓"}


def test_a_translation_of_a_label_that_is_none_is_refused(tmp_path: Path) -> None:
    said = refusal_of(tmp_path, translations={"zh-Hant": {"labels": {"fox": "狐狸"}}})
    assert 'the translation "zh-Hant" contains "fox", which is not one of the labels' in said


def test_without_thresholds_a_card_gets_08_and_06(tmp_path: Path) -> None:
    limits = write_card(tmp_path).thresholds_of("cat")
    assert (limits.enter, limits.leave) == (0.8, 0.6)


def test_without_calibration_the_temperature_is_one(tmp_path: Path) -> None:
    card = write_card(tmp_path, calibration={"fp32": {"temperature": 1.7}})
    assert (card.temperature("fp32"), card.temperature("int8")) == (1.7, 1.0)


@pytest.mark.parametrize(
    ("layout", "color", "shape"),
    [
        ("NHWC", "rgb", (1, 64, 128, 3)),
        ("NCHW", "bgr", (1, 3, 64, 128)),
        ("NCHW", "gray", (1, 1, 64, 128)),
        ("NHWC", "gray", (1, 64, 128, 1)),
    ],
)
def test_the_shape_follows_from_layout_and_colour(tmp_path: Path, layout: str, color: str, shape: tuple[int]) -> None:
    spec = write_card(tmp_path, input=input_of(layout=layout, color=color, width=128, height=64)).input
    assert spec.shape == shape


def test_a_missing_card_is_reported_as_missing(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory)" in refusal(tmp_path)


def test_a_folder_named_like_a_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "card.json").mkdir()
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"\xff\xfe\x00", b"[" * 100_000, b"[]", b"null", b"{}", b'{"schema": 1}']
)
def test_a_file_that_is_not_a_card_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "card.json").write_bytes(content)
    assert "is not valid" in refusal(tmp_path)


def test_a_huge_card_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "card.json").open("wb") as file:
        file.truncate(MAX_CARD_BYTES + 1)
    assert "it is larger than 1048576 bytes" in refusal(tmp_path)


def test_the_first_wrong_field_is_named_with_its_place(tmp_path: Path) -> None:
    assert "input.width: " in refusal_of(tmp_path, input=input_of(width="wide"))


def test_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    assert "threshold: " in refusal_of(tmp_path, threshold={})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_json_cannot_express_is_refused(tmp_path: Path, value: object) -> None:
    """One such card would keep the list of all models from being shown."""
    assert "is not valid" in refusal_of(tmp_path, metrics={"fp32": {"accuracy": value}})


def test_a_number_too_large_for_json_is_refused(tmp_path: Path) -> None:
    home = write_model(tmp_path, metrics={"pictures": 123456789})
    (home / "card.json").write_text((home / "card.json").read_text().replace("123456789", "1e999"))
    assert "is not valid" in refusal(home)


def test_a_schema_of_the_future_is_refused(tmp_path: Path) -> None:
    assert "schema: " in refusal_of(tmp_path, schema=2)


def test_thresholds_for_a_label_there_is_not_are_refused(tmp_path: Path) -> None:
    assert 'thresholds contain "bird"' in refusal_of(tmp_path, thresholds={"bird": {}})


def test_a_leave_above_its_enter_is_refused(tmp_path: Path) -> None:
    assert "leave (0.9) is above enter (0.7)" in refusal_of(tmp_path, thresholds={"cat": {"enter": 0.7, "leave": 0.9}})


def test_two_labels_of_one_name_are_refused(tmp_path: Path) -> None:
    labels = [{"name": "cat", "title": "Cat"}, {"name": "cat", "title": "Also cat"}]
    assert "two labels have the same name" in refusal_of(tmp_path, labels=labels)


def test_a_single_label_leaves_nothing_to_choose_from(tmp_path: Path) -> None:
    assert "labels: " in refusal_of(tmp_path, labels=[{"name": "cat", "title": "Cat"}])


def test_a_calibration_for_a_precision_there_is_not_is_refused(tmp_path: Path) -> None:
    assert 'the precision "int8", for which there is no file' in refusal_of(tmp_path, calibration={"int8": {}})


@pytest.mark.parametrize("outputs", [{}, {"logits": "a", "probabilities": "b"}, {"embedding": "e"}])
def test_exactly_one_of_logits_and_probabilities_is_named(tmp_path: Path, outputs: dict[str, str]) -> None:
    assert "name either logits or probabilities" in refusal_of(tmp_path, outputs=outputs)


@pytest.mark.parametrize("changes", [{"mean": [1, 2]}, {"std": [1, 2]}, {"color": "gray", "mean": [1, 2, 3]}])
def test_there_is_one_mean_and_deviation_a_channel_or_one_for_all(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert "values for" in refusal_of(tmp_path, input=input_of(**changes))


@pytest.mark.parametrize(
    "changes", [{"std": [0.0]}, {"scale": float("nan")}, {"mean": [float("inf")]}, {"width": 0}, {"height": 100_000}]
)
def test_numbers_that_make_no_tensor_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert "is not valid: input." in refusal_of(tmp_path, input=input_of(**changes))


@pytest.mark.parametrize("file", ["../other/fp32.onnx", "/etc/passwd.onnx", "fp32.bin", ".onnx", "a/b.onnx", ""])
def test_files_lie_inside_the_cards_folder(tmp_path: Path, file: str) -> None:
    place = write_model(tmp_path)
    card = json.loads((place / "card.json").read_text())
    card["files"]["fp32"]["file"] = file
    (place / "card.json").write_text(json.dumps(card))
    assert "files.fp32.file: " in refusal(place)


@pytest.mark.parametrize("name", ["", "../up", "a b", "-x", "x" * 101])
def test_a_name_fits_a_folder_and_an_address(tmp_path: Path, name: str) -> None:
    place = write_model(tmp_path)
    card = json.loads((place / "card.json").read_text()) | {"name": name}
    (place / "card.json").write_text(json.dumps(card))
    assert "name: " in refusal(place)


def test_a_card_does_not_change(tmp_path: Path) -> None:
    card: Card = write_card(tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        card.name = "other"  # type: ignore[misc]
