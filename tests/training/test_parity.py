"""What training evaluates is what the service sees, and the exported graph computes what PyTorch computes."""

from __future__ import annotations

import json
import struct
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")

import torch
from lookout.geometry import WHOLE
from lookout.inspection.feature_maps import MapNetwork
from lookout.pipeline.card import InputSpec
from lookout.pipeline.classifier import Classifier
from lookout.pipeline.preprocess import new_tensor, preprocess

from models.training.archs import build
from models.training.augment import centre_square, cut
from models.training.card import Description, write_model
from models.training.data import decode
from models.training.export import PARITY, parity
from models.training.onnx_graph import InputFormat, folded, to_onnx
from models.training.recipe import Recipe, load_weights, save_weights
from models.training.train import IMAGENET_MEAN, IMAGENET_STD, Normalise
from models.training.weights import read_safetensors
from tests.training.networks import lively
from tests.training.pictures import encoded, scene

FORM = InputFormat(96, 3, IMAGENET_MEAN, IMAGENET_STD)
SPEC = InputSpec(name="pixels", layout="NHWC", dtype="uint8", width=96, height=96)
# Height and width; no larger than training keeps them, so that both see the same pixels.
SIZES = [
    (128, 128),
    (128, 170),
    (170, 128),
    (128, 300),
    (96, 96),
    (97, 131),
    (64, 64),
    (50, 90),
    (128, 129),
    (127, 255),
]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_training_and_service_make_the_same_tensor_of_a_jpeg(height: int, width: int) -> None:
    data = encoded(cv2.GaussianBlur(scene("cat", height + width, height, width), (0, 0), 1.0))
    picture = decode(data)
    assert picture is not None
    trained = cut(picture, centre_square(*picture.shape[:2]), 96)
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    served = new_tensor(SPEC)
    preprocess(np.asarray(frame, np.uint8), SPEC, served)
    # Before normalising both are whole levels of 0..255: closer than one level means equal.
    assert np.abs(trained.astype(int) - served[0].astype(int)).max() < 1


class _EveryLayer(torch.fx.Interpreter):
    """Keeps what each layer puts out, by its name in the exported graph."""

    def __init__(self, network: torch.fx.GraphModule) -> None:
        super().__init__(network)
        self.values: dict[str, NDArray[np.float32]] = {}

    def run_node(self, n: torch.fx.Node) -> Any:
        value = super().run_node(n)
        if n.op == "call_module":
            self.values[str(n.target).removeprefix("network.")] = value[0].numpy()
        return value


@pytest.mark.parametrize(
    ("arch", "size"), [("resnet18", 96), ("resnet50", 64), ("alexnet", 96), ("lenet5", 32), ("efficientnet-lite0", 97)]
)
def test_the_graph_and_every_map_that_is_shown_of_it_agree_with_pytorch(arch: str, size: int, tmp_path: Path) -> None:
    network = lively(arch, size=size)
    form = InputFormat(size, 3, IMAGENET_MEAN, IMAGENET_STD)
    pixels = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), np.uint8)
    graph = to_onnx(network, form)
    assert parity(network, graph, form, pixels) <= PARITY

    card = write_model(tmp_path / "net", {"fp32": graph}, ("a", "b", "c"), form, Description("net", "Net", "", "", ""))
    shown = MapNetwork.load(Classifier.load(card, "fp32"))
    expected = _EveryLayer(folded(network))
    with torch.inference_mode():
        expected.run(Normalise()(pixels[:1]))
    picture = np.ascontiguousarray(pixels[0, :, :, ::-1])  # as a camera has it
    assert len(shown.layers) >= 4
    for layer in shown.layers:
        assert np.abs(shown.look(picture, WHOLE, layer).values - expected.values[layer.name]).max() < PARITY, layer
        one = shown.look_at(picture, WHOLE, layer, layer.channels - 1)
        assert np.abs(one.after - expected.values[layer.name][-1]).max() < PARITY, layer
        if layer.operator == "Relu":
            assert one.before is not None
            assert np.array_equal(one.after, np.maximum(one.before, 0)), layer


def test_folding_changes_no_answer_beyond_the_rounding_of_the_weights() -> None:
    network = lively("resnet18")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3), np.uint8)
    x = Normalise()(pixels)
    with torch.inference_mode():
        plain, served = network(x), folded(network)(x)[0]
    assert torch.allclose(plain, served, rtol=0.01, atol=0.01 * plain.abs().max().item())


def test_the_folded_network_carries_the_weights_as_they_are_stored() -> None:
    for name, value in folded(lively("resnet18")).named_parameters():
        if name.endswith("weight"):
            assert torch.equal(value, value.half().float()), name


def test_exporting_leaves_the_network_as_it_was() -> None:
    network = lively("resnet18")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    to_onnx(network, FORM)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_activation_maps_mean_is_the_logits() -> None:
    import onnxruntime as ort

    graph = to_onnx(lively("resnet18"), FORM)
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), np.uint8)
    names = ["logits", "embedding", "feature_map", "activation_map"]
    logits, embedding, feature_map, activation_map = session.run(names, {"pixels": pixels})
    assert embedding.shape == (1, 512)
    assert feature_map.shape == (1, 512, 3, 3)
    assert activation_map.shape == (1, 3, 3, 3)
    assert np.allclose(activation_map.mean((2, 3)), logits, atol=1e-4)
    assert np.allclose(feature_map.mean((2, 3)), embedding, atol=1e-4)


def test_a_graph_with_an_open_number_of_pictures_answers_each_as_by_itself() -> None:
    import onnxruntime as ort

    network = lively("resnet18")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), np.uint8)
    many, one = (
        ort.InferenceSession(
            to_onnx(network, FORM, dynamic=dynamic).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        for dynamic in (True, False)
    )
    together = many.run(["logits"], {"pixels": pixels})[0]
    alone = np.concatenate([one.run(["logits"], {"pixels": picture[None]})[0] for picture in pixels])
    assert np.allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e5])
def test_a_network_of_nan_is_not_exported_and_one_with_large_weights_is(value: float) -> None:
    network = lively("resnet18", 3, 96)
    with torch.no_grad():
        network.head.weight[0, 0] = value
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        difference = parity(network, to_onnx(network, FORM), FORM, pixels)
    assert difference < 1 if value == 1e5 else difference == float("inf")


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0")
    with pytest.raises(ValueError, match="BF16"):
        read_safetensors(tmp_path / "w.safetensors")


def test_a_stored_number_too_large_for_float16_is_kept(tmp_path: Path) -> None:
    network = build("resnet18", 3)
    network.state_dict()["bn1.running_var"][5] = 90_000.0
    save_weights(tmp_path / "w.safetensors", network, Recipe("resnet18", ("a", "b", "c"), FORM))
    assert float(load_weights(tmp_path / "w.safetensors")[0].state_dict()["bn1.running_var"][5]) == 90_000.0


def test_stored_weights_bring_their_recipe_and_round_trip(tmp_path: Path) -> None:
    network = lively("lenet5", 1, 32)
    recipe = Recipe("lenet5", ("a", "b", "c"), InputFormat(32, 1, (127.5,), (127.5,)))
    save_weights(tmp_path / "w.safetensors", network, recipe)
    loaded, reported = load_weights(tmp_path / "w.safetensors")
    assert reported == recipe
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, network.state_dict()[name].half().float())
    (tmp_path / "w.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(ValueError, match="safetensors"):
        load_weights(tmp_path / "w.safetensors")
