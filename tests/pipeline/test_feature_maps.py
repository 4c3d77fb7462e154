"""Feature maps: which layers show theirs, that they are what the graph computes, and how they are drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from lookout.errors import ModelRejected, RequestInvalid, UnknownModel
from lookout.geometry import WHOLE
from lookout.inspection.extra_outputs import more_outputs, open_session_with_outputs
from lookout.inspection.feature_maps import MapNetwork, map_layers, shades, strongest
from lookout.inspection.layers_onnx import layer_table, write_layers
from lookout.inspection.mosaic import mosaic
from lookout.pipeline.card import load_card
from lookout.pipeline.classifier import Classifier
from lookout.pipeline.preprocess import new_tensor, preprocess
from lookout.resources import models_folder

from tests.cli.graphs import Net, alexnet, lenet5, resnet
from tests.models import write_model

SHIPPED = ("cat-dog-lite0", "cat-dog-resnet18", "digits-lenet5")
NOISE = np.random.default_rng(3).integers(0, 256, (120, 120, 3), np.uint8)


def network(name: str, precision: str) -> MapNetwork:
    return MapNetwork.load(Classifier.load(load_card(models_folder() / name), precision))


def layers_of(net: Net, folder: Path) -> list[tuple[str, int, int]]:
    """Operator, channels and side of each layer that shows its maps."""
    table = layer_table(net.save(folder / "net.onnx")).to_json()
    return [(layer.operator, layer.channels, layer.width) for layer in map_layers(table)]


# --- which -------------------------------------------------------------------------------------------------------


def test_the_usual_networks_show_what_leaves_each_activation_and_pool(tmp_path: Path) -> None:
    assert layers_of(alexnet(), tmp_path) == [
        ("Relu", 64, 55), ("MaxPool", 64, 27), ("Relu", 192, 27), ("MaxPool", 192, 13),
        ("Relu", 384, 13), ("Relu", 256, 13), ("Relu", 256, 13), ("MaxPool", 256, 6),
    ]  # fmt: skip
    pools = [row for row in layers_of(lenet5(), tmp_path) if row[0] == "AveragePool"]
    assert pools == [("AveragePool", 6, 14), ("AveragePool", 16, 5)]
    stages = layers_of(resnet((2, 2, 2, 2), bottleneck=False), tmp_path)
    assert stages[0] == ("Relu", 64, 48)
    assert stages[-1] == ("Relu", 512, 3)


def test_without_an_activation_the_convolutions_show_theirs(tmp_path: Path) -> None:
    net = Net(3, 8, 8)
    net.conv(4, 3)
    assert layers_of(net, tmp_path) == [("Conv", 4, 6)]


def test_what_is_not_a_picture_any_more_has_no_maps() -> None:
    row = {"name": "a", "operator": "Relu", "tensor": "a", "main": True}
    shapes = ([1, 8, 1, 1], [1, 8], [2, 8, 4, 4], None)
    rows = [{**row, "output": shape} for shape in shapes]
    rows += [{**row, "output": [1, 8, 4, 4], "main": False}, {**row, "output": [1, 8, 4, 4], "tensor": None}]
    assert map_layers({"layers": rows}) == ()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_networks_can_be_looked_into_at_every_layer(name: str, precision: str) -> None:
    shown = network(name, precision)
    assert len(shown.layers) >= 4
    for layer in shown.layers:
        values = shown.look(NOISE, WHOLE, layer).values
        assert values.shape == (layer.channels, layer.height, layer.width)
        assert values.any()
        assert layer.operator != "Relu" or values.min() >= 0


# --- what ----------------------------------------------------------------------------------------------------------


def test_the_maps_are_what_the_graph_computes() -> None:
    """Against the same graph, changed the long way, by onnx itself."""
    shown = network("cat-dog-resnet18", "fp32")
    layer = shown.layer("layer2.0.relu")
    model = onnx.load(str(shown.card.path("fp32")))
    model.graph.output.append(onnx.ValueInfoProto(name=layer.tensor))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    tensor = new_tensor(shown.card.input)
    preprocess(NOISE, shown.card.input, tensor)
    (expected,) = session.run([layer.tensor], {shown.card.input.name: tensor})
    assert np.allclose(shown.look(NOISE, WHOLE, layer).values, expected[0], atol=1e-4)


def test_int8_shows_nearly_the_maps_of_fp32() -> None:
    exact, quantised = (network("cat-dog-resnet18", precision) for precision in ("fp32", "int8"))
    for name in ("relu", "layer1.1.relu"):
        values = [one.look(NOISE, WHOLE, one.layer(name)).values.ravel() for one in (exact, quantised)]
        assert np.corrcoef(*values)[0, 1] > 0.9


def test_more_outputs_behind_a_file_are_the_same_as_more_outputs_in_its_graph(tmp_path: Path) -> None:
    path = lenet5().save(tmp_path / "net.onnx")
    names = ["t0", "a" * 300]  # a length of two bytes
    merged = onnx.load_from_string(path.read_bytes() + more_outputs(names))
    expected = onnx.load(str(path))
    expected.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    assert merged == expected


# --- refusals ------------------------------------------------------------------------------------------------------


def test_a_layer_that_is_not_there_is_reported() -> None:
    shown = network("digits-lenet5", "int8")
    assert shown.layer(None) is shown.layers[0]
    with pytest.raises(RequestInvalid, match='no feature maps of a layer "conv9"'):
        shown.layer("conv9")


def test_a_model_without_a_layer_table_cannot_be_looked_into(tmp_path: Path) -> None:
    classifier = Classifier.load(load_card(write_model(tmp_path)), "fp32")
    with pytest.raises(UnknownModel, match="no layers whose feature maps"):
        MapNetwork.load(classifier)


def test_a_table_that_names_what_the_graph_lacks_is_not_a_reason_to_fail(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    write_layers(folder)
    table = json.loads((folder / "layers.json").read_text())
    table["layers"] = [{"name": "a", "operator": "Relu", "tensor": "nowhere", "main": True, "output": [1, 3, 8, 8]}]
    (folder / "layers.json").write_text(json.dumps(table))
    with pytest.raises(UnknownModel):
        MapNetwork.load(Classifier.load(load_card(folder), "fp32"))


def test_a_file_that_was_changed_meanwhile_is_not_opened(tmp_path: Path) -> None:
    path = lenet5().save(tmp_path / "net.onnx")
    with pytest.raises(ModelRejected, match="not the one its card describes"):
        open_session_with_outputs(path, "0" * 64, ["t0"])


# --- how -----------------------------------------------------------------------------------------------------------


def test_the_strongest_channels_come_in_their_own_order() -> None:
    values = np.zeros((5, 2, 2), np.float32)
    values[[1, 3, 4], 0, 0] = (2.0, -9.0, 1.0)
    assert strongest(values, 2) == [1, 3]
    assert strongest(values, 99) == [0, 1, 2, 3, 4]


def test_each_map_reaches_from_black_at_zero_to_white_at_its_highest() -> None:
    values = np.array([[[0.0, 1.0, 2.0]], [[0.0, 100.0, 200.0]], [[0.0, 0.0, 0.0]]], np.float32)
    tiles, zero = shades(values)
    assert zero == 0
    assert tiles[:, 0].tolist() == [[0, 128, 255], [0, 128, 255], [0, 0, 0]]


def test_with_both_signs_middle_grey_is_zero() -> None:
    tiles, zero = shades(np.array([[[-2.0, 0.0, 1.0]]], np.float32))
    assert (zero, tiles.tolist()) == (128, [[[1, 128, 192]]])


def test_large_maps_are_shrunk_and_keep_their_aspect() -> None:
    assert shades(np.ones((2, 224, 448), np.float32))[0].shape == (2, 56, 112)


def test_a_mosaic_places_its_tiles_row_by_row() -> None:
    tiles = np.arange(3, dtype=np.uint8).reshape(3, 1, 1)
    assert mosaic(tiles).tolist() == [[0, 1], [2, 255]]
    assert mosaic(tiles, scale=2, gap=1).shape == (7, 7)
    assert mosaic(tiles, scale=2, gap=1)[1, 4:6].tolist() == [1, 1]
