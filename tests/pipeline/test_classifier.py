"""Networks: graphs of every usual shape go one way; one that does not match its card is refused in one sentence."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from lookout.errors import ModelRejected, UnknownModel
from lookout.geometry import Rect
from lookout.pipeline.card import Card
from lookout.pipeline.classifier import Classifier, softmax
from lookout.pipeline.preprocess import new_tensor, preprocess
from onnx import TensorProto, helper, numpy_helper

from tests.cli.graphs import Net, lenet5
from tests.models import BLUE, GAIN, GREEN, RED, card_of, colour_graph, model_of, picture, save_with_weights_outside
from tests.models import write_card as written

USUAL_INPUT = {"name": "pixels", "layout": "NHWC", "dtype": "uint8", "width": 96, "height": 96}


def loaded(tmp_path: Path, graph: Any = None, **changes: Any) -> Classifier:
    return Classifier.load(written(tmp_path, graphs={"fp32": graph or colour_graph()}, **changes), "fp32")


def refusal(card: Card) -> str:
    """The sentence with which the graph is refused; every refusal has a remedy."""
    with pytest.raises(ModelRejected) as caught:
        Classifier.load(card, "fp32")
    assert caught.value.remedy.endswith(".")
    assert "\n" not in caught.value.detail
    return caught.value.detail


def refusal_of(tmp_path: Path, graph: Any = None, **changes: Any) -> str:
    return refusal(written(tmp_path, graphs={"fp32": graph or colour_graph()}, **changes))


def ends_in(nodes: list[Any], shape: list[int | str], stored: dict[str, Any] | None = None) -> Any:
    """A graph that takes the mean of each channel, called "means" (1 x 3), and ends in these nodes' "logits"."""
    return model_of(
        [
            helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["float"], ["means"], axes=[1, 2], keepdims=0),
            *nodes,
        ],
        helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 96, 96, 3]),
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        stored or {},
    )


LOGITS_ALONE = {"logits": "logits"}


# --- what it says of a picture ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("color", "place"), [(RED, 0), (GREEN, 1), (BLUE, 2)])
def test_a_coloured_card_is_recognised_by_its_colour(tmp_path: Path, color: tuple[int, int, int], place: int) -> None:
    prediction = loaded(tmp_path).classify(picture(color))
    assert int(np.argmax(prediction.probabilities)) == place
    assert sum(prediction.probabilities) == pytest.approx(1.0)
    assert prediction.probabilities[place] == pytest.approx(1 / (1 + 2 * math.exp(-255 * GAIN)), rel=1e-4)


def test_only_the_region_counts_and_what_was_seen_is_reported(tmp_path: Path) -> None:
    pixels = picture(RED)
    pixels[:, 320:] = GREEN
    prediction = loaded(tmp_path).classify(pixels, Rect(0.5, 0.0, 0.5, 1.0))
    assert prediction.probabilities[1] > 0.99
    assert (prediction.seen.x, prediction.seen.width) == (0.5, 0.5)


def test_the_temperature_of_the_precision_softens_the_probabilities(tmp_path: Path) -> None:
    calibration = {"fp32": {"temperature": 4.0}}
    soft = loaded(tmp_path, colour_graph(gain=0.02), calibration=calibration).classify(picture(RED)).probabilities
    assert soft[0] == pytest.approx(1 / (1 + 2 * math.exp(-255 * 0.02 / 4.0)), rel=1e-4)


def test_a_graph_that_ends_in_probabilities_is_taken_at_its_word(tmp_path: Path) -> None:
    graph = colour_graph(gain=0.02, ends_in="probabilities")
    calibration = {"fp32": {"temperature": 4.0}}
    classifier = loaded(tmp_path, graph, outputs={"probabilities": "probabilities"}, calibration=calibration)
    assert classifier.classify(picture(RED)).probabilities[0] == pytest.approx(1 / (1 + 2 * math.exp(-5.1)), rel=1e-4)


def test_further_outputs_come_when_asked_for_and_offered(tmp_path: Path) -> None:
    classifier = loaded(tmp_path)
    plain = classifier.classify(picture(RED))
    assert (plain.embedding, plain.feature_map, plain.activation_map) == (None, None, None)
    rich = classifier.classify(picture(RED), embedding=True, feature_map=True, activation_map=True)
    assert rich.embedding is not None
    assert rich.embedding.tolist() == [255.0, 0.0, 0.0]
    assert rich.feature_map is not None
    assert rich.feature_map.shape == (3, 96, 96)
    assert rich.activation_map is None, "this graph has none"


def test_the_time_of_each_stage_is_reported(tmp_path: Path) -> None:
    timing = loaded(tmp_path).classify(picture(RED)).timing
    assert min(timing.preprocess_ms, timing.inference_ms, timing.postprocess_ms) > 0.0


def test_any_number_of_threads_may_ask_at_once(tmp_path: Path) -> None:
    classifier = loaded(tmp_path)
    colors = [RED, GREEN, BLUE] * 40
    with ThreadPoolExecutor(8) as pool:
        reported = list(pool.map(lambda color: classifier.classify(picture(color)).probabilities, colors))
    assert [int(np.argmax(probabilities)) for probabilities in reported] == [0, 1, 2] * 40


def test_a_batch_of_any_size_is_fine(tmp_path: Path) -> None:
    assert loaded(tmp_path, colour_graph(batch="N")).classify(picture(RED)).probabilities[0] > 0.99


# --- graphs of other people -------------------------------------------------------------------------------------


def alexnet_shaped() -> Net:
    """AlexNet's layers with an eighth of its channels."""
    net = Net(3, 224, 224)
    net.conv(8, 11, 4, 2), net.relu(), net.pool("MaxPool", 3, 2)
    net.conv(24, 5, 1, 2), net.relu(), net.pool("MaxPool", 3, 2)
    for out in (48, 32, 32):
        net.conv(out, 3, 1, 1), net.relu()
    net.pool("MaxPool", 3, 2), net.node("Flatten", [net.at])
    net.linear(32 * 36, 64), net.relu(), net.linear(64, 64), net.relu(), net.linear(64, 10)
    return net


def resnet50_shaped() -> Net:
    """ResNet-50's first blocks of each stage with an eighth of its channels: bottlenecks with shortcuts."""
    net = Net(3, 96, 96, batch="N")
    net.conv(8, 7, 2, 3, bias=False), net.batch_norm(), net.relu(), net.pool("MaxPool", 3, 2, 1)
    for stage, width in enumerate((8, 16, 32, 64)):
        start, channels = net.at, net.channels
        stride = 1 if stage == 0 else 2
        net.conv(width, 1, bias=False), net.batch_norm(), net.relu()
        net.conv(width, 3, stride, 1, bias=False), net.batch_norm(), net.relu()
        net.conv(4 * width, 1, bias=False), net.batch_norm()
        end, net.at, net.channels = net.at, start, channels
        net.conv(4 * width, 1, stride, bias=False), net.batch_norm()
        net.node("Add", [end, net.at]), net.relu()
    net.node("GlobalAveragePool", [net.at]), net.node("Flatten", [net.at]), net.linear(net.channels, 10)
    return net


def with_random_weights(net: Net) -> Any:
    rng = np.random.default_rng(1)
    model = net.model()
    for weight in model.graph.initializer:
        fan_in = max(1, int(np.prod(weight.dims[1:])))
        values = rng.uniform(0.1, 1.0, weight.dims) * rng.choice([-1, 1] if len(weight.dims) > 1 else [1], weight.dims)
        weight.CopyFrom(numpy_helper.from_array((values / math.sqrt(fan_in)).astype(np.float32), weight.name))
    return model


@pytest.mark.parametrize(
    ("net", "changes"),
    [
        (lenet5, {"width": 32, "height": 32, "color": "gray", "scale": 1 / 255, "mean": [0.1307], "std": [0.3081]}),
        (alexnet_shaped, {"width": 224, "height": 224, "scale": 1 / 255, "mean": [0.485, 0.456, 0.406]}),
        (resnet50_shaped, {"color": "bgr", "mean": [104.0, 117.0, 123.0], "resize": "squash"}),
    ],
)
def test_lenet_alexnet_and_resnet50_go_the_same_way(tmp_path: Path, net: Any, changes: dict[str, Any]) -> None:
    """Float NCHW, normalised by the card; the same numbers as from onnxruntime fed by hand."""
    graph, made = with_random_weights(net()), net()
    labels = [{"name": f"class {i}", "title": f"Class {i}"} for i in range(10)]
    spec = USUAL_INPUT | {"layout": "NCHW", "dtype": "float32"} | changes
    card = written(tmp_path, graphs={"fp32": graph}, input=spec, outputs={"logits": made.at}, labels=labels)
    pixels = np.random.default_rng(2).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    reported = Classifier.load(card, "fp32").classify(pixels).probabilities
    tensor = new_tensor(card.input)
    preprocess(pixels, card.input, tensor)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    logits = session.run(None, {"pixels": tensor})[0][0].astype(np.float64)
    assert np.ptp(logits) > 0.01, "the weights make a difference"
    np.testing.assert_allclose(reported, np.exp(logits) / np.exp(logits).sum(), rtol=1e-4)


# --- what does not fit ------------------------------------------------------------------------------------------


def test_a_precision_the_card_lacks_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match='no precision "int8"') as caught:
        Classifier.load(written(tmp_path), "int8")
    assert "fp32" in caught.value.remedy


def test_a_missing_file_is_reported_as_missing(tmp_path: Path) -> None:
    card = written(tmp_path)
    card.path("fp32").unlink()
    assert "cannot be read (No such file or directory)" in refusal(card)


def test_a_file_other_than_the_cards_is_refused(tmp_path: Path) -> None:
    card = written(tmp_path)
    card.path("fp32").write_bytes(colour_graph(gain=0.1).SerializeToString())
    assert "is not the one its card describes" in refusal(card)


@pytest.mark.parametrize("content", [b"cat\ndog\nneither\n", b"\x00" * 1000, b"{}"])
def test_a_text_file_as_a_model_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "is not an ONNX graph that can run here" in refusal_of(tmp_path, content)


def test_half_a_graph_is_refused(tmp_path: Path) -> None:
    whole = colour_graph().SerializeToString()
    assert "is not an ONNX graph that can run here" in refusal_of(tmp_path, whole[: len(whole) // 2])


@pytest.mark.parametrize("beside", [True, False], ids=["run from the model's folder", "run from elsewhere"])
def test_weights_outside_the_file_are_refused_wherever_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    data = save_with_weights_outside(colour_graph(), tmp_path / "whole.onnx")
    card = written(tmp_path, graphs={"fp32": data})
    (tmp_path / "weights.bin").replace(card.folder / "weights.bin")
    monkeypatch.chdir(card.folder if beside else tmp_path)
    assert "is not an ONNX graph that can run here" in refusal(card)


def test_the_wrong_number_of_labels_is_refused(tmp_path: Path) -> None:
    two = card_of("x", {})["labels"][:2]
    assert "it gives 1 x 3 values, the card lists 2 labels" in refusal_of(tmp_path, labels=two)


def test_the_wrong_number_of_labels_is_found_out_even_if_the_graph_does_not_tell(tmp_path: Path) -> None:
    graph = ends_in([helper.make_node("Identity", ["means"], ["logits"])], [1, "classes"])
    graph.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "channels"
    two = card_of("x", {})["labels"][:2]
    assert "it gives 3 values, the card lists 2 labels" in refusal_of(tmp_path, graph, labels=two, outputs=LOGITS_ALONE)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"name": "image"}, 'its input is called "pixels", the card says "image"'),
        ({"dtype": "float32"}, "its input is tensor(uint8), the card says float32"),
        ({"width": 64}, "its input is 1 x 96 x 96 x 3, the card says 1 x 96 x 64 x 3"),
        ({"layout": "NCHW"}, "its input is 1 x 96 x 96 x 3, the card says 1 x 3 x 96 x 96"),
        ({"color": "gray"}, "its input is 1 x 96 x 96 x 3, the card says 1 x 96 x 96 x 1"),
    ],
)
def test_an_input_other_than_the_cards_is_refused(tmp_path: Path, changes: dict[str, Any], difference: str) -> None:
    assert difference in refusal_of(tmp_path, input=USUAL_INPUT | changes)


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    graph = colour_graph()
    graph.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    assert "the graph has 2 inputs" in refusal_of(tmp_path, graph)


@pytest.mark.parametrize("role", ["logits", "embedding", "feature_map", "activation_map"])
def test_an_output_that_the_graph_lacks_is_refused(tmp_path: Path, role: str) -> None:
    outputs = {"logits": "logits"} | {role: "nothing"}
    assert f'it has no output "nothing", which the card calls its {role}' in refusal_of(tmp_path, outputs=outputs)


def test_a_graph_that_answers_with_no_number_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Sub", ["means", "means"], ["zero"]),
        helper.make_node("Div", ["zero", "zero"], ["logits"]),
    ]
    detail = refusal_of(tmp_path, ends_in(nodes, [1, 3]), outputs=LOGITS_ALONE)
    assert detail.endswith('"colours" does not match its card: its output is not finite (NaN or infinity).')


def test_probabilities_that_are_none_are_refused(tmp_path: Path) -> None:
    graph = ends_in([helper.make_node("Identity", ["means"], ["logits"])], [1, 3])
    detail = refusal_of(tmp_path, graph, outputs={"probabilities": "logits"})
    assert "its output contains no probabilities that add up to 1" in detail


def test_a_graph_that_loads_but_does_not_run_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["float", "shape"], ["logits"])]
    graph = ends_in(nodes, [1, 3], {"shape": np.array([1, 3], np.int64)})
    graph.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "height"
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "classes"
    assert "fails on a picture: Reshape: " in refusal_of(tmp_path, graph, outputs=LOGITS_ALONE)


def test_a_picture_that_ends_in_no_number_is_an_error_and_no_prediction(tmp_path: Path) -> None:
    """Grey passes the check at load; the logarithm of a black picture's negative mean does not."""
    nodes = [
        helper.make_node("Sub", ["means", "one"], ["less"]),
        helper.make_node("Log", ["less"], ["logits"]),
    ]
    classifier = loaded(tmp_path, ends_in(nodes, [1, 3], {"one": np.float32(1)}), outputs=LOGITS_ALONE)
    with pytest.raises(ModelRejected, match="not finite"):
        classifier.classify(picture((0, 0, 0)))


# --- softmax ----------------------------------------------------------------------------------------------------


def test_softmax_is_the_textbooks() -> None:
    logits = [1.0, 2.0, 4.0]
    powers = np.exp(np.array(logits) / 1.5)
    assert softmax(logits, 1.5) == pytest.approx(powers / powers.sum())


def test_softmax_does_not_overflow() -> None:
    assert softmax([1e6, -1e6, 0.0]) == (1.0, 0.0, 0.0)
