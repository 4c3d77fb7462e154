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
    """In each convolution of the small networks, and in every fifth of the deepest one."""
    graph, channels, side = NETWORKS[name]
    rows = layer_table(graph.save(tmp_path / "net.onnx")).to_json()["layers"]
    convolutions = [row for row in rows if row["operator"] == "Conv" and len(row["output"]) == 4]
    picture = torch.ones(1, channels, side, side, dtype=torch.float64, requires_grad=True)
    all_maps = _maps_of_convolutions(_everywhere_positive(build(name, 10, channels, side)), picture)
    assert [list(maps.shape[2:]) for maps in all_maps] == [row["output"][2:] for row in convolutions]
    every = 5 if len(convolutions) > 30 else 1
    for row, maps in list(zip(convolutions, all_maps, strict=True))[::every]:
        for unit in ([0, 0], [1, 2]) if maps.shape[3] > 2 else ([0, 0],):
            wanted = np.zeros((side, side), bool)
            top, left, height, width = call("stages", "fieldOf", row, unit)
            wanted[max(0, top) : top + height, max(0, left) : left + width] = True
            assert (_reached(maps, unit, picture) == wanted).all(), (row["name"], unit)


def _maps_of_convolutions(network: Any, picture: Any) -> list[Any]:
    """The feature maps of all convolutions, in the order in which they run."""
    found: list[Any] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, __, maps: found.append(maps))
    network(picture)
    return [maps for maps in found if maps.shape[3] > 1]


def _reached(maps: Any, unit: list[int], picture: Any) -> np.ndarray:
    """Where the picture's pixels [height, width] change the unit's sum over all channels."""
    (gradient,) = torch.autograd.grad(maps[0, :, unit[0], unit[1]].sum(), picture, retain_graph=True)
    return np.asarray(gradient.abs().sum((0, 1)).numpy() > 0)


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
    return network.double().eval()  # single precision loses the faint paths to a deep field's corners


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
