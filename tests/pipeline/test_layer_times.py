"""The time of each layer: what onnxruntime measures comes to the rows of the table, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lookout.errors import ModelRejected
from lookout.inspection import layer_times as module
from lookout.inspection.layer_times import by_row, layer_times
from lookout.inspection.layers import read_table
from lookout.pipeline.card import load_card
from lookout.pipeline.classifier import Classifier
from lookout.resources import models_folder

PICTURE = np.random.default_rng(3).integers(0, 256, (120, 120, 3), np.uint8)


def event(node: str, operator: str, microseconds: float) -> dict[str, object]:
    return {"cat": "Node", "name": f"{node}_kernel_time", "dur": microseconds, "args": {"op_name": operator}}


ROWS = [
    {"name": "conv1", "operator": "Conv", "tensor": "conv1.out", "inputs": []},
    {"name": "relu", "operator": "Relu", "tensor": "relu.out", "inputs": ["conv1"]},
    {"name": "conv2", "operator": "Conv", "tensor": "conv2.out", "inputs": ["relu"]},
    {"name": "fc", "operator": "Gemm", "tensor": "logits", "inputs": ["conv2"]},
]


def test_joined_layers_count_where_they_begin_and_the_middle_of_the_runs_counts() -> None:
    runs = [event("relu.out_nchwc", "Conv", 1000 * n) for n in (9, 1, 2)]
    runs += [event("conv2_token_6", "QLinearConv", 500), event("fc", "Gemm", 7)] * 3
    others = [event("ReorderOutput_token_44", "ReorderOutput", 30), {"cat": "Session", "name": "model_run", "dur": 1}]
    times, between = by_row([*others, *runs], ROWS)
    assert times == pytest.approx({"conv1": 2.0, "conv2": 0.5, "fc": 0.007})
    assert between == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("cat-dog-resnet18", "fp32"),
        ("cat-dog-resnet18", "int8"),
        ("cat-dog-lite0", "fp32"),
        ("cat-dog-lite0", "int8"),
        ("digits-lenet5", "int8"),
    ],
)
def test_each_convolution_of_a_shipped_network_has_a_time(
    name: str, precision: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_MEMORY", tmp_path)
    classifier = Classifier.load(load_card(models_folder() / name), precision)
    found = layer_times(classifier, PICTURE)
    table = read_table(classifier.card.folder, {file.sha256 for file in classifier.card.files.values()})
    assert table is not None
    rows = {row["name"] for row in table["layers"]}
    convolutions = {row["name"] for row in table["layers"] if row["operator"] == "Conv" and row["main"]}
    assert convolutions <= found.layers.keys() <= rows
    assert all(ms > 0 for ms in found.layers.values())
    assert found.between < sum(found.layers.values())
    assert found.runs >= 5
    assert list(tmp_path.iterdir()) == []


def test_without_room_for_the_measurements_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(module.tempfile, "TemporaryDirectory", full)
    classifier = Classifier.load(load_card(models_folder() / "digits-lenet5"), "fp32")
    with pytest.raises(ModelRejected, match=r'The layers of "digits-lenet5" cannot be measured: No usable'):
        layer_times(classifier, PICTURE)
