"""The costs of a graph's operators: learned parameters, and multiply-adds per run.

Fused and quantised operators, including onnxruntime's own, cost the same as the plain operators that they replace.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lookout.inspection.layers import Sides
from lookout.inspection.onnx_graph import Graph, attribute

# Operators with weights: the positions of weights and bias among the inputs.
CONVOLUTIONS = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "ConvInteger": (1,),
    "QLinearConv": (3, 8),
    "FusedConv": (1, 2),
    "NhwcFusedConv": (1, 2),
    "NhwcConv": (1, 2),
    "DeformConv": (1, 3),
}
PRODUCTS = {
    "Gemm": (1, 2),
    "MatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "QLinearMatMul": (0, 3),
    "FusedGemm": (1, 2),
    "FusedMatMul": (0, 1),
    "TransposeMatMul": (0, 1),
    "QGemm": (3, 6),
    "MatMulIntegerToFloat": (0, 1, 6),
    "DynamicQuantizeMatMul": (1, 4),
    "MatMulNBits": (1,),
}
# The positions of a product's two factors among the inputs; (0, 1) for others.
_FACTORS = {"QLinearMatMul": (0, 3), "QGemm": (0, 3)}
_RECURRENT = {"LSTM": 4, "GRU": 3, "RNN": 1}
# The positions of scale and shift; running mean and variance are measured, not learned.
_NORMS = {
    "BatchNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "RMSNormalization": (1,),
    "SimplifiedLayerNormalization": (1,),
    "SkipLayerNormalization": (2, 3, 4),
    "SkipSimplifiedLayerNormalization": (2, 3),
    "GroupNorm": (1, 2),
    "QLinearAdd": (0, 3),
    "QLinearMul": (0, 3),
    "BiasGelu": (1,),
    "FastGelu": (1,),
    "Scale": (),
}
# In sums and products, a stored operand is a separate bias or scale. Constants of all other operators are axes, limits
# or sizes, not parameters; a divisor is a count or a standard deviation.
_ELEMENTWISE = {"Add", "Sub", "Mul", "PRelu"}
# These operators have weights, but their cost is not computed; the table reports it as missing.
_UNKNOWN = {
    "Attention", "MultiHeadAttention", "QAttention", "PackedAttention", "If", "Loop", "Scan",
    "EmbedLayerNormalization",
}  # fmt: skip


def weight_of(graph: Graph, node: Any) -> Sides | None:
    """The shape of a convolution's weights."""
    place = CONVOLUTIONS[node.op_type][0]
    return graph.shapes.get(node.input[place]) if place < len(node.input) else None


def parameter_places(graph: Graph, node: Any, behind_weights: bool) -> Sequence[int]:
    """The positions of a node's learned parameters among its inputs. behind_weights: whether weights came before."""
    kind, filled = node.op_type, [place for place, name in enumerate(node.input) if name]
    known: Sequence[int] | None = CONVOLUTIONS.get(kind) or PRODUCTS.get(kind) or _NORMS.get(kind)
    if kind in _RECURRENT:
        known = (1, 2, 3)
    elif kind == "Einsum":
        known = filled
    if kind == "InstanceNormalization" and _stands_for_groups(graph, node):
        return []
    if known is not None:
        return [place for place in known if place in filled]
    if kind in ("Concat", "Gather") and behind_weights:  # a class token or an embedding
        return [place for place in filled if _is_table(graph, node.input[place])]
    if kind in _ELEMENTWISE and behind_weights:
        # Before the first layer with weights, such constants only normalise pixels; single numbers only scale.
        return [place for place in filled if _count(graph, node.input[place]) > 1]
    return []


def _stands_for_groups(graph: Graph, node: Any) -> bool:
    """Whether this is part of a GroupNorm from PyTorch: its scale is 1 and its shift 0; the learned ones follow."""
    maker = graph.makers.get(node.input[0])
    idle = [graph.values(name) for name in node.input[1:3]]
    return maker is not None and maker.op_type == "Reshape" and idle == [{1.0}, {0.0}]


def _is_table(graph: Graph, name: str) -> bool:
    return graph.is_fraction(name) and _count(graph, name) > 1


def _count(graph: Graph, name: str) -> int:
    """The number of values stored for a constant; 0 for a computed one."""
    root, count = graph.stored_numbers(name)
    return count if name in graph.constants and graph.is_stored(root) else 0


def multiply_adds(graph: Graph, node: Any, after: Sides | None) -> int | None:
    """The multiply-adds of a convolution or matrix product, 0 for other nodes; None if they cannot be computed."""
    kind = node.op_type
    if kind == "Einsum":
        return _einsum(graph, node)
    if kind in ("Attention", "MultiHeadAttention") and len(node.input) > 2 and node.input[2] not in graph.constants:
        return _attention(graph, node, after)
    if kind in _UNKNOWN:
        return None
    if kind in CONVOLUTIONS:
        weight, before = weight_of(graph, node), graph.shapes.get(node.input[0])
        if weight is None:
            return None
        if kind == "ConvTranspose":  # every input value is multiplied by the whole kernel
            return None if before is None else math.prod(before) * math.prod(weight[1:])
        return None if after is None else math.prod(after) * math.prod(weight[1:])  # c_out × c_in/groups × f × f
    if kind == "MatMulNBits":
        shared = attribute(node, "K", 0)
        return None if after is None or not shared else math.prod(after) * int(shared)
    if kind in PRODUCTS:
        left = graph.shapes.get(node.input[_FACTORS.get(kind, (0, 1))[0]])
        if after is None or not left:
            return None
        turned = attribute(node, "transA", 0)
        shared = left[-2] if turned and len(left) > 1 else left[-1]
        return math.prod(after) * shared
    if kind in _RECURRENT:
        return _recurrent(graph, node)
    return 0


def _recurrent(graph: Graph, node: Any) -> int | None:
    """In each step, the weights of input and state are used once; they are directions × gates·h × width."""
    steps, weights, state = (graph.shapes.get(node.input[place]) for place in range(3))
    if not steps or not weights or not state:
        return None
    return steps[0] * steps[1] * (math.prod(weights) + math.prod(state))


def _einsum(graph: Graph, node: Any) -> int | None:
    """For two operands: one multiply-add for each combination of their indices; otherwise None."""
    factors, _, _ = attribute(node, "equation", b"").decode().replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    for letters, name in zip(factors.split(","), node.input, strict=False):
        shape = graph.shapes.get(name)
        if shape is None or len(letters) != len(shape) or len(node.input) != 2:
            return None
        sizes |= dict(zip(letters, shape, strict=True))
    return math.prod(sizes.values())


def _attention(graph: Graph, node: Any, after: Sides | None) -> int | None:
    """Every query is multiplied by every key, and every resulting weight by a value."""
    queries, keys = (graph.shapes.get(node.input[place]) for place in (0, 1))
    if not queries or not keys or len(keys) < 3 or after is None:
        return None
    return (math.prod(queries) + math.prod(after)) * keys[-2]


def holds_unknown_weights(graph: Graph, node: Any) -> bool:
    """Whether an operator has inputs that may be learned parameters but are not counted.

    That is, an unknown operator, or a sum or product with a value that the graph computes from constants only.
    """
    if node.op_type in _ELEMENTWISE:
        return any(
            name in graph.constants and (graph.is_made_of_weights(name) or graph.is_folded(name)) for name in node.input
        )
    if node.domain in ("", "ai.onnx") and node.op_type not in _UNKNOWN:
        return False
    known = {"MultiHeadAttention", *CONVOLUTIONS, *PRODUCTS, *_NORMS}
    return node.op_type not in known and any(_is_table(graph, name) for name in node.input)
