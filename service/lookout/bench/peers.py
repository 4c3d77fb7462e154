"""Other runtimes for the same network, as far as they are installed."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from lookout.errors import ModelRejected
from lookout.inspection.onnx_graph import Graph, attribute, load_graph
from lookout.pipeline.card import Card
from lookout.pipeline.session import one_line

Run = Callable[[], object]
# The goals: the factor by which each must be beaten, if it was measured.
GOALS = {"OpenCV DNN": 1.2, "TorchScript": 1.4, "PyTorch eager": 2.5}
_OTHERS = "Measure the others: --only loop,live."


def plain_graph(card: Card, target: Path) -> tuple[Path, str, str]:
    """Write the card's fp32 graph as other runtimes need it: planar float32 pixels, float32 weights, only logits.

    Returns the file and the names of its input and output. Raises ModelRejected if there is no such graph.
    """
    if "fp32" not in card.files:
        raise ModelRejected(f'The model "{card.name}" has no fp32 graph to measure.', _OTHERS)
    model = load_graph(card.path("fp32"))
    graph = Graph.of(model, card.path("fp32"), None)
    kept = graph.needed_for(card.outputs.answer)
    first = next((node for node in graph.nodes if node.op_type == "Conv" and node.output[0] in kept), None)
    if first is None:
        raise ModelRejected(f'The graph of "{card.name}" has no convolution.', _OTHERS)
    pixels = first.input[0]
    behind = graph.needed_for(pixels)
    nodes = [node for node in graph.nodes if node.output[0] in kept and node.output[0] not in behind]
    weights = {name: _numbers(graph, name) for node in nodes for name in node.input if name in graph.constants}
    nodes = [node for node in nodes if not all(name in weights for name in node.output)]
    shape = (1, card.input.channels, card.input.height, card.input.width)
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            nodes,
            "plain",
            [onnx.helper.make_tensor_value_info(pixels, onnx.TensorProto.FLOAT, shape)],
            [onnx.helper.make_tensor_value_info(card.outputs.answer, onnx.TensorProto.FLOAT, (1, len(card.labels)))],
            [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
        ),
        opset_imports=list(model.opset_import),
        ir_version=model.ir_version,
    )
    onnx.save(made, str(target))
    return target, pixels, card.outputs.answer


def _numbers(graph: Graph, name: str) -> Any:
    """Return a constant's values as float32, even if they are stored as float16 before a Cast."""
    if name not in graph.stored and name in graph.makers and graph.makers[name].op_type == "Cast":
        return _numbers(graph, graph.makers[name].input[0]).astype(np.float32)
    if name not in graph.stored and name in graph.makers:
        return onnx.numpy_helper.to_array(attribute(graph.makers[name], "value", None))
    return onnx.numpy_helper.to_array(graph.stored[name])


def peers(graph: Path, pixels: Any) -> tuple[dict[str, Run], list[str]]:
    """Return what can run this graph here on one thread, and sentences about what cannot."""
    runs: dict[str, Run] = {}
    notes = []
    makers: dict[str, Callable[[Path, Any], dict[str, Run]]] = {"OpenCV DNN": _opencv}
    if importlib.util.find_spec("torch"):
        makers["PyTorch"] = _torch
    else:
        notes.append("PyTorch and TorchScript are not installed here.")
    for name, make in makers.items():
        try:
            made = make(graph, pixels)
            for run in made.values():
                run()
        except Exception as error:  # an unsupported operator, each in its own way
            notes.append(f"{name} does not run this network: {one_line(error)}.")
        else:
            runs |= made
    return runs, notes


def _opencv(graph: Path, pixels: Any) -> dict[str, Run]:
    import cv2

    cv2.setNumThreads(1)
    net = cv2.dnn.readNetFromONNX(str(graph))

    def run() -> object:
        net.setInput(pixels)
        return net.forward()

    return {"OpenCV DNN": run}


def _torch(graph: Path, pixels: Any) -> dict[str, Run]:
    torch = importlib.import_module("torch")

    torch.set_num_threads(1)
    network = _TorchNetwork(onnx.load(str(graph)).graph)
    example = torch.from_numpy(pixels.copy())
    with torch.no_grad(), warnings.catch_warnings():
        # TorchScript is deprecated, but people still use it to speed PyTorch up on a Pi.
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(network.module().eval(), example)))

    def eager() -> object:
        with torch.no_grad():
            return network(example)

    def scripted() -> object:
        with torch.no_grad():
            return script(example)

    return {"PyTorch eager": eager, "TorchScript": scripted}


class _TorchNetwork:
    """Runs the few operators of a residual network with PyTorch."""

    def __init__(self, graph: Any) -> None:
        torch = importlib.import_module("torch")

        self._weights = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in graph.initializer}
        self._nodes = [(node.op_type, list(node.input), node.output[0], _attributes(node)) for node in graph.node]
        self._input, self._output = graph.input[0].name, graph.output[0].name

    def module(self) -> Any:
        torch = importlib.import_module("torch")

        network = self

        class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
            def forward(self, pixels: Any) -> Any:
                return network(pixels)

        return Module()

    def __call__(self, pixels: Any) -> Any:
        values = {**self._weights, self._input: pixels}
        for operator, inputs, output, attributes in self._nodes:
            values[output] = _torch_node(operator, [values[name] for name in inputs], attributes)
        return values[self._output]


def _attributes(node: Any) -> dict[str, Any]:
    return {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}


def _torch_node(operator: str, inputs: list[Any], given: dict[str, Any]) -> Any:
    torch = importlib.import_module("torch")
    functional = torch.nn.functional

    match operator:
        case "Conv":
            return functional.conv2d(
                *inputs, stride=given["strides"], padding=given.get("pads", [0, 0])[:2], groups=given.get("group", 1)
            )
        case "Relu":
            return functional.relu(inputs[0])
        case "MaxPool":
            return functional.max_pool2d(inputs[0], given["kernel_shape"], given["strides"], given["pads"][:2])
        case "Add":
            return inputs[0] + inputs[1]
        case "GlobalAveragePool":
            return inputs[0].mean((2, 3), keepdim=True)
        case "Flatten":
            return torch.flatten(inputs[0], 1)
        case "Gemm":
            weight = inputs[1] if given.get("transB", 0) else inputs[1].t()
            return functional.linear(inputs[0], weight, inputs[2])
    raise ValueError(f"{operator} is not known here")
