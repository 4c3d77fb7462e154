"""The first layer's filters, as one picture and as numbers: the patterns that the network detects in raw pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookout.inspection.mosaic import mosaic
from lookout.pipeline.card import check_json_safe
from lookout.storage.atomic_files import replace_file
from lookout.system.regular_files import read_regular

FILTERS_FILE = "filters.png"
WEIGHTS_FILE = "filters.json"
# Decimal places of a weight; with pixels of 0..255, the rounding error of a result is far below one.
_PLACES = 5
_MAX_BYTES = 4 * 2**20
# Each weight becomes a square with this many pixels a side, so that a 7 x 7 filter is visible.
_SCALE = 4
_GAP = 2
# AlexNet has 96 filters in its first layer and most networks 64; this is enough for all usual ones.
_MAX_FILTERS = 256
# Readable by all users, like the graph.
_MODE = 0o644


def write_filters(graph: Path, model: Any) -> None:
    """Draw the first convolution of an ONNX file into `filters.png` beside it, if it has one.

    The weights are written to `filters.json`. model: the ModelProto of the file.
    """
    weights = _first_filters(model.graph)
    if weights is None:
        return
    import cv2

    written, png = cv2.imencode(".png", filter_picture(weights), (cv2.IMWRITE_PNG_COMPRESSION, 9))
    if written:
        replace_file(graph.with_name(FILTERS_FILE), png.tobytes(), mode=_MODE)
    rounded = weights[:_MAX_FILTERS].astype(float).round(_PLACES).tolist()
    numbers = [json.dumps(one, separators=(",", ":")) for one in rounded]
    replace_file(graph.with_name(WEIGHTS_FILE), ("[" + ",\n".join(numbers) + "]\n").encode(), mode=_MODE)


def read_filters(folder: Path) -> list[list[list[list[float]]]] | None:
    """Read the weights from a model's folder, filters x channels x rows x columns; None if they cannot be read."""
    try:
        kept = json.loads(read_regular(folder / WEIGHTS_FILE, _MAX_BYTES))
        check_json_safe(kept)
        if np.asarray(kept, np.float64).ndim == 4:
            return list(kept)
    except (OSError, ValueError, TypeError, RecursionError):
        pass
    return None


def filter_picture(weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw filters (out x in x height x width) as a mosaic (uint8, height x width x 3, BGR).

    Filters over three channels (red, green, blue) are drawn in colour, others by their first channel in grey. Each is
    scaled to its own extremes around middle grey, which is zero.
    """
    return mosaic(np.stack([_tile(one) for one in weights[:_MAX_FILTERS]]), scale=_SCALE, gap=_GAP)


def _tile(one: NDArray[np.float32]) -> NDArray[np.uint8]:
    shown = one[::-1] if one.shape[0] == 3 else np.repeat(one[:1], 3, axis=0)
    stretched = shown / max(float(np.abs(shown).max()), 1e-12) * 127.0 + 128.0
    return np.asarray(np.clip(stretched.transpose(1, 2, 0), 0, 255), np.uint8)


def _first_filters(graph: Any) -> NDArray[np.float32] | None:
    """The weights of the first convolution over a picture, out x in x height x width."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type in ("Conv", "FusedConv") and len(node.input) > 1:
            weights = _numbers(node.input[1], stored, makers)
            if weights is not None and weights.ndim == 4 and weights.size and np.isfinite(weights).all():
                return weights
    return None


def _numbers(name: str, stored: dict[str, Any], makers: dict[str, Any]) -> NDArray[np.float32] | None:
    """A weight as float32, even if it is stored as float16 or int8 and converted in the graph."""
    import onnx

    if name in stored:
        return np.asarray(onnx.numpy_helper.to_array(stored[name])).astype(np.float32)
    node = makers.get(name)
    if node is None or node.op_type not in ("Cast", "Identity", "DequantizeLinear"):
        return None
    values = _numbers(node.input[0], stored, makers)
    if values is None or node.op_type != "DequantizeLinear":
        return values
    scale = _numbers(node.input[1], stored, makers)
    zero = _numbers(node.input[2], stored, makers) if len(node.input) > 2 and node.input[2] else np.zeros(1, np.float32)
    if scale is None or zero is None:
        return None
    a_filter = (-1, *(1,) * (values.ndim - 1))  # one value for each filter, or one for all
    return (values - zero.reshape(a_filter)) * scale.reshape(a_filter)
