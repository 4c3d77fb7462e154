"""A tiny model whose answers can be told in advance: red pictures are cats, green ones dogs, all others neither."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 32
ACTIVATION_MAP = "activation_map"
LABELS = [
    {"name": "cat", "title": "Cat"},
    {"name": "dog", "title": "Dog"},
    {"name": "neither", "title": "Neither", "reject": True},
]


def graph() -> onnx.ModelProto:
    """uint8 pixels in; logits, an embedding of three numbers and a map of 2 x 2 cells out; inside, the colours."""
    # Each colour against the mean of the two others, per unit of brightness; the third logit is a constant.
    weights = np.array([[0.1, -0.05, 0.0], [-0.05, 0.1, 0.0], [-0.05, -0.05, 0.0]], np.float32)
    stored = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.array([0, 0, 3], np.float32), "bias"),
        numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
    ]
    nodes = [
        helper.make_node("Cast", ["pixels"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values", "axes"], ["embedding"], keepdims=0),
        helper.make_node("Gemm", ["embedding", "weights", "bias"], ["logits"]),
        helper.make_node("Transpose", ["values"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Relu", ["planes"], ["bright"]),
        helper.make_node("AveragePool", ["planes"], [ACTIVATION_MAP], kernel_shape=[16, 16], strides=[16, 16]),
    ]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3]),
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 3]),
        helper.make_tensor_value_info(ACTIVATION_MAP, TensorProto.FLOAT, [1, 3, 2, 2]),
    ]
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, SIDE, SIDE, 3])]
    made = helper.make_graph(nodes, "colours", inputs, outputs, stored)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def write_model(folder: Path, name: str, **changes: Any) -> Path:
    """The model under this name, with its card changed as asked; returns its folder."""
    home = folder / name
    home.mkdir(parents=True)
    data = graph().SerializeToString()
    (home / "model.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    file = {"file": "model.onnx", "sha256": digest, "bytes": len(data)}
    card = {
        "schema": 1,
        "name": name,
        "version": "1",
        "title": "Colours",
        "labels": LABELS,
        "input": {"name": "pixels", "layout": "NHWC", "dtype": "uint8", "width": SIDE, "height": SIDE},
        "outputs": {"logits": "logits", "embedding": "embedding", "activation_map": ACTIVATION_MAP},
        "thresholds": {"cat": {"enter": 0.8, "leave": 0.6}},
        "files": {"fp32": file, "int8": file},
        "created": "2026-01-01T00:00:00Z",
        **changes,
    }
    (home / "card.json").write_text(json.dumps(card))
    layers = {
        "schema": "lookout-layers-1",
        "graph": {"file": "model.onnx", "sha256": digest},
        "layers": [
            {"name": "relu", "operator": "Relu", "output": [1, 3, SIDE, SIDE], "tensor": "bright", "main": True},
            {"name": "pool", "operator": "AveragePool", "output": [1, 3, 2, 2], "tensor": ACTIVATION_MAP, "main": True},
        ],
        "totals": {"parameters": 12, "multiply_adds": 9},
    }
    (home / "layers.json").write_text(json.dumps(layers))
    return home


def write_models(folder: Path) -> Path:
    """A folder with sound and broken models."""
    write_model(folder, "colours")
    others = write_model(folder, "others", title="Others")
    (others / "filters.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    write_model(folder, "misfit", labels=[*LABELS, {"name": "bird", "title": "Bird"}])
    stale = write_model(folder, "stale-layers")
    (stale / "layers.json").write_text('{"graph": {"sha256": "other"}}')
    text = write_model(folder, "text")
    (text / "model.onnx").write_text("this is no network")
    write_model(folder, "damaged")
    (folder / "damaged" / "card.json").write_text("{")
    return folder
