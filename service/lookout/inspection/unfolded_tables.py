"""Tables of relative positions that an exporter has unfolded into a value for each pair of positions, mostly repeated.

A network learns one value for each distance and head; PyTorch's exporters may store the matrix that is built from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

# Operators that may come between a stored weight and its use without changing the number of learned values.
REARRANGING = {
    *("Cast", "DequantizeLinear", "QuantizeLinear", "Identity"),
    *("Transpose", "Reshape", "Unsqueeze", "Squeeze", "Expand", "Gather"),
}
_USERS = {"Add", "Sub", "Mul"}
_MAX_NUMBERS = 2**23


def unfolded_tables(graph: Any) -> dict[str, int]:
    """Return the number of learned values in each unfolded table of a graph, by name; 0 for a mask."""
    used: set[str] = set()
    for node in reversed(graph.node):  # ONNX orders nodes by dependency
        if node.op_type in _USERS:
            used.update(node.input)
        elif node.op_type in REARRANGING and node.output[0] in used:
            used.add(node.input[0])
    return {
        name: learned
        for name, tensor in _stored(graph)
        if name in used and _may_be_one(tensor)
        for learned in [_learned(onnx.numpy_helper.to_array(tensor))]
        if learned < math.prod(tensor.dims)
    }


def _stored(graph: Any) -> Iterator[tuple[str, Any]]:
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        if node.op_type == "Constant":
            for item in node.attribute:
                if item.name == "value":
                    yield node.output[0], item.t


def _may_be_one(tensor: Any) -> bool:
    """Whether a tensor may have a value for each pair of positions: ... x heads x n x n, or pairs x heads."""
    sides = tuple(tensor.dims)
    if tensor.data_location == onnx.TensorProto.EXTERNAL or math.prod(sides) > _MAX_NUMBERS or len(sides) < 2:
        return False
    return _is_row_of_pairs(sides) or (len(sides) > 2 and sides[-1] == sides[-2] > 1)


def _is_row_of_pairs(sides: tuple[int, ...]) -> bool:
    return len(sides) == 2 and math.isqrt(sides[0]) ** 2 == sides[0] > 1


def _learned(table: NDArray[Any]) -> int:
    """Count the distinct rows of a table, since pairs at the same distance have the same values in every head.

    If most pairs differ, it is not an unfolded table, and all values count.
    """
    if table.dtype.kind != "f" or (values := np.unique(table).size) == 1:
        return table.size
    if values == 2:  # a mask of the pairs that may attend to each other
        return 0
    pairs = table if table.ndim == 2 else table.reshape(-1, table.shape[-1] * table.shape[-2]).T
    different = np.unique(np.ascontiguousarray(pairs), axis=0).shape[0]
    return different * pairs.shape[1] if 2 * different <= pairs.shape[0] else table.size
