"""Reads an ONNX graph into a layer table.

A graph stored in float16 or quantised does the same arithmetic as the float32 one, so it gives the same rows:
weights behind Cast, DequantizeLinear and the like are counted where they are used, and the QuantizeLinear and
DequantizeLinear pairs between layers are looked through.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lookout.errors import ModelRejected
from lookout.inspection.filters import write_filters
from lookout.inspection.layers import LAYERS_FILE, Layer, LayerTable, ReceptiveField, Sides, Window, same_padding
from lookout.inspection.onnx_graph import Graph, attribute, load_graph
from lookout.pipeline.card import CARD_FILE, MAX_CARD_BYTES, sha256_of
from lookout.system.regular_files import read_regular

# Operators with weights: where the weights and the bias stand among the inputs.
CONVOLUTIONS = {"Conv": (1, 2), "ConvTranspose": (1, 2), "ConvInteger": (1,), "QLinearConv": (3, 8)}
PRODUCTS = {"Gemm": (1, 2), "MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3)}
POOLS = {"MaxPool", "AveragePool", "LpPool"}
GLOBAL_POOLS = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"}
LOOKED_THROUGH = {"QuantizeLinear", "DequantizeLinear"}
# Sums and products with a stored operand: a bias or scale that stands alone. Every other operator's constants say
# where or how far (axes, limits, sizes) and are no parameters.
ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "PRelu"}
FLATTENING = {"Flatten", "Reshape", "Squeeze"}
# Behind these a unit's field is no longer a plain rectangle that grows by the formula.
UNTRACKED = {"ConvTranspose", "Resize", "Upsample", "GridSample"}


def layer_table(graph: Path | str, shape: Sequence[int] | None = None, output: str | None = None) -> LayerTable:
    """The layer table of an ONNX file.

    shape: the input's shape where the graph leaves it open; an open first number (of pictures) counts as 1.
    output: the output whose layers make the totals; by default `logits`, else `probabilities`, else the first.
    Raises ModelRejected when the file is no ONNX graph or leaves its size open.
    """
    path, given = Path(graph), tuple(shape) if shape is not None else None
    reader = _Reader(Graph.of(load_graph(path), path, given), path, output)
    rows = tuple(reader.rows())
    return LayerTable(
        file=path.name,
        sha256=sha256_of(path, follow_links=True),
        input_name=reader.graph.input,
        input_shape=reader.graph.shapes[reader.graph.input] or (),
        output_name=reader.output,
        layers=rows,
        parameters=sum(reader.counted.values()),
        multiply_adds=sum(row.multiply_adds for row in rows if row.main),
    )


def write_layers(folder: Path) -> LayerTable:
    """Compute the table for the model in this folder and keep it there as `layers.json`, bound to its graph's hash.

    The first layer's filters are drawn beside it. The graph is the card's fp32 file, else its first.
    Raises ModelRejected.
    """
    try:
        files = json.loads(read_regular(folder / CARD_FILE, MAX_CARD_BYTES))["files"]
        name = files["fp32" if "fp32" in files else next(iter(files))]["file"]
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise ModelRejected(
            f"{folder / CARD_FILE} names no graph to make the layer table from ({error!r}).",
            "Write the card first: lookout models add FILE.onnx --labels FILE.",
        ) from error
    table = layer_table(folder / str(name))
    text = json.dumps(table.to_json(), indent=1, ensure_ascii=False) + "\n"
    target, fresh = folder / LAYERS_FILE, folder / f".{LAYERS_FILE}.{os.getpid()}"
    fresh.write_text(text, "utf-8")
    fresh.replace(target)
    write_filters(folder / str(name))
    return table


@dataclass(frozen=True, slots=True)
class _Sight:
    """What is known of a tensor's units. axes: where its sides (height, width) stand in its shape; when they have
    been flattened into one axis, `sides` keeps how long they were."""

    field: ReceptiveField
    axes: tuple[int, ...]
    sides: Sides = ()


class _Reader:
    """One pass over a graph whose shapes are known."""

    def __init__(self, graph: Graph, path: Path, output: str | None) -> None:
        self.graph = graph
        self.output = _main_output(graph.outputs, output, path)
        self.main = graph.needed_for(self.output)
        self.counted: dict[str, int] = {}
        self.sights = _first_sight(graph)
        self.behind_weights = False

    def rows(self) -> Iterator[Layer]:
        """A row for each node that works on the picture, in the graph's order."""
        for node in self.graph.nodes:
            if all(name in self.graph.constants for name in node.output):
                continue
            if node.op_type in LOOKED_THROUGH:
                if node.input[0] in self.sights:
                    self.sights[node.output[0]] = self.sights[node.input[0]]
                continue
            yield self._row(node)
            self.behind_weights |= node.op_type in CONVOLUTIONS or node.op_type in PRODUCTS

    def _row(self, node: Any) -> Layer:
        shapes = self.graph.shapes
        source = next((name for name in node.input if name and name not in self.graph.constants), "")
        before = shapes.get(source)
        window = self._window(node, before)
        if shapes.get(node.output[0]) is None and window is not None and before is not None:
            shapes[node.output[0]] = self._size_behind(node, window, before)
        after = shapes.get(node.output[0])
        main = node.output[0] in self.main
        return Layer(
            name=node.name or node.output[0],
            operator=str(node.op_type),
            window=window,
            groups=int(attribute(node, "group", 1)),
            input=before,
            output=after,
            field=self._look(node, source, window),
            parameters=self._parameters(node, main),
            multiply_adds=self._multiply_adds(node, after),
            main=main,
            tensor=node.output[0],
        )

    # --- windows --------------------------------------------------------------------------------------------

    def _window(self, node: Any, before: Sides | None) -> Window | None:
        if before is None or len(before) < 3:
            return None
        size = before[2:]
        ones, none = (1,) * len(size), (0,) * 2 * len(size)
        if node.op_type in GLOBAL_POOLS:
            return Window(size, ones, none, ones)
        if node.op_type in CONVOLUTIONS:
            weight = self._weight(node)
            kernel = tuple(attribute(node, "kernel_shape", weight[2:] if weight else ()))
        elif node.op_type in POOLS:
            kernel = tuple(attribute(node, "kernel_shape", ()))
        else:
            return None
        if len(kernel) != len(size):
            return None
        window = Window(
            kernel=kernel,
            stride=tuple(attribute(node, "strides", ones)),
            padding=tuple(attribute(node, "pads", none)),
            dilation=tuple(attribute(node, "dilations", ones)),
            ceil_mode=bool(attribute(node, "ceil_mode", 0)),
        )
        return _with_automatic_padding(window, attribute(node, "auto_pad", b"NOTSET").decode(), size)

    def _weight(self, node: Any) -> Sides | None:
        return self.graph.shapes.get(node.input[CONVOLUTIONS[node.op_type][0]])

    def _size_behind(self, node: Any, window: Window, before: Sides) -> Sides | None:
        """For operators whose shapes onnx itself does not work out."""
        weight = self._weight(node) if node.op_type in CONVOLUTIONS else None
        if node.op_type == "ConvTranspose":
            return None
        return (before[0], weight[0] if weight else before[1], *window.output_size(before[2:]))

    # --- receptive fields -----------------------------------------------------------------------------------

    def _look(self, node: Any, source: str, window: Window | None) -> ReceptiveField | None:
        known = [self.sights[name] for name in node.input if name in self.sights]
        if not known or node.op_type in UNTRACKED:
            return None
        sight = self.sights.get(source, known[0])
        field = sight.field
        for other in known:
            field = field.joined(other.field)
        sight = replace(sight, field=field)
        before, after = self.graph.shapes.get(source), self.graph.shapes.get(node.output[0])
        if window is not None:
            sight = _Sight(field.through(window), tuple(range(2, 2 + len(window.kernel))))
        elif node.op_type in PRODUCTS and sight.sides:
            sight = _Sight(field.over_all(sight.sides), ())
        elif node.op_type.startswith("Reduce") and sight.axes and before is not None:
            sight = self._reduced(node, sight, before)
        elif node.op_type == "Transpose":
            order = list(attribute(node, "perm", range(len(before or ()))[::-1]))
            sight = replace(sight, axes=tuple(order.index(axis) for axis in sight.axes))
        elif node.op_type in FLATTENING and sight.axes and before is not None and len(after or ()) != len(before):
            sight = _Sight(field, (), tuple(before[axis] for axis in sight.axes))
        for name in node.output:
            self.sights[name] = sight
        return sight.field

    def _reduced(self, node: Any, sight: _Sight, before: Sides) -> _Sight:
        axes = attribute(node, "axes", None)
        if axes is None and len(node.input) > 1 and node.input[1]:
            axes = self.graph.integers(node.input[1])
        over = {axis % len(before) for axis in axes} if axes else set(range(len(before)))
        sides = tuple(before[axis] if axis in over else 1 for axis in sight.axes)
        gone = over >= set(sight.axes)
        return _Sight(sight.field.over_all(sides), () if gone else sight.axes)

    # --- costs ----------------------------------------------------------------------------------------------

    def _parameters(self, node: Any, main: bool) -> int:
        used = [node.input[place] for place in self._parameter_places(node)]
        stored: dict[str, int] = {}
        for name in used:
            if name in self.graph.constants:
                root, count = self.graph.stored_numbers(name)
                stored[root] = count
        if main:
            self.counted.update(stored)
        return sum(stored.values())

    def _parameter_places(self, node: Any) -> list[int]:
        kind, filled = node.op_type, [place for place, name in enumerate(node.input) if name]
        if kind in CONVOLUTIONS:
            return [place for place in CONVOLUTIONS[kind] if place in filled]
        if kind in PRODUCTS:
            return [place for place in PRODUCTS[kind] if place in filled]
        if kind == "BatchNormalization":
            return [1, 2]  # scale and shift; mean and variance are measured, not learned
        if kind in ("LayerNormalization", "InstanceNormalization", "GroupNormalization"):
            return [place for place in (1, 2) if place in filled]
        if kind in ELEMENTWISE and self.behind_weights:
            # Before the first layer with weights such constants only normalise pixels; single ones are mere scaling.
            return [place for place in filled if math.prod(self.graph.shapes.get(node.input[place]) or ()) > 1]
        return []

    def _multiply_adds(self, node: Any, after: Sides | None) -> int:
        kind, shapes = node.op_type, self.graph.shapes
        if after is None:
            return 0
        if kind in CONVOLUTIONS:
            weight = self._weight(node) or (0,)
            if kind == "ConvTranspose":  # every input number meets the kernel once
                return math.prod(shapes.get(node.input[0]) or (0,)) * math.prod(weight[1:])
            return math.prod(after) * math.prod(weight[1:])  # weights are c_out × c_in/groups × f × f
        if kind in PRODUCTS:
            left = shapes.get(node.input[0]) or (0,)
            shared = left[0] if kind == "Gemm" and attribute(node, "transA", 0) else left[-1]
            return math.prod(after) * shared
        return 0


def _first_sight(graph: Graph) -> dict[str, _Sight]:
    shape = graph.shapes[graph.input]
    if shape is None or len(shape) not in (3, 4, 5):
        return {}
    sides = len(shape) - 2
    channels_last = shape[-1] in (1, 3, 4) and shape[1] not in (1, 3, 4)
    axes = tuple(range(1, sides + 1)) if channels_last else tuple(range(2, sides + 2))
    return {graph.input: _Sight(ReceptiveField((1,) * sides, (1,) * sides), axes)}


def _main_output(names: list[str], wanted: str | None, path: Path) -> str:
    if wanted is not None and wanted not in names:
        raise ModelRejected(f"{path} has no output “{wanted}”; it has {', '.join(names)}.")
    return wanted or next((name for name in ("logits", "probabilities") if name in names), names[0])


def _with_automatic_padding(window: Window, mode: str, size: Sides) -> Window:
    if mode not in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        return window
    pairs = [
        (0, 0) if mode == "VALID" else same_padding(n, f, s, mode == "SAME_UPPER")
        for n, f, s in zip(size, window.extent, window.stride, strict=True)
    ]
    return replace(window, padding=(*(before for before, _ in pairs), *(after for _, after in pairs)))
