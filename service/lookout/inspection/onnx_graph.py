"""Reads ONNX graphs: inputs, shapes, stored numbers. Needs the onnx package, so the service never imports it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx.inliner import inline_local_functions

from lookout.errors import ModelRejected
from lookout.inspection.layers import Sides
from lookout.inspection.measured_shapes import measured_shapes, refusal
from lookout.inspection.unfolded_tables import REARRANGING, unfolded_tables
from lookout.pipeline.card import MAX_GRAPH_BYTES
from lookout.system.regular_files import open_regular

_SNIFFED_BYTES = 512
# Files that are mistaken for ONNX models, recognised by their first bytes, and how to get an ONNX model from them.
_OTHER_FORMATS = (
    (re.compile(rb"^version https://git-lfs"), "a pointer of Git LFS", "Fetch the file itself: git lfs pull."),
    (re.compile(rb"^PK\x03\x04|^\x80[\x02-\x05]"), "a PyTorch, Keras or zip file", "Convert it: torch.onnx.export."),
    (re.compile(rb"^\x89HDF"), "a Keras file", "Convert it with tf2onnx."),
    (re.compile(rb"^....TFL3", re.DOTALL), "a TensorFlow Lite file", "Convert it: python -m tf2onnx.convert --tflite."),
    (re.compile(rb"^....ORTM", re.DOTALL), "an ORT file", "Use the .onnx file that it was made from."),
    (re.compile(rb"^\s*<(?:!doctype|html)", re.IGNORECASE), "a web page", "Download the file itself."),
    (re.compile(rb"^\x1f\x8b|^BZh|^\xfd7zXZ"), "a compressed file", "Unpack it first."),
)
# Only larger constants are stripped; smaller ones may be sizes and axes that shapes depend on.
_STRIPPED_BYTES = 1024
MAX_SIDE = 2**31 - 1
# PyTorch's exporters name a constant that is not one of the network's own weights after an operation.
_NUMBERED = re.compile(
    r"(val|tmp|add|mul|cat|clone|conv2d|expand|index|interpolate|linear|permute|reshape|select|slice|squeeze|transpose|"
    r"unsqueeze|upsample\w*|view)(_\d+)*$|onnx::\w+_\d+$"
)
_PRECISIONS = {
    onnx.TensorProto.FLOAT: "fp32",
    onnx.TensorProto.DOUBLE: "fp64",
    onnx.TensorProto.FLOAT16: "fp16",
    onnx.TensorProto.BFLOAT16: "bf16",
    onnx.TensorProto.INT8: "int8",
    onnx.TensorProto.UINT8: "int8",
    onnx.TensorProto.INT4: "int4",
    onnx.TensorProto.UINT4: "int4",
}
# Shapes are fixed once the input's shape is, so values computed from them do not depend on the picture.
ALWAYS_CONSTANT = {"Constant", "Shape", "Size"}


def load_graph(path: Path) -> Any:
    """Load the ModelProto of an ONNX file, without external data. Raises ModelRejected."""
    remedy = "Give the path of an .onnx file, or a name that `lookout models list` shows."
    try:
        with open_regular(path, MAX_GRAPH_BYTES, follow_links=True) as file:
            begins = file.peek(_SNIFFED_BYTES)[:_SNIFFED_BYTES]
            model = onnx.load(file, format="protobuf", load_external_data=False)
    except OSError as error:
        raise ModelRejected(f"{path} cannot be read: {error.strerror or error}.", remedy) from error
    except (DecodeError, RecursionError) as error:
        for pattern, what, way in _OTHER_FORMATS:
            if pattern.search(begins):
                raise ModelRejected(f"{path} is not an ONNX model, but {what}.", way) from error
        raise ModelRejected(f"{path} is not an ONNX model.", remedy) from error
    if not model.graph.node or not model.graph.output:
        raise ModelRejected(f"{path} is not an ONNX model: there is no graph in it.", remedy)
    return model


def attribute(node: Any, name: str, default: Any) -> Any:
    """A node's attribute as a Python value, or `default`."""
    for item in node.attribute:
        if item.name == name:
            return onnx.helper.get_attribute_value(item)
    return default


def inputs_of(node: Any) -> list[str]:
    """The tensors that a node uses, including those that the graphs inside it (of If, Loop and Scan) use."""
    inside = [item.g for item in node.attribute if item.HasField("g")]
    inside += [graph for item in node.attribute for graph in item.graphs]
    return [*node.input, *(name for graph in inside for name in _taken_from_outside(graph))]


def _taken_from_outside(graph: Any) -> list[str]:
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {name for node in graph.node for name in node.output}
    used = [name for node in graph.node for name in inputs_of(node)] + [value.name for value in graph.output]
    return [name for name in dict.fromkeys(used) if name and name not in own]


def graph_inputs(model: Any) -> list[Any]:
    """The inputs that must be fed; ONNX may list stored weights among the inputs as well."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in stored]


def dimensions(value: Any) -> Sides | None:
    """The shape of a graph's value; None if a size is open."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    return tuple(dim.dim_value for dim in tensor.shape.dim)


def precision_of(model: Any) -> str:
    """The type of most of a graph's stored numbers, as a card names precisions: fp32, fp16, int8 …"""
    counts: dict[str, int] = {}
    constants = [attribute(node, "value", None) for node in model.graph.node if node.op_type == "Constant"]
    for tensor in (*model.graph.initializer, *(tensor for tensor in constants if tensor is not None)):
        kind = _PRECISIONS.get(tensor.data_type)
        if kind is not None:
            counts[kind] = counts.get(kind, 0) + math.prod(tensor.dims)
    return max(counts, key=counts.__getitem__) if any(counts.values()) else "fp32"


@dataclass(frozen=True)
class Graph:
    """A graph for one size of picture.

    shapes: of every tensor, None if unknown. constants: the tensors that are the same for every picture. makers: the
    node that computes a tensor. unfolded: the number of learned values in each table of positions that is stored
    unfolded.
    """

    nodes: list[Any]
    input: str
    outputs: list[str]
    shapes: dict[str, Sides | None]
    constants: set[str]
    makers: dict[str, Any]
    stored: dict[str, Any]
    unfolded: dict[str, int]

    @classmethod
    def of(cls, model: Any, path: Path, shape: Sides | None, *, strip: bool = False) -> Graph:
        """Determine every shape for an input of this shape. Raises ModelRejected if it is open or does not fit.

        strip: drop the weights, which are not needed for shapes and would be copied several times.
        """
        _fix_input_shape(model, path, shape)
        if model.functions:
            model = inline_local_functions(model)
        unfolded = unfolded_tables(model.graph)
        if strip:
            _strip(model.graph)
        model = _with_shapes(model, path)
        graph = model.graph
        stored = {tensor.name: tensor for tensor in graph.initializer}
        shapes: dict[str, Sides | None] = {name: tuple(tensor.dims) for name, tensor in stored.items()}
        for value in (*graph.input, *graph.value_info, *graph.output):
            shapes.setdefault(value.name, dimensions(value))
        constants = _constants(graph.node, stored)
        open_ones = [
            name for node in graph.node for name in node.output
            if name and name not in constants and shapes.get(name) is None
        ]  # fmt: skip
        if open_ones:
            outputs = {value.name for value in graph.output}
            shapes.update(measured_shapes(path, shapes[graph_inputs(model)[0].name], open_ones, outputs))
        return cls(
            nodes=list(graph.node),
            input=graph_inputs(model)[0].name,
            outputs=[value.name for value in graph.output],
            shapes=shapes,
            constants=constants,
            makers={name: node for node in graph.node for name in node.output},
            stored=stored,
            unfolded=unfolded,
        )

    def needed_for(self, output: str) -> set[str]:
        """The names of all tensors that this output depends on."""
        needed: set[str] = set()
        waiting = [output]
        while waiting:
            name = waiting.pop()
            if name and name not in needed:
                needed.add(name)
                waiting.extend(inputs_of(self.makers[name]) if name in self.makers else ())
        return needed

    def stored_numbers(self, name: str) -> tuple[str, int]:
        """The name of the stored tensor that a constant comes from, and the number of values in it."""
        while name not in self.stored and name in self.makers and self.makers[name].op_type in REARRANGING:
            name = self.makers[name].input[0]
        return name, self.unfolded.get(name, math.prod(self.shapes.get(name) or (0,)))

    def is_stored(self, name: str) -> bool:
        """Whether the values of a tensor are stored in the file, not computed."""
        return name in self.stored or (name in self.makers and self.makers[name].op_type == "Constant")

    def values(self, name: str) -> set[float]:
        """The distinct values of a small stored constant; empty if it is larger or not stored."""
        root = self.stored_numbers(name)[0]
        tensor = self.stored.get(root)
        if tensor is None and root in self.makers:
            tensor = attribute(self.makers[root], "value", None)
        if tensor is None or math.prod(tensor.dims) * 4 > _STRIPPED_BYTES or tensor.data_type not in _PRECISIONS:
            return set()
        return set(onnx.numpy_helper.to_array(tensor).ravel().tolist())

    def is_folded(self, name: str) -> bool:
        """Whether an exporter may have computed a constant from several weights, judging by its name."""
        root = self.stored_numbers(name)[0]
        sides = [side for side in self.shapes.get(root) or () if side > 1]
        return _NUMBERED.match(root) is not None and len(sides) > 1 and root not in self.unfolded

    def is_made_of_weights(self, name: str) -> bool:
        """Whether a constant is computed from weights: from stored floating-point tensors of more than one value."""
        root = self.stored_numbers(name)[0]
        if self.is_stored(root):
            return False
        return any(
            other in self.stored and self.is_fraction(other) and math.prod(self.shapes[other] or ()) > 1
            for other in self._computed_from(root)
        )

    def _computed_from(self, name: str) -> set[str]:
        """All tensors that a constant's value is computed from, without those of which only the shape is used."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            name = waiting.pop()
            if name and name not in found:
                found.add(name)
                maker = self.makers.get(name)
                if maker is not None and maker.op_type not in ALWAYS_CONSTANT:
                    waiting.extend(maker.input)
        return found

    def is_fraction(self, name: str) -> bool:
        """Whether a constant holds floating-point values, or quantised ones."""
        root = self.stored_numbers(name)[0]
        tensor = self.stored.get(root)
        if tensor is None and root in self.makers and self.makers[root].op_type == "Constant":
            tensor = attribute(self.makers[root], "value", None)
        return name in self.constants and tensor is not None and tensor.data_type in _PRECISIONS

    def integers(self, name: str) -> list[int]:
        """The integers of a stored constant, such as axes; empty if it is computed."""
        tensor = self.stored.get(name)
        if tensor is None and name in self.makers:
            tensor = attribute(self.makers[name], "value", None)
        return [] if tensor is None else [int(number) for number in onnx.numpy_helper.to_array(tensor).ravel()]


def _constants(nodes: Iterable[Any], stored: Iterable[str]) -> set[str]:
    known = set(stored)
    for node in nodes:  # ONNX orders nodes by dependency
        inputs = [name for name in inputs_of(node) if name]
        if node.op_type in ALWAYS_CONSTANT or (inputs and all(name in known for name in inputs)):
            known.update(node.output)
    return known


def example_shape(found: Sequence[Any], side: int) -> str:
    """A shape for --shape, in the order of the file: what the file leaves open is filled in."""
    usual = [1, *(dim if isinstance(dim, int) and dim > 0 else side for dim in found[1:])]
    if len(usual) == 4 and not any(isinstance(dim, int) and dim in (1, 3) for dim in found[1:]):
        usual[1] = 3
    return ",".join(map(str, usual))


def _fix_input_shape(model: Any, path: Path, shape: Sides | None) -> None:
    inputs = graph_inputs(model)
    if not inputs or not inputs[0].type.HasField("tensor_type"):
        raise ModelRejected(
            f"{path} takes no tensor as its input, so it is not a network for pictures.",
            "Export it with the picture as its input.",
        )
    dims = inputs[0].type.tensor_type.shape.dim
    if shape is not None and len(shape) != len(dims):
        raise ModelRejected(f"{path} takes {len(dims)} dimensions, but {len(shape)} sizes were given.")
    if shape is not None and not all(1 <= size <= MAX_SIDE for size in shape):
        raise ModelRejected(f"--shape {','.join(map(str, shape))} is not a size: numbers are between 1 and {MAX_SIDE}.")
    for index, dim in enumerate(dims):
        if shape is not None:
            dim.dim_value = shape[index]
        elif not dim.HasField("dim_value") or dim.dim_value < 1:
            if index:
                found = [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
                raise ModelRejected(
                    f"{path} leaves the size of its input “{inputs[0].name}” open.",
                    f"Say which size to work it out for, for example --shape {example_shape(found, 96)}.",
                )
            dim.dim_value = 1


def _with_shapes(model: Any, path: Path) -> Any:
    # Shapes stored in the file may still contain open sizes, so they are inferred again.
    del model.graph.value_info[:]
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    try:
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as error:
        if (reason := refusal(path)) is None:
            return model  # onnxruntime accepts the graph, so its shapes can be measured
        raise ModelRejected(
            f"The layers of {path} do not fit each other: {reason or _last_line(error)}.", "Export it again."
        ) from error


def _strip(graph: Any) -> None:
    for tensor in graph.initializer:
        if len(tensor.raw_data) > _STRIPPED_BYTES and tensor.data_type in _PRECISIONS:
            tensor.ClearField("raw_data")


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1].rstrip(".")
