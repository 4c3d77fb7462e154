"""`lookout models add` measures a graph: networks as people export them go in, or are refused for a true reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from lookout.cli.normalisation import normalisation_of
from lookout.errors import ModelRejected
from lookout.inspection.onnx_graph import precision_of
from lookout.pipeline.card import load_card
from lookout.pipeline.classifier import Classifier
from lookout.pipeline.preprocess import new_tensor, preprocess
from lookout.registry.catalogue import Catalogue
from lookout.registry.graph_facts import GraphInput
from lookout.registry.installing import installed
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_static

from tests.cli.conftest import Run
from tests.models import save_with_weights_outside

SIDE = 16


def graph(ending: list[Any], out: list[int | str], *, batch: int | str = 1, side: int | str = SIDE, **more: Any) -> Any:
    """float32 NCHW: a convolution, its mean, a dense layer "y" of three numbers; then `ending`, that gives "out"."""
    rng = np.random.default_rng(5)
    numbers = more.pop("numbers", 3)
    stored = {
        "W": rng.normal(0, 0.5, (8, 3, 3, 3)),
        "G": rng.normal(0, 1.0, (8, numbers)),
        **more.pop("stored", {}),
    }
    nodes = [
        helper.make_node("Conv", ["in", "W"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["fl"]),
        helper.make_node("Gemm", ["fl", "G"], ["y"]),
        *ending,
    ]
    made = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("in", more.pop("dtype", TensorProto.FLOAT), [batch, 3, side, side])],
        more.pop("outputs", None) or [helper.make_tensor_value_info("out", TensorProto.FLOAT, out)],
        [
            numpy_helper.from_array(
                np.asarray(value, np.float32) if np.asarray(value).dtype.kind == "f" else value, name
            )
            for name, value in stored.items()
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


def node(kind: str, *names: str, **attributes: Any) -> Any:
    return helper.make_node(kind, list(names[:-1]), [names[-1]], **attributes)


@pytest.fixture
def add(lookout: Run, tmp_path: Path) -> Callable[..., Any]:
    """Adds a graph as "net" with these labels, asking nothing; returns what the command did."""

    def run(model: Any, *flags: object, labels: str = "cat\ndog\nneither\n", name: str = "net") -> Any:
        path = tmp_path / f"{name}.onnx"
        if isinstance(model, bytes):
            path.write_bytes(model)
        elif model is not None:
            onnx.save(model, str(path))
        (tmp_path / "labels.txt").write_text(labels, "utf-8")
        return lookout("models", "add", path, "--labels", tmp_path / "labels.txt", "--yes",
                       "--folder", tmp_path / "m", *flags)  # fmt: skip

    return run


def card_of(tmp_path: Path, name: str = "net") -> dict[str, Any]:
    made: dict[str, Any] = json.loads((tmp_path / "m" / name / "card.json").read_text())
    return made


def test_a_network_that_answers_otherwise_each_time_is_refused(add: Callable[..., Any], tmp_path: Path) -> None:
    """Exported in training mode, with noise or units dropped by chance: its answers to one picture differ."""
    done = add(graph([node("RandomNormalLike", "y", "noise"), node("Add", "y", "noise", "out")], [1, 3]))
    assert done.returncode == 3
    assert "differs from one run to the next" in done.stderr
    assert "model.eval()" in done.stderr
    assert not (tmp_path / "m").exists() or not list((tmp_path / "m").iterdir())


# --- two precisions -------------------------------------------------------------------------------------------------


def quantised(model: Any, folder: Path) -> Path:
    """The same network with 8-bit weights, as onnxruntime makes it."""
    rng = np.random.default_rng(3)
    fed = iter([{"in": rng.normal(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32)} for _ in range(8)])
    reader = SimpleNamespace(get_next=lambda: next(fed, None))
    onnx.save(model, str(folder / "float.onnx"))
    quantize_static(folder / "float.onnx", folder / "small.onnx", reader, weight_type=QuantType.QInt8)
    return folder / "small.onnx"


def test_one_network_is_added_in_two_precisions(add: Callable[..., Any], tmp_path: Path) -> None:
    model = graph([node("Identity", "y", "out")], [1, 3])
    done = add(model, "--also", quantised(model, tmp_path))
    assert done.returncode == 0, done.stderr
    assert "fp32 and int8 agree on " in done.stderr
    assert "Left out, since" in done.stderr, "the quantised one has no heat map"
    card = load_card(tmp_path / "m" / "net")
    assert card.precisions == ("fp32", "int8")
    grey = np.full((48, 64, 3), 90, np.uint8)
    float_, small = (Classifier.load(card, precision).classify(grey).probabilities for precision in card.precisions)
    assert np.allclose(float_, small, atol=0.3), "a random network, calibrated on eight pictures"
    assert not np.array_equal(float_, small)


def test_weights_kept_in_constants_have_their_precision(tmp_path: Path) -> None:
    """tf2onnx and others keep weights in nodes; such an int8 graph was called fp32."""
    model = onnx.load(quantised(graph([node("Identity", "y", "out")], [1, 3]), tmp_path))
    assert precision_of(model) == "int8"
    constants = [helper.make_node("Constant", [], [one.name], value=one) for one in model.graph.initializer]
    del model.graph.initializer[:]
    for constant in constants:
        model.graph.node.insert(0, constant)
    assert precision_of(model) == "int8"


def test_what_is_not_the_same_network_in_another_precision_is_refused(add: Callable[..., Any], tmp_path: Path) -> None:
    model = graph([node("Identity", "y", "out")], [1, 3])
    small = quantised(model, tmp_path)
    done = add(model, "--also", tmp_path / "float.onnx")
    assert done.returncode == 3
    assert "are both fp32" in done.stderr
    other = onnx.load(small)
    other.graph.output[0].name = other.graph.node[-1].output[0] = "else"
    onnx.save(other, str(tmp_path / "other.onnx"))
    done = add(model, "--also", tmp_path / "other.onnx")
    assert done.returncode == 3
    assert 'has no output "out"' in done.stderr
    assert not (tmp_path / "m" / "net").exists()


# --- what comes out -------------------------------------------------------------------------------------------------

PLAIN = [node("Identity", "y", "out")]
SOFTMAX = {
    "softmax": [node("Softmax", "y", "out", axis=1)],
    "cast": [node("Cast", "y", "h", to=TensorProto.FLOAT16), node("Softmax", "h", "s"), node("Cast", "s", "out", to=1)],
    "identity": [node("Softmax", "y", "s"), node("Identity", "s", "out")],
    "quantised": [
        node("Softmax", "y", "s"), node("QuantizeLinear", "s", "scale", "zero", "q"),
        node("DequantizeLinear", "q", "scale", "zero", "out"),
    ],
    "by hand": [
        node("ReduceMax", "y", "top", axes=[1]), node("Sub", "y", "top", "less"), node("Exp", "less", "e"),
        node("ReduceSum", "e", "axis", "sum"), node("Div", "e", "sum", "out"),
    ],
}  # fmt: skip
SIGMOIDS = {
    "by hand": [
        node("Neg", "y", "n"), node("Exp", "n", "e"), node("Add", "e", "one", "a"), node("Div", "one", "a", "out"),
    ],
    "by a tanh": [
        node("Mul", "y", "half", "h"), node("Tanh", "h", "t"), node("Add", "t", "one", "a"),
        node("Mul", "a", "half", "out"),
    ],
    "joined": [
        helper.make_node("Split", ["y"], ["a", "b", "c3"], axis=1),
        *(node("Sigmoid", one, f"s{one}") for one in ("a", "b", "c3")),
        node("Concat", "sa", "sb", "sc3", "out", axis=1),
    ],
    "rearranged": [node("Sigmoid", "y", "s"), node("Gather", "s", "order", "out", axis=1)],
}  # fmt: skip
STORED = {
    "scale": np.float32(1 / 255), "zero": np.uint8(0), "axis": np.array([1], np.int64), "one": np.float32(1),
    "half": np.float32(0.5), "hundred": np.float32(100), "three": np.array([3]), "order": np.array([2, 1, 0]),
}  # fmt: skip


@pytest.mark.parametrize("how", SOFTMAX)
def test_probabilities_are_known_whatever_stands_behind_the_softmax(
    add: Callable[..., Any], tmp_path: Path, how: str
) -> None:
    model = graph(SOFTMAX[how], [1, 3], stored=STORED)
    done = add(model)
    assert done.returncode == 0, done.stderr
    assert {"probabilities": "out"}.items() <= card_of(tmp_path)["outputs"].items()
    card = load_card(tmp_path / "m" / "net")
    pixels = np.random.default_rng(2).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    said = Classifier.load(card, "fp32").classify(pixels).probabilities
    tensor = new_tensor(card.input)
    preprocess(pixels, card.input, tensor)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    direct = session.run(["out"], {"in": tensor})[0].ravel()
    assert np.allclose(said, direct / direct.sum(), atol=1e-6)


def test_logits_get_their_softmax(add: Callable[..., Any], tmp_path: Path) -> None:
    done = add(graph(PLAIN, [1, 3]))
    assert {"logits": "out"}.items() <= card_of(tmp_path)["outputs"].items()
    assert '"out" gives logits' in done.stderr
    assert "It says " in done.stderr
    assert "of the demo's cat" in done.stderr
    assert "Assumed: the colours are red-green-blue" in done.stderr


@pytest.mark.parametrize(("labels", "names"), [("cat\ndog\n", ["cat", "dog"]), ("dog\n", ["no dog", "dog"])])
def test_one_sigmoid_is_the_chance_of_the_second_label(
    add: Callable[..., Any], tmp_path: Path, labels: str, names: list[str]
) -> None:
    done = add(graph([node("Sigmoid", "y", "out")], [1, 1], numbers=1), labels=labels)
    assert done.returncode == 0, done.stderr
    assert f'a high one means "{names[1]}"' in done.stderr
    assert [label["name"] for label in card_of(tmp_path)["labels"]] == names
    said = Classifier.load(load_card(tmp_path / "m" / "net"), "fp32").classify(np.full((9, 9, 3), 200, np.uint8))
    assert sum(said.probabilities) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ([node("Tanh", "y", "out")], "behind a tanh"),
        ([node("Sigmoid", "y", "s"), node("Mul", "s", "hundred", "out")], "is a probability, scaled"),
    ],
)
def test_one_number_that_is_neither_is_refused(add: Callable[..., Any], ending: list[Any], said: str) -> None:
    done = add(graph(ending, [1, 1], numbers=1, stored=STORED), labels="cat\ndog\n")
    assert done.returncode == 3
    assert said in done.stderr


def test_numbers_between_0_and_1_are_logits_if_the_user_says_so(add: Callable[..., Any], tmp_path: Path) -> None:
    assert add(graph(SIGMOIDS["by hand"], [1, 3], stored=STORED), "--ends-in", "logits").returncode == 0
    assert {"logits": "out"}.items() <= card_of(tmp_path)["outputs"].items()


def test_a_single_logit_gets_its_sigmoid(add: Callable[..., Any], tmp_path: Path) -> None:
    assert add(graph(PLAIN, [1, 1], numbers=1), labels="cat\ndog\n").returncode == 0
    assert {"logits": "out"}.items() <= card_of(tmp_path)["outputs"].items()


@pytest.mark.parametrize(
    ("ending", "flags", "said"),
    [
        ([node("Sigmoid", "y", "out")], [], "an independent probability for each label"),
        (PLAIN, ["--ends-in", "probabilities"], "contains no probabilities"),
        (SOFTMAX["identity"], ["--ends-in", "logits"], "contains probabilities, not logits"),
        (SIGMOIDS["by hand"], [], "an independent probability for each label"),
        (SIGMOIDS["by hand"], ["--ends-in", "probabilities"], "an independent probability for each label"),
        (SIGMOIDS["by a tanh"], [], "an independent probability for each label"),
        (SIGMOIDS["joined"], [], "--ends-in logits"),
        (SIGMOIDS["rearranged"], [], "an independent probability for each label"),
        ([node("Softmax", "y", "s"), node("Mul", "s", "hundred", "out")], [], "probabilities times 100"),
        ([node("Softmax", "y", "out", axis=0)], [], "does not run over the labels"),
        ([node("Tanh", "y", "out")], [], "behind a tanh"),
        ([helper.make_node("TopK", ["y", "three"], ["out", "places"])], [], "is sorted by size"),
        (PLAIN, ["--output", "nothing"], "It has: out"),
        (PLAIN, ["--mean", "0.485,0.456,0.406", "--std", "58,57,57"], "is for pixels from 0 to 1"),
        (PLAIN, ["--scale", "0.0039", "--mean", "123,116,103"], "is outside the range of pixels"),
        (PLAIN, ["--scale", "255"], "--scale 0.003922"),
        (PLAIN, ["--mean", "1,2"], "2 values for 3 channels"),
        (PLAIN, ["--color", "gray"], "three channels"),
        (PLAIN, ["--resize", "x"], "--resize"),
        (PLAIN, ["--shape", "1,3,99,99"], "contradicts"),
        (PLAIN, ["--reject", "bird"], "is not one of the labels"),
    ],
)  # fmt: skip
def test_what_contradicts_the_graph_is_refused(
    add: Callable[..., Any], tmp_path: Path, ending: list[Any], flags: list[str], said: str
) -> None:
    done = add(graph(ending, [1, 3], stored=STORED), *flags)
    assert done.returncode == 3
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "m").glob("*"))


# --- graphs as they are exported ------------------------------------------------------------------------------------


def _zip_map() -> Any:
    kind = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    )
    last = helper.make_node("ZipMap", ["s"], ["out"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2])
    outputs = [helper.make_value_info("out", kind)]
    made = graph([node("Softmax", "y", "s"), last], [1, 3], outputs=outputs)
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    return made


def _embedding_first() -> Any:
    return graph(
        PLAIN, [1, 3],
        outputs=[
            helper.make_tensor_value_info("fl", TensorProto.FLOAT, [1, 8]),
            helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3]),
        ],
    )  # fmt: skip


def _half_input() -> Any:
    made = graph(PLAIN, [1, 3], dtype=TensorProto.FLOAT16)
    made.graph.node.insert(0, node("Cast", "in", "in32", to=1))
    made.graph.node[1].input[0] = "in32"
    return made


AXES = {"a": np.array([2, 3])}
GRAPHS: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "[1, C, 1, 1]": (lambda: graph([node("Unsqueeze", "y", "a", "out")], [1, 3, 1, 1], stored=AXES), []),
    "[C]": (lambda: graph([node("Squeeze", "y", "a", "out")], [3], stored={"a": np.array([0])}), []),
    "list of maps": (_zip_map, []),
    "embedding first": (_embedding_first, []),
    "half precision at the input": (_half_input, []),
    "batch of four": (lambda: graph(PLAIN, [4, 3], batch=4), []),
    "open size": (lambda: graph(PLAIN, ["n", 3], batch="n", side="side"), ["--shape", f"1,3,{SIDE},{SIDE}"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", GRAPHS)
def test_graphs_as_people_export_them_can_be_added(add: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    make, flags = GRAPHS[kind]
    done = add(make(), *flags)
    assert done.returncode == 0, done.stderr
    table = json.loads((tmp_path / "m" / "net" / "layers.json").read_text())
    assert table["totals"]["parameters"] == 8 * 27 + 24
    assert table["input"]["shape"] == [1, 3, SIDE, SIDE]


def test_weights_in_another_file_are_joined(add: Callable[..., Any], tmp_path: Path) -> None:
    save_with_weights_outside(graph(PLAIN, [1, 3]), tmp_path / "net.onnx")
    done = add(None)
    assert done.returncode == 0, done.stderr
    assert "joined" in done.stderr
    shutil.rmtree(tmp_path / "m")
    (tmp_path / "weights.bin").rename(tmp_path / "elsewhere")
    assert "Put that file beside it." in add(None).stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n", "git lfs pull"),
        (b"PK\x03\x04archive/data.pkl", "torch.onnx.export"),
        (b"<!DOCTYPE html><html>404", "a web page"),
    ],
)
def test_what_is_not_an_onnx_file_is_named(add: Callable[..., Any], content: bytes, said: str) -> None:
    done = add(content)
    assert done.returncode == 3
    assert said in done.stderr


@pytest.mark.parametrize(("field", "said"), [("ir_version", "its ONNX IR version is 99"), ("opset", "its opset of ai")])
def test_a_format_that_is_too_new_is_reported(add: Callable[..., Any], field: str, said: str) -> None:
    made = graph(PLAIN, [1, 3])
    if field == "opset":
        made.opset_import[0].version = 99
    else:
        made.ir_version = 99
    assert said in add(made).stderr


def test_titles_are_for_people(add: Callable[..., Any], tmp_path: Path) -> None:
    """Keras lists "Egyptian_cat"; the name stays as it is."""
    assert add(graph(PLAIN, [1, 3]), labels="Egyptian_cat\ntiger_shark\nneither\n").returncode == 0
    labels = card_of(tmp_path)["labels"]
    assert [(label["name"], label["title"]) for label in labels[:2]] == [
        ("Egyptian_cat", "Egyptian cat"), ("tiger_shark", "Tiger shark"),
    ]  # fmt: skip


def test_labels_may_be_grouped(add: Callable[..., Any], tmp_path: Path) -> None:
    """Five of ImageNet's are cats; the rest is neither."""
    model = graph(PLAIN, [1, 6], numbers=6)
    labels = "tabby\ntiger cat\nlynx\npug\nboxer\ncup\n"
    done = add(model, "--group", "cat=tabby,tiger cat,2", "--group", "dog=3-4", labels=labels)
    assert done.returncode == 0, done.stderr
    card = load_card(tmp_path / "m" / "net")
    assert card.label_names == ("cat", "dog", "neither")
    pixels = np.random.default_rng(2).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    said = Classifier.load(card, "fp32").classify(pixels).probabilities
    add(model, "--name", "single", labels=labels)
    single = Classifier.load(load_card(tmp_path / "m" / "single"), "fp32").classify(pixels).probabilities
    assert said == pytest.approx((sum(single[:3]), sum(single[3:5]), single[5]))
    assert "Similar: tiger cat" in add(model, "--group", "cat=tiger", "--name", "other", labels=labels).stderr
    assert (
        "in two groups" in add(model, "--group", "a=0", "--group", "b=tabby", "--name", "other", labels=labels).stderr
    )


# --- heat maps ------------------------------------------------------------------------------------------------------


def _ends(kind: str) -> Any:
    """A dense layer behind the mean of the feature map "r", as exporters write it; all but the last are linear."""
    model = graph(SOFTMAX["softmax"], [1, 3], stored={"B": np.array([0.1, 0.2, 0.3]), "axes": np.array([1, 2])})
    nodes = {one.output[0]: one for one in model.graph.node}
    if kind == "labels x channels and a bias":
        turned = numpy_helper.to_array(model.graph.initializer[1]).T
        model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(turned), "G"))
        nodes["y"].CopyFrom(helper.make_node("Gemm", ["fl", "G", "B"], ["y"], transB=1))
    elif kind == "channels last, the bias apart":
        last = [node("Transpose", "r", "t", perm=[0, 2, 3, 1]), node("ReduceMean", "t", "p", axes=[1, 2], keepdims=0)]
        dense = [node("MatMul", "p", "G", "m"), node("Add", "m", "B", "y")]
        kept = [nodes["c"], nodes["r"], *last, *dense, nodes["out"]]
        del model.graph.node[:]
        model.graph.node.extend(kept)
    elif kind == "two dense layers":
        nodes["fl"].CopyFrom(node("Flatten", "p", "first"))
        model.graph.node.insert(4, node("Relu", "first", "fl"))
    return model


@pytest.mark.parametrize("kind", ["channels x labels", "labels x channels and a bias", "channels last, the bias apart"])
def test_a_dense_layer_behind_a_mean_makes_a_heat_map(add: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    done = add(_ends(kind))
    assert done.returncode == 0, done.stderr
    assert "a heat map was added" in done.stderr
    classifier = Classifier.load(load_card(tmp_path / "m" / "net"), "fp32")
    pixels = np.random.default_rng(2).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    said = classifier.classify(pixels, activation_map=True)
    assert said.activation_map is not None
    assert said.activation_map.shape == (3, SIDE // 2, SIDE // 2)
    bias = np.zeros(3) if kind == "channels x labels" else np.array([0.1, 0.2, 0.3])
    powers = np.exp(said.activation_map.mean(axis=(1, 2)) + bias)
    np.testing.assert_allclose(said.probabilities, powers / powers.sum(), atol=1e-4)


def test_a_network_that_ends_otherwise_has_no_heat_map(add: Callable[..., Any], tmp_path: Path) -> None:
    done = add(_ends("two dense layers"))
    assert done.returncode == 0, done.stderr
    assert "activation_map" not in card_of(tmp_path)["outputs"]
    assert (tmp_path / "m/net/net.onnx").read_bytes() == (tmp_path / "net.onnx").read_bytes()


# --- normalisation --------------------------------------------------------------------------------------------------

TAKEN = GraphInput("in", "float32", "NCHW", 3, SIDE, SIDE)


def test_mean_and_std_from_0_to_1_need_no_scale() -> None:
    made = normalisation_of(None, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], TAKEN)
    assert made.for_card("rgb") == {"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    assert "from 0 to 1" in made.understood


def test_means_follow_their_channels() -> None:
    given = normalisation_of(None, [123.7, 116.3, 103.5], [58.0, 57.0, 56.0], TAKEN).for_card("bgr")
    assert (given["mean"], given["std"]) == ([103.5, 116.3, 123.7], [56.0, 57.0, 58.0])
    usual = normalisation_of(None, None, None, TAKEN).choose("imagenet").for_card("bgr")
    assert usual["mean"] == [103.53, 116.28, 123.675]
    turned = normalisation_of(None, [104.0, 117.0, 123.0], None, TAKEN)
    assert turned.for_card("bgr")["mean"] == [104.0, 117.0, 123.0], "as for Caffe's networks"
    assert "blue first" in turned.understood_for("bgr")
    assert turned.for_card("rgb")["mean"] == [104.0, 117.0, 123.0]
    assert turned.understood_for("rgb") == ""


def test_a_graph_that_normalises_by_itself_gets_raw_pixels(add: Callable[..., Any], tmp_path: Path) -> None:
    made = graph(PLAIN, [1, 3], stored={"k": np.float32(1 / 255)})
    made.graph.node.insert(0, node("Mul", "in", "k", "scaled"))
    made.graph.node[1].input[0] = "scaled"
    assert add(made).returncode == 0
    assert (card_of(tmp_path)["input"]["scale"], card_of(tmp_path)["input"]["mean"]) == (1.0, [0.0, 0.0, 0.0])


# --- the folder -----------------------------------------------------------------------------------------------------


def test_an_add_that_is_killed_leaves_nothing_that_is_listed(tmp_path: Path, add: Callable[..., Any]) -> None:
    for name in (".net.999999999.new", ".net.999999998.old"):
        (tmp_path / "m" / name).mkdir(parents=True)
        (tmp_path / "m" / name / "card.json").write_text("{}")
    assert Catalogue([tmp_path / "m"]).names() == []
    assert Catalogue([tmp_path / "m"]).finds(".net.999999999.new") is None
    assert add(graph(PLAIN, [1, 3])).returncode == 0
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["net"], "what was left is swept"


def test_nothing_is_put_where_something_went_wrong(tmp_path: Path) -> None:
    def interrupted() -> None:
        with installed(tmp_path / "m" / "net") as beside:
            (beside / "card.json").write_text("{}")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "m").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelRejected, match="cannot be stored"), installed(tmp_path / "file" / "net"):
        pass


def test_an_added_model_can_be_removed_and_a_shipped_one_cannot(
    lookout: Run, add: Callable[..., Any], tmp_path: Path
) -> None:
    add(graph(PLAIN, [1, 3]))
    config = {"LOOKOUT_MODEL__FOLDER": str(tmp_path / "m")}
    assert (
        "is the one in the settings" in lookout("models", "remove", "net", LOOKOUT_MODEL__NAME="net", **config).stderr
    )
    assert lookout("models", "remove", "net", **config).returncode == 0
    assert list((tmp_path / "m").iterdir()) == []
    assert lookout("models", "remove", "net", **config).returncode == 3
    assert "came with Lookout" in lookout("models", "remove", "digits-lenet5").stderr
    assert lookout("models", "remove", "../m").returncode == 3
