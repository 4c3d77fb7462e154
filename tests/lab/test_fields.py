"""What the walk says one unit sees is what PyTorch's gradient reaches, in place and size, also where it is padding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lookout.inspection.layers_onnx import layer_table

from tests.cli.graphs import Net, alexnet, lenet5, resnet
from tests.lab.conftest import Call
from tests.requires import is_met, requires

pytestmark = [requires("node"), requires("torch")]
if is_met("torch"):
    import torch
    from torch import nn

    from models.training.archs import build

NETWORKS: dict[str, tuple[Net, int, int]] = {
    "lenet5": (lenet5(), 1, 32),
    "alexnet": (alexnet(), 3, 224),
    "resnet18": (resnet((2, 2, 2, 2), bottleneck=False), 3, 96),
    "resnet50": (resnet((3, 4, 6, 3), bottleneck=True, side=96), 3, 96),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_field_of_a_unit_is_where_the_gradient_comes_from(call: Call, tmp_path: Path, name: str) -> None:
    graph, channels, side = NETWORKS[name]
    rows = layer_table(graph.save(tmp_path / "net.onnx")).to_json()["layers"]
    last = next(row for row in reversed(rows) if len(row["output"]) == 4 and row["output"][-1] > 1)
    network = _everywhere_positive(build(name, 10, channels, side))
    for unit in ([0, 0], [1, 2]):
        top, left, height, width = call("stages", "fieldOf", last, unit)
        picture = torch.ones(1, channels, side, side, requires_grad=True)
        maps = network.features(picture)
        assert list(maps.shape[2:]) == last["output"][2:]
        maps[0, :, unit[0], unit[1]].sum().backward()
        reached = picture.grad.abs().sum((0, 1)).numpy() > 0
        wanted = np.zeros((side, side), bool)
        wanted[max(0, top) : top + height, max(0, left) : left + width] = True
        assert (reached == wanted).all()


def _everywhere_positive(network: Any) -> Any:
    """No gradient is lost: weights are positive, and each pool and activation lets all of it through."""
    for module in list(network.modules()):
        for child_name, child in list(module.named_children()):
            if isinstance(child, nn.MaxPool2d):
                setattr(module, child_name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
            elif isinstance(child, nn.Tanh):
                setattr(module, child_name, nn.Identity())
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.01)
    return network.eval()


def test_a_shortcut_is_named_as_one_and_stages_are_those_one_would_draw(call: Call, tmp_path: Path) -> None:
    graph = resnet((2, 2, 2, 2), bottleneck=False)
    rows = layer_table(graph.save(tmp_path / "net.onnx")).to_json()["layers"]
    stages = call("stages", "stagesOf", rows)
    assert [stage["name"] for stage in stages] == ["stem", "1", "2", "3", "4", "head"]
    assert [stage["rows"][-1]["output"][-1] for stage in stages[:-1]] == [24, 24, 12, 6, 3]
    sums = [row for row in rows if row["operator"] == "Add"]
    assert len(sums) == 8
    by_name = {row["name"]: row for row in rows}
    for row in sums:
        worked, shortcut = call("stages", "branches", row, rows)
        assert by_name[worked]["operator"] in ("Conv", "BatchNormalization")
        assert by_name[worked]["receptive_field"] > by_name[shortcut]["receptive_field"]


def test_the_frame_holds_the_picture_and_the_fields_of_all_units(call: Call) -> None:
    row = {"receptive_field": [27, 27], "jump": [4, 4], "start": [-13, -13]}
    assert call("stages", "frameOf", row, [24, 24], [96, 96]) == {"top": -13, "left": -13, "side": 13 + 106}
    assert call("stages", "frameOf", {}, [24, 24], [96, 96])["side"] == 96


def test_a_row_says_its_kernel_and_what_it_is_in_the_courses_words(call: Call, tmp_path: Path) -> None:
    rows = layer_table(lenet5().save(tmp_path / "net.onnx")).to_json()["layers"]
    convolutions = [row for row in rows if row["operator"] == "Conv"]
    assert call("stages", "kernelShape", convolutions[1]) == "16 × 6 × 5 × 5"
    assert call("stages", "learned", convolutions[1]) == {"weights": 2400, "biases": 16}
    assert call("stages", "wordsFor", convolutions[0]) == ["valid", "odd"]
    pool = next(row for row in rows if row["operator"] == "AveragePool")
    assert call("stages", "wordsFor", pool) == ["meanpool", "pooling"]
    english = call("texts.en", "TEXTS")
    assert all(f"words.{word}" in english for row in rows for word in call("stages", "wordsFor", row))
