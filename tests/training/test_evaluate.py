"""What is measured of a model is what the service makes of it, whatever its graph takes and returns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")

import onnx
from lookout.pipeline.card import Card, load_card, sha256_of
from lookout.pipeline.classifier import Classifier
from onnx import helper, numpy_helper

from models.training.card import Measured
from models.training.data import Pictures
from models.training.evaluate import RULES, evaluate, sets_of
from models.training.plots import ticks

LEVELS = 60.0  # how many levels of brightness make one of a logit
SIZE = 8


def bright_or_dark(folder: Path, dtype: str, tells: str) -> Card:
    """A model that calls bright pictures cat: logit +-(mean - 127) / LEVELS."""
    folder.mkdir()
    values = SIZE * SIZE * 3
    weights = np.repeat(np.array([[1.0, -1.0]], np.float32) / values / LEVELS, values, axis=0)
    nodes = [
        helper.make_node("Cast", ["x"], ["levels"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Flatten", ["levels"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    kind = onnx.TensorProto.UINT8 if dtype == "uint8" else onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "bright or dark",
        [helper.make_tensor_value_info("x", kind, [1, SIZE, SIZE, 3])],
        [helper.make_tensor_value_info(tells, onnx.TensorProto.FLOAT, [1, 2])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([-127 / LEVELS, 127 / LEVELS], np.float32), "bias"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "m.onnx")
    entry = {"file": "m.onnx", "sha256": sha256_of(folder / "m.onnx"), "bytes": (folder / "m.onnx").stat().st_size}
    card = {
        "schema": 1,
        "name": folder.name,
        "version": "1",
        "title": "Bright or dark",
        "labels": [{"name": "cat", "title": "Cat"}, {"name": "neither", "title": "Nobody", "reject": True}],
        "input": {"name": "x", "layout": "NHWC", "dtype": dtype, "width": SIZE, "height": SIZE},
        "outputs": {tells: tells},
        "files": {"fp32": entry},
        "created": "2026-01-01T00:00:00Z",
    }
    (folder / "card.json").write_text(json.dumps(card))
    return load_card(folder)


@pytest.fixture
def evenly_lit() -> Pictures:
    """Four hundred pictures, each of one level; the two labels overlap."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 400)
    levels = np.clip(np.where(targets == 0, 160, 95) + rng.normal(0, 35, 400), 0, 255).astype(np.uint8)
    each, labels = SIZE * SIZE * 3, ("cat", "neither")
    names = tuple(f"{labels[t]}/made-{i:03}.png" for i, t in enumerate(targets.tolist()))
    sizes = np.full((400, 2), SIZE, np.int32)
    return Pictures(np.repeat(levels, each), np.arange(401) * each, sizes, targets, names, labels)


def served(card: Card, pictures: Pictures) -> np.ndarray:
    classifier = Classifier.load(card, "fp32")
    return np.array([classifier.classify(pictures[i]).probabilities for i in range(len(pictures))])


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_logits_are_calibrated(dtype: str, evenly_lit: Pictures, tmp_path: Path) -> None:
    found = evaluate(bright_or_dark(tmp_path / "m", dtype, "logits"), evenly_lit, corruptions=False).measured
    assert 0.3 < found.temperatures["fp32"] < 0.9
    assert found.metrics["fp32"]["accuracy"] > 0.75


def test_probabilities_are_measured_as_they_are_served(evenly_lit: Pictures, tmp_path: Path) -> None:
    card = bright_or_dark(tmp_path / "m", "uint8", "probabilities")
    found = evaluate(card, evenly_lit, corruptions=False).measured
    p = served(card, evenly_lit)
    loss = -np.log(p[np.arange(len(p)), evenly_lit.targets]).mean()
    assert found.metrics["fp32"]["log_loss"] == pytest.approx(loss, abs=1e-3)
    assert found.temperatures["fp32"] == 1.0
    assert (p[evenly_lit.targets == 1, 0] >= found.thresholds["cat"]["enter"]).mean() <= 0.01


def of_levels(names: list[str], levels: list[int]) -> Pictures:
    """Pictures of one level each, named ``DATASET/LABEL/ORIGIN-NUMBER``."""
    each, labels = SIZE * SIZE * 3, ("cat", "neither")
    targets = np.array([labels.index(name.split("/")[1]) for name in names])
    sizes = np.full((len(names), 2), SIZE, np.int32)
    pixels = np.repeat(np.array(levels, np.uint8), each)
    return Pictures(pixels, np.arange(len(names) + 1) * each, sizes, targets, tuple(names), labels)


def test_a_datasets_pictures_are_measured_by_themselves_and_composites_apart() -> None:
    names = [
        "val/cat/a-1.png",
        "val/neither/a-1.png",
        "val2/cat/b-1.png",
        "val2/cat/pasted-1.png",
        "val3/neither/c-owl-1.png",
    ]
    first, others = sets_of(of_levels(names, [10, 20, 30, 40, 50]))
    assert first.names == tuple(names[:2])
    assert {which: pictures.names for which, pictures in others.items()} == {
        "val2": (names[2],),
        "val2-pasted": (names[3],),
        "val3": (names[4],),
    }
    assert others["val2"][0][0, 0, 0] == 30
    assert others["val3"].targets.tolist() == [1]


def with_and_without(tmp_path: Path, kind: str, strangers: list[float]) -> tuple[Measured, Measured]:
    """Measured on the first set, and with a hundred strangers of a kind besides; the last are as bright as given."""
    rng = np.random.default_rng(0)
    card = bright_or_dark(tmp_path / "m", "uint8", "logits")
    names = [f"val/{label}/a-{i}.png" for label in ("cat", "neither") for i in range(200)]
    levels = [*rng.normal(190, 30, 200), *rng.normal(60, 25, 200)]
    names += [f"{kind}-{i}.png" for i in range(100)]
    levels += [*rng.normal(60, 25, 100 - len(strangers)), *strangers]
    pictures, others = sets_of(of_levels(names, np.clip(levels, 0, 255).astype(int).tolist()))
    first = evaluate(card, pictures, corruptions=False).measured
    return first, evaluate(card, pictures, corruptions=False, others=others).measured


def test_the_threshold_keeps_strangers_of_every_set_out(tmp_path: Path) -> None:
    """On the first set nobody is near it; the bright strangers of the third decide."""
    strangers = np.random.default_rng(1).normal(165, 5, 10).tolist()
    first, together = with_and_without(tmp_path, "val3/neither/c", strangers)
    assert together.thresholds["cat"]["enter"] > first.thresholds["cat"]["enter"]
    assert together.metrics["fp32"]["sets"]["val3"]["false_alarms"] <= RULES["val3"].false_alarms
    assert together.metrics["fp32"]["sets"]["val3"]["pictures"] == 100
    assert together.metrics["fp32"]["accuracy"] == first.metrics["fp32"]["accuracy"]
    assert together.temperatures["fp32"] > first.temperatures["fp32"]


def test_strangers_pasted_into_rooms_raise_the_threshold_but_do_not_calibrate(tmp_path: Path) -> None:
    """They are what a fox in a room looks like, with edges that no photograph has."""
    strangers = np.random.default_rng(1).normal(140, 3, 30).tolist()
    first, together = with_and_without(tmp_path, "val2/neither/pasted", strangers)
    assert together.thresholds["cat"]["enter"] > first.thresholds["cat"]["enter"]
    assert together.metrics["fp32"]["sets"]["val2-pasted"]["false_alarms"] <= RULES["val2-pasted"].false_alarms
    assert together.temperatures["fp32"] == first.temperatures["fp32"]


@pytest.mark.parametrize(
    ("highest", "last", "step"),
    [(6, 6, 2), (0.02, 0.02, 0.005), (1.0, 1.0, 0.2), (2.245, 2.5, 0.5), (24, 25, 5), (0, 1, 0.2), (np.nan, 1, 0.2)],
)
def test_the_axes_of_curves_have_round_numbers(highest: float, last: float, step: float) -> None:
    found = ticks(highest)
    assert found[0] == 0
    assert found[-1] == pytest.approx(last)
    assert found[1] == pytest.approx(step)
