"""Graphs of many shapes: `add` and `inspect` never stumble, and what is added says what onnxruntime says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lookout.cli.model_add import AddModelOptions, add_model
from lookout.errors import ModelRejected
from lookout.inspection.layers_onnx import layer_table
from lookout.pipeline.classifier import Classifier
from lookout.pipeline.preprocess import new_tensor, preprocess
from onnx import TensorProto, helper, numpy_helper

# What may stand between the picture and the mean, and between the dense layer and the output.
INNER = ("relu", "conv", "pool", "turn", "turn back", "rows", "depth", "gelu", "normalise", "pad", "attend")
ENDINGS = ("", "softmax", "sigmoid", "cast", "identity", "four axes", "one axis", "clip", "map")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Any, int]:
    """A graph and how many numbers it gives, if it runs at all: some of these do not."""
    side, batch = draw(st.sampled_from([4, 9, 16])), draw(st.sampled_from([1, 1, 2, "n"]))
    classes = draw(st.sampled_from([1, 2, 3, 7]))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    stored: dict[str, Any] = {"W": rng.normal(0, 0.5, (4, 3, 3, 3)).astype(np.float32)}
    nodes = [helper.make_node("Conv", ["in", "W"], ["x0"], pads=[1, 1, 1, 1])]

    def add(kind: str, *more: str, **attributes: Any) -> None:
        nodes.append(helper.make_node(kind, [f"x{len(nodes) - 1}", *more], [f"x{len(nodes)}"], **attributes))

    def keep(value: Any) -> str:
        stored[f"k{len(stored)}"] = np.asarray(value)
        return f"k{len(stored) - 1}"

    for kind in draw(st.lists(st.sampled_from(INNER), max_size=5)):
        if kind == "relu":
            add("Relu")
        elif kind == "gelu":
            add("Erf")
        elif kind == "conv":
            add("Conv", keep(rng.normal(0, 0.5, (4, 4, 1, 1)).astype(np.float32)))
        elif kind == "pool":
            add("MaxPool", kernel_shape=[2, 2], ceil_mode=draw(st.integers(0, 1)))
        elif kind in ("turn", "turn back"):
            add("Transpose", perm=[0, 2, 3, 1] if kind == "turn" else [0, 3, 1, 2])
        elif kind == "rows":
            # The batch as exporters write it: a number, or 0 for "as it came".
            add("Reshape", keep(np.array([0 if batch == "n" else batch, 4, -1])))
        elif kind == "depth":
            add("Unsqueeze", keep(np.array([1])))
        elif kind == "normalise":
            add("LayerNormalization", keep(np.ones(1, np.float32)), axis=-1)
        elif kind == "pad":
            add("Pad", keep(np.array([0, 0, 1, 1, 0, 0, 1, 1])))
        else:
            add("MatMul", f"x{len(nodes) - 1}")
    add("ReduceMean", axes=[2, 3], keepdims=0) if draw(st.booleans()) else add("GlobalAveragePool")
    add("Flatten")
    add("Gemm", keep(rng.normal(0, 1, (4, classes)).astype(np.float32)))
    ending = draw(st.sampled_from(ENDINGS))
    if ending in ("softmax", "cast", "identity"):
        add("Softmax", axis=-1)
    if ending in ("cast", "identity"):
        add("Cast", to=TensorProto.FLOAT) if ending == "cast" else add("Identity")
    elif ending == "sigmoid":
        add("Sigmoid")
    elif ending == "clip":
        add("Clip", keep(np.float32(0)), keep(np.float32(1)))
    elif ending in ("four axes", "one axis", "map"):
        add("Reshape", keep(np.array({"four axes": [1, -1, 1, 1], "one axis": [-1], "map": [1, -1, 1, 2]}[ending])))
    made = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, [batch, 3, side, side])],
        [helper.make_tensor_value_info(f"x{len(nodes) - 1}", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), classes


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(made=graphs(), labels=st.sampled_from([0, 0, 0, 1]))
def test_any_graph_is_added_truly_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[Any, int], labels: int
) -> None:
    model, classes = made
    folder = tmp_path_factory.mktemp("graph")
    path = folder / "net.onnx"
    onnx.save(model, str(path))
    (folder / "labels.txt").write_text("\n".join(f"label {i}" for i in range(max(2, classes) + labels)))
    refusal, _ = tried(lambda: layer_table(path))
    assert refusal is None or (refusal.detail.endswith(".") and "\n" not in refusal.detail)
    options = AddModelOptions(path, folder / "labels.txt", ask=False)
    refusal, added = tried(lambda: add_model(options, folder / "models"))
    if refusal is not None:
        assert refusal.remedy.endswith(".")
        assert "models add" not in refusal.remedy, "that was just done"
        assert not list((folder / "models").glob("*"))
    else:
        assert_says_what_onnxruntime_says(added.card, path)


def tried(call: Callable[[], Any]) -> tuple[ModelRejected | None, Any]:
    try:
        return None, call()
    except ModelRejected as error:
        return error, None


def assert_says_what_onnxruntime_says(card: Any, path: Path) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    said = Classifier.load(card, "fp32").classify(pixels).probabilities
    tensor = new_tensor(card.input)
    preprocess(pixels, card.input, tensor)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    dims = session.get_inputs()[0].shape
    values = session.run(None, {"in": np.repeat(tensor, dims[0] if isinstance(dims[0], int) else 1, axis=0)})[0]
    pictures = dims[0] if isinstance(dims[0], int) else 1
    direct = np.asarray(values, np.float64).ravel()[: values.size // pictures]
    if card.outputs.logits:
        direct = 0.5 * (1 + np.tanh(direct / 2)) if direct.size == 1 else np.exp(direct - direct.max())
    if direct.size == 1:
        direct = np.array([1 - direct[0], direct[0]])
    np.testing.assert_allclose(said, direct / direct.sum(), atol=1e-5)
