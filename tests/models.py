"""Small models made on the spot: a graph whose answer anybody can work out, and a card that fits it.

The colour model says cat for red, dog for green and neither (a reject label) for blue: its logits are the mean of each
channel, times `GAIN`. So a wrong colour order, a wrong region or a wrong scale shows in its answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from lookout.pipeline.card import Card, load_card
from onnx import TensorProto, helper, numpy_helper

LABELS = ("cat", "dog", "neither")
GAIN = 0.05
SIDE = 96

RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # blue-green-red, as frames are


def picture(color: Sequence[int], width: int = 640, height: int = 480) -> np.ndarray:
    """A frame's pixels of one colour, given as blue, green, red."""
    return np.full((height, width, 3), color, np.uint8)


def colour_graph(side: int = SIDE, *, gain: float = GAIN, ends_in: str = "logits", batch: int | str = 1) -> Any:
    """uint8 NHWC in; logits (or probabilities), embedding and feature_map out."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["feature_map"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMean", ["feature_map"], ["embedding"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["embedding", "gain"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    outputs = {
        ends_in: [batch, 3],
        "embedding": [batch, 3],
        "feature_map": [batch, 3, side, side],
    }
    return model_of(
        nodes,
        helper.make_tensor_value_info("pixels", TensorProto.UINT8, [batch, side, side, 3]),
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        {"gain": np.float32(gain)},
    )


def model_of(nodes: list[Any], pixels: Any, outputs: list[Any], stored: Mapping[str, Any]) -> Any:
    """The parts of a graph as one model."""
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()]
    graph = helper.make_graph(nodes, "net", [pixels], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def card_of(name: str, files: Mapping[str, bytes], **changes: Any) -> dict[str, Any]:
    """The JSON of a card for the colour model; `changes` replace or, with None, remove keys."""
    card: dict[str, Any] = {
        "schema": 1,
        "name": name,
        "version": "1",
        "title": "Colours",
        "labels": [
            {"name": "cat", "title": "Cat"},
            {"name": "dog", "title": "Dog"},
            {"name": "neither", "title": "Neither", "reject": True},
        ],
        "input": {"name": "pixels", "layout": "NHWC", "dtype": "uint8", "width": SIDE, "height": SIDE},
        "outputs": {"logits": "logits", "embedding": "embedding", "feature_map": "feature_map"},
        "files": {
            precision: {
                "file": f"{precision}.onnx",
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": len(data),
            }
            for precision, data in files.items()
        },
        "created": "2026-05-01T00:00:00Z",
    }
    card.update(changes)
    return {key: value for key, value in card.items() if value is not None}


def write_model(folder: Path, name: str = "colours", graphs: Mapping[str, Any] | None = None, **changes: Any) -> Path:
    """A model's folder `folder/name` with card and graphs (models or bytes); returns it.

    graphs: one a precision, by default the colour graph as fp32. changes: keys of the card.
    """
    graphs = graphs if graphs is not None else {"fp32": colour_graph()}
    files = {
        precision: graph if isinstance(graph, bytes) else graph.SerializeToString()
        for precision, graph in graphs.items()
    }
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    for precision, data in files.items():
        (place / f"{precision}.onnx").write_bytes(data)
    (place / "card.json").write_text(json.dumps(card_of(name, files, **changes)))
    return place


def write_card(folder: Path, name: str = "colours", graphs: Mapping[str, Any] | None = None, **changes: Any) -> Card:
    """Like `write_model`; returns the card as the service reads it."""
    return load_card(write_model(folder, name, graphs, **changes))


def save_with_weights_outside(model: Any, path: Path) -> bytes:
    """The graph with its weights in a second file beside it, as large models are often exported."""
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path.read_bytes()


# --- the models of the API's tests ----------------------------------------------------------------------------------

SMALL_SIDE = 32
_ACTIVATION_MAP = "activation_map"
_SMALL_INPUT = {"name": "pixels", "layout": "NHWC", "dtype": "uint8", "width": SMALL_SIDE, "height": SMALL_SIDE}


def explaining_graph() -> Any:
    """Red is a cat, green a dog, everything else neither; with an embedding, a map of 2 x 2 cells, and a layer."""
    # Each colour against the mean of the two others, per unit of brightness; the third logit is a constant.
    weights = np.array([[0.1, -0.05, 0.0], [-0.05, 0.1, 0.0], [-0.05, -0.05, 0.0]], np.float32)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["embedding"], axes=[1, 2], keepdims=0),
        helper.make_node("Gemm", ["embedding", "weights", "bias"], ["logits"]),
        helper.make_node("Transpose", ["values"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Relu", ["planes"], ["bright"]),
        helper.make_node("AveragePool", ["planes"], [_ACTIVATION_MAP], kernel_shape=[16, 16], strides=[16, 16]),
    ]
    shapes = {"logits": [1, 3], "embedding": [1, 3], _ACTIVATION_MAP: [1, 3, 2, 2]}
    return model_of(
        nodes,
        helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, SMALL_SIDE, SMALL_SIDE, 3]),
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        {"weights": weights, "bias": np.array([0, 0, 3], np.float32)},
    )


def write_explaining_model(folder: Path, name: str, **changes: Any) -> Path:
    """A model's folder with that graph twice, its card and its layer table; returns it."""
    graph = explaining_graph().SerializeToString()
    card: dict[str, Any] = {
        "input": _SMALL_INPUT,
        "outputs": {"logits": "logits", "embedding": "embedding", "activation_map": _ACTIVATION_MAP},
        "thresholds": {"cat": {"enter": 0.8, "leave": 0.6}},
    }
    home = write_model(folder, name, {"fp32": graph, "int8": graph}, **card | changes)
    side, map_name = SMALL_SIDE, _ACTIVATION_MAP
    layers = {
        "schema": "lookout-layers-1",
        "graph": {"file": "fp32.onnx", "sha256": hashlib.sha256(graph).hexdigest()},
        "layers": [
            {"name": "relu", "operator": "Relu", "output": [1, 3, side, side], "tensor": "bright", "main": True},
            {"name": "pool", "operator": "AveragePool", "output": [1, 3, 2, 2], "tensor": map_name, "main": True},
        ],
        "totals": {"parameters": 12, "multiply_adds": 9},
    }
    (home / "layers.json").write_text(json.dumps(layers))
    return home


def write_sound_and_broken_models(folder: Path) -> Path:
    """A folder of models: two that are sound, and one for each thing that can be wrong."""
    colours = write_explaining_model(folder, "colours")
    (colours / "filters.json").write_text("[[[[0, 1, 0]]], [[[1, 0, -1]]]]")
    others = write_explaining_model(folder, "others", title="Others")
    (others / "filters.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    four = [{"name": label, "title": label.title()} for label in (*LABELS, "bird")]
    write_explaining_model(folder, "misfit", labels=four)
    stale = write_explaining_model(folder, "stale-layers")
    (stale / "layers.json").write_text('{"graph": {"sha256": "other"}}')
    odd = write_explaining_model(folder, "odd-layers")
    (odd / "layers.json").write_text((odd / "layers.json").read_text().replace('"parameters": 12', '"parameters": NaN'))
    text = write_explaining_model(folder, "text")
    for graph in text.glob("*.onnx"):
        graph.write_text("this is not a network")
    write_explaining_model(folder, "damaged")
    (folder / "damaged" / "card.json").write_text("{")
    shutil.copytree(folder / "damaged", folder / os.fsdecode(b"caf\xe9"))
    return folder
