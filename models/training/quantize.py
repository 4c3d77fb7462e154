"""Static int8 quantisation in QDQ format: int8 weights per channel, uint8 activations, the last layer in float."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from models.training.data import Pixels
from models.training.onnx_graph import ACTIVATION_MAP, INPUT, LOGITS, NORMALISED

Method = Literal["minmax", "entropy", "percentile"]
METHODS: dict[Method, CalibrationMethod] = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
# Operators that have an int8 kernel; the normalisation of the input stays float.
QUANTIZED = ["Conv", "Gemm", "MaxPool", "AveragePool", "GlobalAveragePool", "Add", "Relu", "Clip", "Flatten"]


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Feeds calibration pictures to the graph one at a time."""

    def __init__(self, pictures: Pixels) -> None:
        self._items: Iterator[dict[str, Any]] = iter([{INPUT: picture[None]} for picture in pictures])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._items, None)


def quantize(
    model: onnx.ModelProto,
    pictures: Pixels,
    method: Method = "minmax",
    *,
    percentile: float = 99.99,
    reduce_range: bool = False,
    keep_float: tuple[str, ...] = (),
) -> onnx.ModelProto:
    """Quantise a float32 graph with ranges calibrated on training pictures [n, size, size, channels].

    ``reduce_range`` uses 7 bits for weights, which costs accuracy and is needed only where 16-bit sums saturate (AVX2
    without VNNI). ``keep_float`` names further nodes that stay float. The last layer always does: it is a thousandth of
    the work, and rounded logits would make the probabilities coarse.
    """
    last = next(node.name for node in model.graph.node if LOGITS in node.output)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(onnx.shape_inference.infer_shapes(model), source)
        quantize_static(
            source,
            target,
            _Reader(pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTIZED,
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[last, ACTIVATION_MAP, *keep_float],
            calibrate_method=METHODS[method],
            extra_options={"CalibPercentile": percentile} if method == "percentile" else {},
        )
        quantized = onnx.load(target)
    _take_pixels_as_they_are(quantized.graph)
    quantized.producer_name = "lookout"
    return quantized


def _take_pixels_as_they_are(graph: onnx.GraphProto) -> None:
    """Leave out normalising and rounding the input where both together return the pixels as they were.

    With one whole mean and one standard deviation for all channels, a pixel *is* its quantised value (zero point mean,
    scale 1 / std), if the calibration pictures contained black and white. onnxruntime subtracts and divides with the
    channels last, three values at a time, which took a quarter of the time of an EfficientNet-Lite0.
    """
    made_by = {output: node for node in graph.node for output in node.output}
    rounds = next((node for node in graph.node if node.op_type == "QuantizeLinear" and NORMALISED in node.input), None)
    if rounds is None:
        return
    (restores,) = (node for node in graph.node if rounds.output[0] in node.input)
    divide = made_by[NORMALISED]
    subtract = made_by[divide.input[0]]
    cast = made_by[subtract.input[0]]
    values = {one.name: one for one in graph.initializer}
    mean, std, scale, zero_point = (
        np.unique(numpy_helper.to_array(values[name]))
        for name in (subtract.input[1], divide.input[1], *rounds.input[1:])
    )
    if len(mean) > 1 or len(std) > 1 or mean[0] != zero_point[0] or np.float32(1 / std[0]) != scale[0]:
        return
    restores.input[0] = cast.input[0]
    for node in (rounds, divide, subtract, cast):
        graph.node.remove(node)
    for node in (divide, subtract):
        graph.initializer.remove(values[node.input[1]])
