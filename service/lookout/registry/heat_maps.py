"""Adds a heat map to a network that ends in the mean of its last feature map and one dense layer.

The dense layer weights the channels. The same weights, applied at each position of the feature map, show where the
answer comes from (class activation mapping). That is a 1 x 1 convolution with weights that the file already contains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from lookout.frame import Pixels
from lookout.inspection.onnx_graph import attribute
from lookout.pipeline.card import InputSpec
from lookout.pipeline.preprocess import new_tensor, preprocess
from lookout.pipeline.run_limit import run_limited
from lookout.pipeline.session import session_options
from lookout.registry.graph_file import GraphFile

ROLE = "activation_map"
# Larger graphs get no heat map, since the graph is copied to try it.
_MAX_BYTES = 2**29
_APPENDED_TO = ("initializer", "node", "output")
# Operators that may come between the dense layer and the answer, and between the mean and the dense layer.
_BEHIND = {"Softmax", "Sigmoid", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout", "Cast"}
_BETWEEN = _BEHIND - {"Softmax", "Sigmoid"}


@dataclass(frozen=True, slots=True)
class _Ending:
    """The end of such a network, by tensor names.

    features: the last feature map. weights: those of the dense layer. turned: whether they are labels x channels.
    dense: the layer's output, without the bias if that is added separately. channels_last: the feature map's layout.
    """

    features: str
    weights: str
    turned: bool
    dense: str
    channels_last: bool


def with_heat_map(file: GraphFile, output: str, labels: int, spec: InputSpec, pictures: Sequence[Pixels]) -> bool:
    """Add the output "activation_map", 1 x labels x height x width, if the graph is of this kind, and check it.

    output: the answer, of this many labels. Returns whether it was added; otherwise the graph is unchanged.
    """
    graph = file.model.graph
    names = {name for node in graph.node for name in (*node.input, *node.output)}
    if labels < 2 or ROLE in names or file.model.ByteSize() > _MAX_BYTES:
        return False
    ending = _ending_of(graph, output, labels)
    if ending is None:
        return False
    before = {part: len(getattr(graph, part)) for part in _APPENDED_TO}
    _append(graph, ending, labels)
    if not _is_correct(file.model, ending, spec, pictures):
        for part, length in before.items():  # a copy of the graph would be one of all its weights
            del getattr(graph, part)[length:]
        return False
    file.changes.append("a heat map was added behind its last feature map")
    return True


def _ending_of(graph: Any, output: str, labels: int) -> _Ending | None:
    makers = {name: node for node in graph.node for name in node.output}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    dense = _before(makers, output, _BEHIND)
    if dense is not None and dense.op_type == "Add" and any(name in stored for name in dense.input):
        dense = makers.get(next((name for name in dense.input if name not in stored), ""))
    if dense is None or dense.op_type not in ("Gemm", "MatMul") or dense.input[1] not in stored:
        return None
    plain = attribute(dense, "alpha", 1.0) == 1.0 and not attribute(dense, "transA", 0)
    weights, turned = stored[dense.input[1]], bool(attribute(dense, "transB", 0))
    sides = tuple(weights.dims)[::-1] if turned else tuple(weights.dims)
    if not plain or weights.data_type != TensorProto.FLOAT or len(sides) != 2 or sides[1] != labels:
        return None
    mean = _before(makers, dense.input[0], _BETWEEN)
    if mean is None:
        return None
    axes = _axes(mean, stored, makers)
    if axes not in ([1, 2], [2, 3]):
        return None
    return _Ending(mean.input[0], weights.name, turned, dense.output[0], axes == [1, 2])


def _before(makers: dict[str, Any], name: str, passed: set[str]) -> Any | None:
    """The node that computes a tensor, skipping the operators in `passed`."""
    for _ in range(len(makers) + 1):
        node = makers.get(name)
        if node is None or node.op_type not in passed:
            return node
        name = node.input[0]
    return None


def _axes(mean: Any, stored: dict[str, Any], makers: dict[str, Any]) -> list[int] | None:
    """The axes over which the mean is taken, 0 to 3; None if the node is not a mean."""
    if mean.op_type == "GlobalAveragePool":
        return [2, 3]
    if mean.op_type != "ReduceMean":
        return None
    axes = attribute(mean, "axes", None)
    if axes is None and len(mean.input) > 1:
        tensor = stored.get(mean.input[1])
        if tensor is None and mean.input[1] in makers:
            tensor = attribute(makers[mean.input[1]], "value", None)
        axes = None if tensor is None else onnx.numpy_helper.to_array(tensor).ravel().tolist()
    return None if axes is None else sorted(int(axis) % 4 for axis in axes)


def _append(graph: Any, ending: _Ending, labels: int) -> None:
    """Append the convolution and its output. Weights are transposed at load time, so the file hardly grows."""
    shape = onnx.numpy_helper.from_array(np.array([labels, -1, 1, 1], np.int64), f"{ROLE}.shape")
    graph.initializer.append(shape)
    weights, features = ending.weights, ending.features
    if not ending.turned:
        graph.node.append(helper.make_node("Transpose", [weights], [f"{ROLE}.turned"], perm=[1, 0]))
        weights = f"{ROLE}.turned"
    graph.node.append(helper.make_node("Reshape", [weights, shape.name], [f"{ROLE}.kernel"]))
    if ending.channels_last:
        graph.node.append(helper.make_node("Transpose", [features], [f"{ROLE}.features"], perm=[0, 3, 1, 2]))
        features = f"{ROLE}.features"
    graph.node.append(helper.make_node("Conv", [features, f"{ROLE}.kernel"], [ROLE], kernel_shape=[1, 1], name=ROLE))
    graph.output.append(helper.make_tensor_value_info(ROLE, TensorProto.FLOAT, None))


def _is_correct(model: Any, ending: _Ending, spec: InputSpec, pictures: Sequence[Pixels]) -> bool:
    """Whether the map's mean differs from the dense layer's output only by a bias, the same for all pictures."""
    try:
        data = _with_output(model, ending.dense)
        session = ort.InferenceSession(data, session_options(threads=1), providers=["CPUExecutionProvider"])
        del data
        biases, tensor = [], new_tensor(spec)
        for picture in pictures[-3:]:
            preprocess(picture, spec, tensor)
            heat, dense = run_limited(session, [ROLE, ending.dense], {spec.name: tensor})
            if heat.ndim != 4 or heat.shape[0] != 1 or not np.isfinite(heat).all():
                return False
            biases.append(dense.ravel() - heat.mean(axis=(2, 3)).ravel())
    except Exception:  # onnxruntime's errors have no common base class
        return False
    return all(np.allclose(bias, biases[0], rtol=1e-3, atol=1e-3) for bias in biases)


def _with_output(model: Any, name: str) -> bytes:
    """The serialised graph with one output more, if it does not have that one. The graph stays as it is."""
    outputs = model.graph.output
    if any(output.name == name for output in outputs):
        return bytes(model.SerializeToString())
    outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    try:
        return bytes(model.SerializeToString())
    finally:
        del outputs[-1]
