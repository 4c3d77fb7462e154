"""Reads an ONNX graph into a layer table.

A graph stored in float16 or quantised has the same layers as the float32 graph, so it gives the same rows: weights that
pass through Cast, DequantizeLinear and the like are counted where they are used, and pairs of QuantizeLinear and
DequantizeLinear between layers are skipped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lookout.errors import ModelRejected
from lookout.inspection.filters import write_filters
from lookout.inspection.layer_costs import (
    CONVOLUTIONS,
    PRODUCTS,
    holds_unknown_weights,
    multiply_adds,
    parameter_places,
    weight_of,
)
from lookout.inspection.layers import LAYERS_FILE, Layer, LayerTable, Sides, Window, same_padding
from lookout.inspection.onnx_graph import Graph, attribute, inputs_of, load_graph
from lookout.inspection.receptive_fields import first_sight, look
from lookout.pipeline.card import CARD_FILE, MAX_CARD_BYTES, sha256_of
from lookout.system.regular_files import read_regular

POOLS = {"MaxPool", "AveragePool", "LpPool", "QLinearAveragePool", "NhwcMaxPool"}
GLOBAL_POOLS = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "QLinearGlobalAveragePool"}
LOOKED_THROUGH = {"QuantizeLinear", "DequantizeLinear"}
# Operators whose pictures have the channels last.
CHANNELS_LAST = {"NhwcFusedConv", "NhwcConv", "NhwcMaxPool"}
MAX_NAMED = 5


def layer_table(graph: Path | str, shape: Sequence[int] | None = None, output: str | None = None) -> LayerTable:
    """Make the layer table of an ONNX file.

    shape: the input's shape if the graph leaves it open; an open batch size counts as 1.
    output: the output whose layers count in the totals; by default `logits`, else `probabilities`, else the first.
    Raises ModelRejected if the file is not an ONNX graph or leaves its size open.
    """
    path, given = Path(graph), tuple(shape) if shape is not None else None
    return _table(load_graph(path), path, given, output)


def write_layers(folder: Path, shape: Sequence[int] | None = None) -> LayerTable:
    """Compute the table for the model in this folder and store it there as `layers.json`, with its graph's hash.

    The first layer's filters are stored as well. The graph is the card's fp32 file, or else its first.
    shape: the input's shape if the graph leaves it open. Raises ModelRejected.
    """
    try:
        card = json.loads(read_regular(folder / CARD_FILE, MAX_CARD_BYTES))
        files, outputs = card["files"], card.get("outputs") or {}
        answer = outputs.get("logits") or outputs.get("probabilities")
        name = files["fp32" if "fp32" in files else next(iter(files))]["file"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise ModelRejected(
            f"{folder / CARD_FILE} names no graph to make the layer table from ({error!r}).",
            "Write the card first: lookout models add FILE.onnx --labels FILE.",
        ) from error
    path = folder / str(name)
    model = load_graph(path)
    write_filters(path, model)
    table = _table(model, path, tuple(shape) if shape is not None else None, answer)
    text = json.dumps(table.to_json(), indent=1, ensure_ascii=False) + "\n"
    target, fresh = folder / LAYERS_FILE, folder / f".{LAYERS_FILE}.{os.getpid()}"
    fresh.write_text(text, "utf-8")
    fresh.replace(target)
    return table


def _table(model: Any, path: Path, shape: Sides | None, output: str | None) -> LayerTable:
    """Make the table. Modifies `model`."""
    reader = _Reader(Graph.of(model, path, shape, strip=True), path, output)
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
        incomplete=_incomplete(reader.uncounted, len(reader.graph.unfolded.keys() & reader.counted.keys())),
    )


def _incomplete(operators: Sequence[str], unfolded: int) -> str:
    """Sentences on what the totals lack; empty if they are complete. unfolded: number of unfolded tables counted."""
    tables = f"{unfolded} tables of positions are" if unfolded > 1 else "A table of positions is"
    doubt = f"{tables} stored unfolded; the numbers in it that differ are counted." if unfolded else ""
    kinds = sorted(set(operators))
    if not kinds:
        return doubt
    named = ", ".join(kinds[:MAX_NAMED]) + (" and others" if len(kinds) > MAX_NAMED else "")
    count = len(operators)
    return f"{count} operator{'s' if count > 1 else ''} of the kind {named} could not be worked out. {doubt}".rstrip()


class _Reader:
    """Makes the rows in one pass over a graph whose shapes are known."""

    def __init__(self, graph: Graph, path: Path, output: str | None) -> None:
        self.graph = graph
        self.output = _main_output(graph.outputs, output, path)
        self.main = graph.needed_for(self.output)
        self.counted: dict[str, int] = {}
        self.uncounted: list[str] = []
        self.sights = first_sight(graph)
        self.behind_weights = False
        self.makers: dict[str, str] = {}  # for each tensor, the name of the row whose output it is

    def rows(self) -> Iterator[Layer]:
        """Yield a row for each node that depends on the picture, in the graph's order."""
        for node in self.graph.nodes:
            if not node.output or all(name in self.graph.constants for name in node.output):
                continue
            if node.op_type in LOOKED_THROUGH:
                if node.input[0] in self.sights:
                    self.sights[node.output[0]] = self.sights[node.input[0]]
                if node.input[0] in self.makers:
                    self.makers[node.output[0]] = self.makers[node.input[0]]
                continue
            yield self._row(node)
            self.behind_weights |= node.op_type in CONVOLUTIONS or node.op_type in PRODUCTS

    def _row(self, node: Any) -> Layer:
        shapes = self.graph.shapes
        taken = inputs_of(node)
        source = next((name for name in taken if name and name not in self.graph.constants), "")
        before = shapes.get(source)
        window = self._window(node, before)
        if shapes.get(node.output[0]) is None and window is not None and before is not None:
            shapes[node.output[0]] = self._size_behind(node, window, before)
        after = shapes.get(node.output[0])
        main = node.output[0] in self.main
        field = look(self.graph, self.sights, node, window)
        cost = multiply_adds(self.graph, node, after)
        if main and (cost is None or (self.behind_weights and holds_unknown_weights(self.graph, node))):
            self.uncounted.append(str(node.op_type))
        name = node.name or node.output[0]
        inputs = tuple(self.makers[one] for one in taken if one in self.makers)
        self.makers.update(dict.fromkeys(node.output, name))
        return Layer(
            name=name,
            operator=str(node.op_type),
            window=window,
            groups=int(attribute(node, "group", 1)),
            input=before,
            output=after,
            field=field,
            parameters=self._parameters(node, main),
            multiply_adds=cost or 0,
            main=main,
            tensor=node.output[0],
            channels_last=self._is_channels_last(node.output[0], after),
            inputs=inputs,
        )

    def _is_channels_last(self, name: str, shape: Sides | None) -> bool:
        """Whether the tensor is a picture with the channels last."""
        sight = self.sights.get(name)
        return shape is not None and len(shape) == 4 and sight is not None and sight.axes == (1, 2)

    # --- windows --------------------------------------------------------------------------------------------

    def _window(self, node: Any, before: Sides | None) -> Window | None:
        """The node's window; None if it has none, or if the picture's axes are in other positions than usual."""
        if before is None or len(before) < 3 or node.op_type in CHANNELS_LAST:
            return None
        size = before[2:]
        ones, none = (1,) * len(size), (0,) * 2 * len(size)
        if node.op_type in GLOBAL_POOLS:
            return Window(size, ones, none, ones)
        if node.op_type in CONVOLUTIONS:
            weight = weight_of(self.graph, node)
            kernel = tuple(attribute(node, "kernel_shape", weight[2:] if weight else ()))
        elif node.op_type in POOLS:
            kernel = tuple(attribute(node, "kernel_shape", ()))
        else:
            return None
        window = Window(
            kernel=kernel,
            stride=tuple(attribute(node, "strides", ones)),
            padding=tuple(attribute(node, "pads", none)),
            dilation=tuple(attribute(node, "dilations", ones)),
            ceil_mode=bool(attribute(node, "ceil_mode", 0)),
        )
        lengths = {len(window.kernel), len(window.stride), len(window.dilation), len(window.padding) // 2}
        if lengths != {len(size)} or min(window.stride) < 1:
            return None
        return _with_automatic_padding(window, attribute(node, "auto_pad", b"NOTSET").decode(), size)

    def _size_behind(self, node: Any, window: Window, before: Sides) -> Sides | None:
        """The output shape of an operator for which onnx does not infer it."""
        weight = weight_of(self.graph, node) if node.op_type in CONVOLUTIONS else None
        if node.op_type in ("ConvTranspose", "DeformConv"):
            return None
        return (before[0], weight[0] if weight else before[1], *window.output_size(before[2:]))

    def _parameters(self, node: Any, main: bool) -> int:
        stored: dict[str, int] = {}
        for place in parameter_places(self.graph, node, self.behind_weights):
            name = node.input[place]
            if name in self.graph.constants:
                root, count = self.graph.stored_numbers(name)
                stored[root] = count
        if main:
            self.counted.update(stored)
        return sum(stored.values())


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
