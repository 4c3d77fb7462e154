"""Builds the well-known networks as ONNX graphs, with weights of zeros: their arithmetic is what is tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """Adds one layer after the other; `at` is the name of the newest tensor, `channels` how many it has."""

    def __init__(self, channels: int, height: int, width: int, batch: int | str = 1) -> None:
        self.nodes: list[Any] = []
        self.stored: list[Any] = []
        self.channels, self.at = channels, "pixels"
        self.input = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, channels, height, width])

    def store(self, shape: tuple[int, ...], dtype: Any = np.float32) -> str:
        name = f"w{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.zeros(shape, dtype), name))
        return name

    def integers(self, *values: int) -> str:
        name = f"w{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def node(self, operator: str, inputs: list[str], name: str = "", **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name or output, **attributes))
        self.at = output
        return output

    def conv(
        self, out: int, kernel: Any, stride: Any = 1, padding: Any = 0, bias: bool = True, groups: int = 1,
        dilation: int = 1, weight: str = "", **more: Any,
    ) -> str:  # fmt: skip
        kh, kw = _pair(kernel)
        weight = weight or self.store((out, self.channels // groups, kh, kw))
        inputs = [self.at, weight] + ([self.store((out,))] if bias else [])
        if "auto_pad" not in more:
            more["pads"] = [*_pair(padding), *_pair(padding)]
        self.channels = out
        return self.node(
            "Conv", inputs, kernel_shape=[kh, kw], strides=_pair(stride), dilations=_pair(dilation),
            group=groups, **more,
        )  # fmt: skip

    def batch_norm(self) -> str:
        return self.node("BatchNormalization", [self.at, *(self.store((self.channels,)) for _ in range(4))])

    def relu(self) -> str:
        return self.node("Relu", [self.at])

    def pool(self, operator: str, kernel: Any, stride: Any, padding: Any = 0, **more: Any) -> str:
        pads = [*_pair(padding), *_pair(padding)]
        return self.node(operator, [self.at], kernel_shape=_pair(kernel), strides=_pair(stride), pads=pads, **more)

    def linear(self, inputs: int, out: int) -> str:
        return self.node("Gemm", [self.at, self.store((out, inputs)), self.store((out,))], transB=1)

    def model(self, opset: int = 17) -> Any:
        output = helper.make_tensor_value_info(self.at, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "net", [self.input], [output], self.stored)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)

    def save(self, path: Path) -> Path:
        onnx.save(self.model(), str(path))
        return path


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def lenet5() -> Net:
    """LeCun et al. 1998, as usually taught: 32×32 gray, full connection in the third layer."""
    net = Net(1, 32, 32)
    net.conv(6, 5), net.relu(), net.pool("AveragePool", 2, 2)
    net.conv(16, 5), net.relu(), net.pool("AveragePool", 2, 2)
    net.node("Flatten", [net.at])
    net.linear(400, 120), net.relu(), net.linear(120, 84), net.relu(), net.linear(84, 10)
    return net


def alexnet() -> Net:
    """Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks": one column, 224×224."""
    net = Net(3, 224, 224)
    net.conv(64, 11, 4, 2), net.relu(), net.pool("MaxPool", 3, 2)
    net.conv(192, 5, 1, 2), net.relu(), net.pool("MaxPool", 3, 2)
    for out in (384, 256, 256):
        net.conv(out, 3, 1, 1), net.relu()
    net.pool("MaxPool", 3, 2), net.node("Flatten", [net.at])
    net.linear(9216, 4096), net.relu(), net.linear(4096, 4096), net.relu(), net.linear(4096, 1000)
    return net


def resnet(blocks: tuple[int, ...], bottleneck: bool, side: int = 96, classes: int = 1000) -> Net:
    """He et al. 2015, with BatchNormalization unfolded and the stride of a bottleneck in its 3×3 convolution."""
    net = Net(3, side, side)
    net.conv(64, 7, 2, 3, bias=False), net.batch_norm(), net.relu(), net.pool("MaxPool", 3, 2, 1)
    for stage, count in enumerate(blocks):
        for block in range(count):
            _residual(net, 64 * 2**stage, 2 if stage and not block else 1, bottleneck)
    net.node("GlobalAveragePool", [net.at]), net.node("Flatten", [net.at]), net.linear(net.channels, classes)
    return net


def _residual(net: Net, width: int, stride: int, bottleneck: bool) -> None:
    start, channels, out = net.at, net.channels, width * (4 if bottleneck else 1)
    steps = [(width, 1, 1), (width, 3, stride), (out, 1, 1)] if bottleneck else [(width, 3, stride), (out, 3, 1)]
    for index, (wide, kernel, step) in enumerate(steps):
        net.conv(wide, kernel, step, kernel // 2, bias=False), net.batch_norm()
        if index < len(steps) - 1:
            net.relu()
    end = net.at
    if stride != 1 or channels != out:
        net.at, net.channels = start, channels
        net.conv(out, 1, stride, bias=False)
        start = net.batch_norm()
    net.node("Add", [end, start]), net.relu()


def tiny(side: int = 32, classes: int = 3, batch: int | str = 1) -> Net:
    """A network small enough to run in a test at once: one convolution, global average, one linear layer."""
    net = Net(3, side, side, batch)
    net.conv(8, 3, 2, 1), net.relu(), net.node("GlobalAveragePool", [net.at]), net.node("Flatten", [net.at])
    net.linear(8, classes)
    return net
