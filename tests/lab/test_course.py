"""Every number of the course, named; and that the self-test asks for it and knows a right answer when it is typed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.conftest import Call
from tests.requires import requires
from tests.support.languages import LANGUAGES

pytestmark = [requires("node")]


@pytest.fixture(scope="module")
def questions(call: Call) -> dict[str, Any]:
    found = call("questions", "QUESTIONS")
    assert len(found) == 12
    return {one["name"]: one for one in found}


def test_the_worked_example_gives_minus_five(call: Call, questions: dict[str, Any]) -> None:
    window, kernel = [[3, 0, 1], [1, 5, 8], [2, 7, 2]], [1, 0, -1]
    assert sum(value * kernel[x] for row in window for x, value in enumerate(row)) == -5
    assert questions["edge"]["answer"] == [-5]
    assert [row[:3] for row in call("examples", "GRIDS")["course"][0][:3]] == window


def test_ten_filters_of_three_by_three_by_three_have_280_parameters(questions: dict[str, Any]) -> None:
    assert questions["filters"]["answer"] == [280] == [(3 * 3 * 3 + 1) * 10]


def test_a_dense_layer_on_a_colour_picture_has_196_609_000(questions: dict[str, Any]) -> None:
    assert questions["dense"]["answer"] == [196_609_000] == [(256 * 256 * 3 + 1) * 1000]


def test_padding_that_is_not_needed_makes_100_to_102(questions: dict[str, Any]) -> None:
    assert questions["padding"]["answer"] == [102] == [(100 + 2 * 1 - 1) // 1 + 1]


def test_twice_three_by_three_sees_five_by_five_and_so_25_pixels(questions: dict[str, Any]) -> None:
    assert questions["twice"]["answer"] == [5]
    assert questions["twicePixels"]["answer"] == [25]


def test_lenets_dense_layers_have_48_120_and_10_164_and_850(questions: dict[str, Any]) -> None:
    assert questions["lenet"]["answer"] == [48_120, 10_164, 850] == [401 * 120, 121 * 84, 85 * 10]


@pytest.mark.parametrize(("side", "wanted"), [(224, [56, 28, 14, 7]), (96, [24, 12, 6, 3])])
def test_the_stages_of_resnet18(questions: dict[str, Any], side: int, wanted: list[int]) -> None:
    assert questions[f"stages{side}"]["answer"] == wanted


def test_floor_and_ceil_say_the_same_for_valid(questions: dict[str, Any]) -> None:
    assert questions["valid"]["answer"] == [4, 4]
    assert all(
        (n - f) // s + 1 == -(-(n - f + 1) // s) for n in range(1, 40) for f in range(1, n + 1) for s in (1, 2, 3)
    )


def test_the_sentences_that_are_wrong(questions: dict[str, Any]) -> None:
    assert questions["pooling"]["wrong"] == ["learns", "channels"]
    assert questions["fixed"]["wrong"] == ["any"]


def test_half_a_bright_picture_has_its_edge_in_the_middle(call: Call) -> None:
    grids, kernels = call("examples", "GRIDS"), call("examples", "KERNELS")
    found = call("arithmetic", "convolve", grids["half"], kernels["vertical"], 0, {"stride": 1, "padding": 0})
    assert found == [[0, 30, 30, 0]] * 4


@pytest.mark.parametrize(
    ("typed", "right"),
    [("196609000", True), ("196,609,000", True), ("196 609 000", True), ("196609", False), ("", False)],
)
def test_thousands_may_be_set_apart(call: Call, questions: dict[str, Any], typed: str, right: bool) -> None:
    assert call("questions", "isRight", questions["dense"], typed) is right


def test_several_numbers_are_taken_in_their_order(call: Call, questions: dict[str, Any]) -> None:
    assert call("questions", "isRight", questions["lenet"], "48,120, 10,164, 850")
    assert call("questions", "isRight", questions["stages96"], "24 12 6 3")
    assert not call("questions", "isRight", questions["stages96"], "24, 12, 3, 6")
    assert call("questions", "isRight", questions["edge"], "−5")


def test_the_errata_name_our_numbers(call: Call) -> None:
    numbers = call("questions", "NUMBERS")
    assert (numbers["first"], numbers["second"]) == (608, 3216)
    assert (numbers["c5"], numbers["f6"], numbers["output"]) == (48_120, 10_164, 850)
    assert (numbers["large"], numbers["small"]) == (14, 6)


def test_every_question_has_its_words(call: Call, questions: dict[str, Any]) -> None:
    for language in LANGUAGES:
        texts = call(f"texts.{language}", "TEXTS")
        for name, question in questions.items():
            assert {f"exercise.{name}", f"exercise.{name}.why"} <= texts.keys()
            assert {f"exercise.{name}.{key}" for key in question.get("options", ())} <= texts.keys()
