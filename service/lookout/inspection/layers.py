"""The layer table: what each layer of a convolutional network does to the picture's size, and what it costs.

The arithmetic is here, without dependencies; `layers_onnx.py` makes the table of a graph (and imports onnx).
The table is computed once, when a model's card is written, and kept beside it as `layers.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookout.pipeline.card import check_json_safe
from lookout.system.regular_files import read_regular

SCHEMA = "lookout-layers-1"
LAYERS_FILE = "layers.json"
# The size limit; the tables of the deepest networks have a few thousand rows of a few hundred bytes.
MAX_TABLE_BYTES = 16 * 2**20

Sides = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """The sliding window of a convolution or pooling layer.

    kernel, stride, dilation: one number per axis, (height, width) for pictures.
    padding: starts of all axes, then ends, as in ONNX: (top, left, bottom, right).
    ceil_mode: whether a last, incomplete step counts.
    """

    kernel: Sides
    stride: Sides
    padding: Sides
    dilation: Sides
    ceil_mode: bool = False

    @property
    def extent(self) -> Sides:
        """The pixels that the kernel spans on each axis: dilation · (kernel − 1) + 1."""
        return tuple(d * (f - 1) + 1 for f, d in zip(self.kernel, self.dilation, strict=True))

    def output_size(self, size: Sides) -> Sides:
        """Positions of the window on each axis of a picture of this size."""
        axes = len(self.kernel)
        return tuple(
            window_positions(
                size[i], self.extent[i], self.stride[i], self.padding[i], self.padding[axes + i], self.ceil_mode
            )
            for i in range(axes)
        )


def window_positions(n: int, f: int, s: int, before: int, after: int, ceil_mode: bool = False) -> int:
    """floor((n + before + after − f) / s) + 1: the positions of a window of f on n padded pixels in steps of s.

    With ceil_mode, an incomplete last step counts as well, unless it would start in the padding after the picture.
    """
    room = n + before + after - f
    if not ceil_mode:
        return room // s + 1
    positions = -(-room // s) + 1
    return positions - 1 if (positions - 1) * s >= n + before else positions


def same_padding(n: int, f: int, s: int, upper: bool = True) -> tuple[int, int]:
    """The padding (before, after) for ceil(n / s) positions: TensorFlow's SAME. upper: an odd pixel goes last."""
    total = max(0, (math.ceil(n / s) - 1) * s + f - n)
    small, large = total // 2, total - total // 2
    return (small, large) if upper else (large, small)


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The part of the input that one unit sees, in input pixels, padding included.

    size: its sides (height, width). jump: distance between the fields of neighbouring units.
    start: start of the first unit's field, relative to the picture's corner; negative in the padding.
    """

    size: Sides
    jump: Sides
    start: Sides

    def through(self, window: Window) -> ReceptiveField:
        """The field after a window: size r + (f − 1)·j, jump j·s, and start further out by p·j for the padding p."""
        before = window.padding[: len(window.kernel)]
        return ReceptiveField(
            tuple(r + (f - 1) * j for r, f, j in zip(self.size, window.extent, self.jump, strict=True)),
            tuple(j * s for j, s in zip(self.jump, window.stride, strict=True)),
            tuple(first - p * j for first, p, j in zip(self.start, before, self.jump, strict=True)),
        )

    def over_all(self, size: Sides) -> ReceptiveField:
        """The field of a unit that sees all `size` units of its input."""
        return ReceptiveField(
            tuple(r + (n - 1) * j for r, n, j in zip(self.size, size, self.jump, strict=True)), self.jump, self.start
        )

    def joined(self, other: ReceptiveField) -> ReceptiveField:
        """The field of a sum or concatenation of two branches."""
        return ReceptiveField(
            tuple(max(a, b) for a, b in zip(self.size, other.size, strict=True)),
            tuple(max(a, b) for a, b in zip(self.jump, other.jump, strict=True)),
            tuple(min(a, b) for a, b in zip(self.start, other.start, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of the table. Shapes are as in the graph, batch first; None if they are not known.

    main: whether the network's output depends on the layer; only such layers count in the totals.
    tensor: the graph's name of the layer's output, from which its feature maps are read.
    channels_last: whether the output is a picture with the channels last.
    inputs: names of the rows whose outputs the layer takes, in order; the picture itself is not listed.
    parameters: learned numbers of this layer; for BatchNormalization, scale and shift but no running statistics.
    multiply_adds: of convolutions and matrix products, for one run; all other operators count as zero.
    """

    name: str
    operator: str
    window: Window | None
    groups: int
    input: Sides | None
    output: Sides | None
    field: ReceptiveField | None
    parameters: int
    multiply_adds: int
    main: bool = True
    tensor: str = ""
    channels_last: bool = False
    inputs: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The row for `layers.json` and the API, with n, p, f, s of the size formula for each axis."""
        window, field = self.window, self.field
        return {
            "name": self.name,
            "operator": self.operator,
            "kernel": window and window.kernel,
            "stride": window and window.stride,
            "padding": window and window.padding,
            "dilation": window and window.dilation,
            "ceil_mode": bool(window and window.ceil_mode),
            "groups": self.groups,
            "input": self.input,
            "output": self.output,
            "receptive_field": field and field.size,
            "jump": field and field.jump,
            "start": field and field.start,
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "main": self.main,
            "tensor": self.tensor,
            "channels_last": self.channels_last,
            "inputs": self.inputs,
            "formula": self._formula(),
        }

    def _formula(self) -> list[dict[str, Any]] | None:
        window = self.window
        if window is None or self.input is None or self.output is None:
            return None
        axes = len(window.kernel)
        return [
            {
                "axis": _axis_name(i, axes),
                "n": self.input[-axes + i],
                # With unequal padding, p is the mean of both sides, for which the formula holds.
                "p": _whole((window.padding[i] + window.padding[axes + i]) / 2),
                "f": window.extent[i],
                "s": window.stride[i],
                "rounding": "ceil" if window.ceil_mode else "floor",
                "size": self.output[-axes + i],
            }
            for i in range(axes)
        ]


def _axis_name(index: int, axes: int) -> str:
    return ("depth", "height", "width")[3 - axes :][index] if axes <= 3 else str(index)


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else number


@dataclass(frozen=True, slots=True)
class LayerTable:
    """All layers of one graph, in order, with the totals of those that the output depends on.

    file, sha256: the graph from which the table was made. parameters: shared ones count once. incomplete: a sentence on
    what the totals lack, empty if they are complete.
    """

    file: str
    sha256: str
    input_name: str
    input_shape: Sides
    output_name: str
    layers: tuple[Layer, ...]
    parameters: int
    multiply_adds: int
    incomplete: str = ""

    def to_json(self) -> dict[str, Any]:
        """The content of `layers.json`, as JSON-compatible values."""
        table = {
            "schema": SCHEMA,
            "graph": {"file": self.file, "sha256": self.sha256},
            "input": {"name": self.input_name, "shape": self.input_shape},
            "output": self.output_name,
            "layers": [layer.as_json() for layer in self.layers],
            "totals": {"parameters": self.parameters, "multiply_adds": self.multiply_adds},
        } | ({"incomplete": self.incomplete} if self.incomplete else {})
        plain: dict[str, Any] = json.loads(json.dumps(table))
        return plain


def read_table(folder: Path, graphs: Collection[str]) -> dict[str, Any] | None:
    """Read the table in a model's folder; None if there is none that was made from one of these graphs (SHA-256)."""
    try:
        table = json.loads(read_regular(folder / LAYERS_FILE, MAX_TABLE_BYTES))
        check_json_safe(table)
    except (OSError, ValueError, RecursionError):
        return None
    graph = table.get("graph") if isinstance(table, dict) else None
    return table if isinstance(graph, dict) and graph.get("sha256") in graphs else None
