"""Prepares a user's ONNX file for installation: one file that takes one picture and returns numbers.

Differences are fixed if that does not change what the network computes: weights in other files are joined, a fixed
batch size becomes 1, a half-precision input gets a cast, a ZipMap is removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from lookout.errors import ModelRejected
from lookout.inspection.onnx_graph import attribute, graph_inputs, load_graph
from lookout.pipeline.card import MAX_GRAPH_BYTES
from lookout.system.regular_files import open_regular

_EXTERNAL = TensorProto.EXTERNAL
_CAST_FROM = {TensorProto.FLOAT16: "float16", TensorProto.DOUBLE: "float64", TensorProto.BFLOAT16: "bfloat16"}


@dataclass(slots=True)
class GraphFile:
    """An ONNX file and, if it had to be changed, its new content. changes: descriptions of the changes.

    batch: the original batch size. batched: the content before the batch size became 1, for comparison; None if it
    was 1.
    """

    path: Path
    model: Any
    changes: list[str]
    batch: int = 1
    batched: bytes | None = None

    @property
    def data(self) -> bytes | None:
        """The new content; None if the file is used unchanged."""
        return bytes(self.model.SerializeToString()) if self.changes else None


def prepare(path: Path) -> GraphFile:
    """Read an ONNX file and fix what can be fixed. Raises ModelRejected."""
    file = GraphFile(path, load_graph(path), [])
    _join_weights(file)
    _drop_zip_maps(file)
    inputs = graph_inputs(file.model)
    if len(inputs) != 1:
        named = ", ".join(value.name for value in inputs[:5])
        raise ModelRejected(
            f"{path} has {len(inputs)} inputs ({named}), but a classifier of pictures has one.",
            "Export it with the picture as its only input.",
        )
    _cast_input(file, inputs[0])
    _single_picture(file, inputs[0])
    return file


# --- weights in other files -----------------------------------------------------------------------------------------


def _join_weights(file: GraphFile) -> None:
    outside = [tensor for tensor in _tensors(file.model.graph) if tensor.data_location == _EXTERNAL]
    if not outside:
        return
    total = file.model.ByteSize()
    for tensor in outside:
        data = _external_data(file.path, tensor)
        total += len(data)
        if total > MAX_GRAPH_BYTES:
            raise ModelRejected(
                f"{file.path} and its weights are larger than 2 GiB, which no single ONNX file can hold.",
                "Export a smaller network, or one in half precision.",
            )
        tensor.raw_data = data
        del tensor.external_data[:]
        tensor.data_location = TensorProto.DEFAULT
    file.changes.append("its weights were joined from other files")


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield all stored tensors, including those of constants and subgraphs."""
    yield from graph.initializer
    for node in graph.node:
        for item in node.attribute:
            if item.HasField("t"):
                yield item.t
            yield from item.tensors
            if item.HasField("g"):
                yield from _tensors(item.g)
            for inner in item.graphs:
                yield from _tensors(inner)


def _external_data(path: Path, tensor: Any) -> bytes:
    entry = {item.key: item.value for item in tensor.external_data}
    name = entry.get("location", "")
    inside = Path(os.path.normpath(name))
    if not name or inside.is_absolute() or ".." in inside.parts:
        raise ModelRejected(
            f'{path} keeps the weights "{tensor.name}" outside its folder.', "Export it with the weights inside."
        )
    where = path.parent / inside
    try:
        offset, length = int(entry.get("offset", 0)), int(entry.get("length", 0))
        with open_regular(where, 2**40, follow_links=True) as data:
            size = os.fstat(data.fileno()).st_size
            length = length or size - offset
            if offset < 0 or length < 0 or offset + length > size:
                raise ModelRejected(f"{where} is shorter than {path} says.", "Copy both files again.")
            data.seek(offset)
            return data.read(min(length, MAX_GRAPH_BYTES + 1))
    except OSError as error:
        raise ModelRejected(
            f"{path} keeps its weights in {where}, which cannot be read: {error.strerror or error}.",
            "Put that file beside it.",
        ) from error
    except ValueError as error:
        raise ModelRejected(
            f'{path} does not say where the weights "{tensor.name}" are.', "Export it again."
        ) from error


# --- input and output -----------------------------------------------------------------------------------------------


def _drop_zip_maps(file: GraphFile) -> None:
    """Remove each ZipMap, which turns numbers into a list of dictionaries, and return its input instead."""
    graph = file.model.graph
    for node in [node for node in graph.node if node.op_type == "ZipMap"]:
        for index, output in enumerate(graph.output):
            if output.name == node.output[0]:
                numbers = helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, None)
                graph.output[index].CopyFrom(numbers)
        graph.node.remove(node)
        file.changes.append("its ZipMap was left out")


def _cast_input(file: GraphFile, value: Any) -> None:
    kind = value.type.tensor_type.elem_type
    if kind not in _CAST_FROM:
        return
    graph = file.model.graph
    inner = f"{value.name}.as_{_CAST_FROM[kind]}"
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == value.name:
                node.input[place] = inner
    graph.node.insert(0, helper.make_node("Cast", [value.name], [inner], name="cast of the picture", to=kind))
    value.type.tensor_type.elem_type = TensorProto.FLOAT
    file.changes.append(f"its input of {_CAST_FROM[kind]} was preceded by a cast")


def _single_picture(file: GraphFile, value: Any) -> None:
    """Reduce a fixed batch size to 1. `graph_facts.check_single` finds out whether the network allows that."""
    dims = value.type.tensor_type.shape.dim
    if len(dims) != 4 or not dims[0].HasField("dim_value") or dims[0].dim_value < 2:
        return
    file.batch = batch = dims[0].dim_value
    file.batched = bytes(file.model.SerializeToString())
    dims[0].dim_value = 1
    graph = file.model.graph
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    _unfix_reshapes(graph, batch)
    file.changes.append(f"its batch of {batch} pictures was changed to 1")


def _unfix_reshapes(graph: Any, batch: int) -> None:
    """Change Reshape to (batch, ...), into which exporters write the batch size, to (1, ...)."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    stored |= {
        node.output[0]: attribute(node, "value", None)
        for node in graph.node
        if node.op_type == "Constant" and attribute(node, "value", None) is not None
    }
    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape" and len(node.input) > 1}
    for tensor in (stored[name] for name in shapes if name in stored):
        sizes = onnx.numpy_helper.to_array(tensor).copy()
        if sizes.ndim == 1 and len(sizes) and sizes[0] == batch:
            sizes[0] = 1
            tensor.CopyFrom(onnx.numpy_helper.from_array(sizes, tensor.name))
