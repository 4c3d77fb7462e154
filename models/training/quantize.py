"""Static int8 quantisation in QDQ format: int8 weights per channel, uint8 activations, the last layer in float."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from models.training.data import Pixels
from models.training.onnx_graph import ACTIVATION_MAP, INPUT, LOGITS

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
    quantized.producer_name = "lookout"
    return quantized
