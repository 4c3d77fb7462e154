"""Export of a trained network to an ONNX graph, written node by node.

The usual exporters have heavy dependencies and invent names. The classifiers here consist of few kinds of layers, so
they are traced with ``torch.fx``, and each layer becomes one node with the layer's name (``layer1.0.conv1``). The layer
table, the dashboard and error messages then use the same names as the code.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from models.training.archs import Classifier
from models.training.archs.efficientnet_lite import SameConv2d
from models.training.archs.resnet import GlobalMean
from models.training.weights import fits_float16

OPSET = 17
IR_VERSION = 9  # readable by onnxruntime 1.16 and newer; a higher version would exclude older installations
INPUT, LOGITS, EMBEDDING, FEATURE_MAP, ACTIVATION_MAP = "pixels", "logits", "embedding", "feature_map", "activation_map"
NORMALISED = "input.normalised"


@dataclass(frozen=True)
class InputFormat:
    """The graph's input: uint8 [1, size, size, channels]. The graph itself computes (pixel - mean) / std."""

    size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


class _Outputs(nn.Module):
    """A classifier that also returns its embedding and feature map."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        feature_map = self.network.features(x)
        embedding = self.network.embed(feature_map)
        return self.network.head(embedding), embedding, feature_map


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (GlobalMean, SameConv2d)) or super().is_leaf_module(m, module_qualified_name)


def folded(network: Classifier) -> fx.GraphModule:
    """The network as it is served: BatchNorm folded into the convolutions, no Dropout, weights rounded to float16.

    Called with normalised pictures, it returns (logits, embedding, feature map), computed in float32 from the rounded
    weights. The exported graph must agree with it. It is a copy, so that the network can be trained further.
    """
    outputs = _Outputs(copy.deepcopy(network)).eval()
    graph = _Tracer().trace(outputs)
    module = fx.GraphModule(outputs, graph)
    layers = dict(module.named_modules())
    for node in list(graph.nodes):
        layer = layers.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(layer, nn.BatchNorm2d):
            source = node.args[0]
            convolution = layers[str(source.target)]
            if not isinstance(convolution, nn.Conv2d) or len(source.users) != 1:
                raise ValueError(f"{node.target} does not follow a convolution of its own")
            _absorb(convolution, layer)
        if isinstance(layer, (nn.BatchNorm2d, nn.Dropout, nn.Identity)):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    with torch.no_grad():
        for layer in layers.values():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.weight.copy_(_rounded(layer.weight))
    module.delete_all_unused_submodules()
    module.recompile()
    return module


def _rounded(weight: Tensor) -> Tensor:
    """Round to the nearest float16, unless a weight is too large for float16."""
    return weight.half().float() if fits_float16(weight.detach().numpy()) else weight


def _absorb(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )


@dataclass
class _Graph:
    """An ONNX graph under construction."""

    half: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    stored: list[TensorProto] = field(default_factory=list)

    def add(
        self, operator_type: str, inputs: Sequence[str], output: str, name: str | None = None, **attributes: Any
    ) -> str:
        self.nodes.append(helper.make_node(operator_type, list(inputs), [output], name or output, **attributes))
        return output

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.stored.append(numpy_helper.from_array(values, name))
        return name

    def weight(self, name: str, values: Tensor) -> str:
        """Store a weight; as float16 if it fits, with a Cast that is computed once when the graph is loaded."""
        array = values.detach().contiguous().numpy()
        if not self.half or not fits_float16(array):
            return self.constant(name, array)
        return self.add("Cast", [self.constant(f"{name}.half", array.astype(np.float16))], name, to=TensorProto.FLOAT)


def to_onnx(network: Classifier, form: InputFormat, *, half: bool = True, dynamic: bool = False) -> onnx.ModelProto:
    """Export the graph: uint8 NHWC ``pixels`` to logits, embedding, feature map and, if pooled, activation map.

    ``half`` stores weights as float16 (the arithmetic stays float32); ``dynamic`` leaves the batch size open. The
    network itself does not change.
    """
    pooled, head_name = network.pooled, f"network.{network.head_name}"
    module = folded(network)
    graph = _Graph(half)
    values: dict[fx.Node, str] = {}
    results: tuple[fx.Node, ...] = ()
    layers = dict(module.named_modules())
    for node in module.graph.nodes:
        sources = [values[arg] for arg in node.all_input_nodes] if node.op != "output" else []
        if node.op == "placeholder":
            values[node] = _normalise(graph, form)
        elif node.op == "call_module":
            name = str(node.target).removeprefix("network.")
            values[node] = _write(graph, name, layers[str(node.target)], sources)
        elif node.op == "call_function" and node.target is operator.add:
            values[node] = graph.add("Add", sources, node.name.removeprefix("network_"))
        elif node.op == "output":
            results = node.args[0]
        else:
            raise ValueError(f"this network cannot be exported: no ONNX node is known for {node.op} {node.target}")
    names = [LOGITS, EMBEDDING, FEATURE_MAP]
    for node, name in zip(results, names, strict=True):
        _rename(graph, values[node], name)
    if pooled:
        head = layers[head_name]
        assert isinstance(head, nn.Linear)
        _activation_map(graph, head_name.removeprefix("network."), head)
        names.append(ACTIVATION_MAP)
    return _model(graph, module, form, names, dynamic)


def _normalise(graph: _Graph, form: InputFormat) -> str:
    """uint8 NHWC -> normalised float NCHW. Transposing the uint8 values moves a quarter of the bytes of float32."""
    std = np.asarray(form.std, np.float32).reshape(1, -1, 1, 1)
    mean = graph.constant("input.mean", np.asarray(form.mean, np.float32).reshape(1, -1, 1, 1))
    graph.add("Transpose", [INPUT], "input.channels_first", perm=[0, 3, 1, 2])
    graph.add("Cast", ["input.channels_first"], "input.float", to=TensorProto.FLOAT)
    graph.add("Sub", ["input.float", mean], "input.centred")
    return graph.add("Div", ["input.centred", graph.constant("input.std", std)], NORMALISED)


Writer = Callable[[_Graph, str, Any, list[str]], str]


def _conv(graph: _Graph, name: str, layer: nn.Conv2d, sources: list[str]) -> str:
    inputs = [*sources, graph.weight(f"{name}.weight", layer.weight)]
    if layer.bias is not None:
        inputs.append(graph.constant(f"{name}.bias", layer.bias.detach().numpy()))
    (height, width), (top, left) = layer.kernel_size, (int(side) for side in layer.padding)
    # As in TensorFlow, uneven padding goes to the bottom right; the amount depends on the picture's size.
    padding = {"auto_pad": "SAME_UPPER"} if isinstance(layer, SameConv2d) else {"pads": [top, left, top, left]}
    return graph.add(
        "Conv",
        inputs,
        f"{name}.out",
        name,
        kernel_shape=[height, width],
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        group=layer.groups,
        **padding,
    )


def _linear(graph: _Graph, name: str, layer: nn.Linear, sources: list[str]) -> str:
    inputs = [*sources, graph.weight(f"{name}.weight", layer.weight)]
    inputs.append(graph.constant(f"{name}.bias", layer.bias.detach().numpy()))
    return graph.add("Gemm", inputs, f"{name}.out", name, transB=1)


def _max_pool(graph: _Graph, name: str, layer: nn.MaxPool2d, sources: list[str]) -> str:
    return graph.add("MaxPool", sources, f"{name}.out", name, **_window(layer.kernel_size, layer.stride, layer.padding))


def _average_pool(graph: _Graph, name: str, layer: nn.AvgPool2d, sources: list[str]) -> str:
    return graph.add(
        "AveragePool", sources, f"{name}.out", name, **_window(layer.kernel_size, layer.stride, layer.padding)
    )


def _global_mean(graph: _Graph, name: str, _: GlobalMean, sources: list[str]) -> str:
    graph.add("GlobalAveragePool", sources, f"{name}.mean", name)
    return graph.add("Flatten", [f"{name}.mean"], f"{name}.out", f"{name}.flatten")


def _flatten(graph: _Graph, name: str, _: nn.Flatten, sources: list[str]) -> str:
    return graph.add("Flatten", sources, f"{name}.out", name)


def _relu(graph: _Graph, name: str, _: nn.ReLU, sources: list[str]) -> str:
    return graph.add("Relu", sources, f"{name}.out", name)


def _relu6(graph: _Graph, name: str, _: nn.ReLU6, sources: list[str]) -> str:
    low, high = (
        graph.constant(f"{name}.{end}", np.array(value, np.float32)) for end, value in (("low", 0), ("high", 6))
    )
    return graph.add("Clip", [*sources, low, high], f"{name}.out", name)


def _tanh(graph: _Graph, name: str, _: nn.Tanh, sources: list[str]) -> str:
    return graph.add("Tanh", sources, f"{name}.out", name)


def _sigmoid(graph: _Graph, name: str, _: nn.Sigmoid, sources: list[str]) -> str:
    return graph.add("Sigmoid", sources, f"{name}.out", name)


def _local_response(graph: _Graph, name: str, layer: nn.LocalResponseNorm, sources: list[str]) -> str:
    means = {"size": layer.size, "alpha": layer.alpha, "beta": layer.beta, "bias": layer.k}
    return graph.add("LRN", sources, f"{name}.out", name, **means)


WRITERS: dict[type[nn.Module], Writer] = {
    nn.Conv2d: _conv,
    SameConv2d: _conv,
    nn.Linear: _linear,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _average_pool,
    GlobalMean: _global_mean,
    nn.Flatten: _flatten,
    nn.ReLU: _relu,
    nn.ReLU6: _relu6,
    nn.Tanh: _tanh,
    nn.Sigmoid: _sigmoid,
    nn.LocalResponseNorm: _local_response,
}


def _write(graph: _Graph, name: str, layer: nn.Module, sources: list[str]) -> str:
    return WRITERS[type(layer)](graph, name, layer, sources)


def _window(kernel: Any, stride: Any, padding: Any) -> dict[str, list[int]]:
    pairs = [[side, side] if isinstance(side, int) else list(side) for side in (kernel, stride, padding)]
    return {"kernel_shape": pairs[0], "strides": pairs[1], "pads": pairs[2] * 2}


def _activation_map(graph: _Graph, head_name: str, head: nn.Linear) -> None:
    """Apply the last layer to every position of the feature map; the mean over positions equals the logits."""
    shape = graph.constant("activation_map.shape", np.array([head.out_features, head.in_features, 1, 1], np.int64))
    graph.add("Reshape", [f"{head_name}.weight", shape], "activation_map.weight")
    graph.add(
        "Conv",
        [FEATURE_MAP, "activation_map.weight", f"{head_name}.bias"],
        ACTIVATION_MAP,
        kernel_shape=[1, 1],
        strides=[1, 1],
        pads=[0, 0, 0, 0],
    )


def _rename(graph: _Graph, old: str, new: str) -> None:
    for node in graph.nodes:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new


def _model(
    graph: _Graph, module: fx.GraphModule, form: InputFormat, names: list[str], dynamic: bool
) -> onnx.ModelProto:
    count: int | str = "n" if dynamic else 1
    with torch.no_grad():
        logits, embedding, feature_map = module(torch.zeros(1, form.channels, form.size, form.size))
    shapes: dict[str, list[int]] = {
        LOGITS: list(logits.shape[1:]),
        EMBEDDING: list(embedding.shape[1:]),
        FEATURE_MAP: list(feature_map.shape[1:]),
        ACTIVATION_MAP: [logits.shape[1], *feature_map.shape[2:]],
    }
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [count, form.size, form.size, form.channels])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [count, *shapes[name]]) for name in names]
    proto = helper.make_graph(graph.nodes, "classifier", [pixels], outputs, graph.stored)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name = "lookout"
    onnx.checker.check_model(model, full_check=True)
    return model
