"""The receptive field of each tensor's units, if it is a rectangle that the usual formula describes.

Where positions mix in another way (attention, products of two tensors, a reshape that splits rows), there is no such
rectangle, and none is reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from lookout.inspection.layer_costs import CONVOLUTIONS, PRODUCTS
from lookout.inspection.layers import ReceptiveField, Sides, Window
from lookout.inspection.onnx_graph import Graph, attribute

_RESHAPING = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
# Operators that work on each value separately, or combine tensors position by position.
_IN_PLACE = {
    "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Clip", "Tanh", "Sigmoid", "HardSigmoid", "HardSwish", "Gelu",
    "FastGelu", "BiasGelu", "QuickGelu", "Mish", "Swish", "Silu", "Softplus", "Softsign", "ThresholdedRelu", "Erf",
    "Exp", "Log", "Sqrt", "Pow", "Abs", "Neg", "Floor", "Ceil", "Round", "Reciprocal", "Add", "Sub", "Mul", "Div",
    "Max", "Min", "Mean", "Sum", "Where", "Cast", "Identity", "Dropout", "BatchNormalization", "QuantizeLinear",
    "DequantizeLinear", "DynamicQuantizeLinear", "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu",
    "LRN", "Pad", "LpNormalization", "LogSoftmax", "Softmax", "QLinearSoftmax", "ArgMax", "Concat", "QLinearConcat",
    "Split", "LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization",
}  # fmt: skip
# Those of them that work along an axis, with its default. They mix positions only if the picture lies along that axis.
_ALONG_AN_AXIS = {
    "Softmax": -1, "LogSoftmax": -1, "QLinearSoftmax": -1, "LpNormalization": -1, "ArgMax": 0, "Concat": 0, "Split": 0,
    "QLinearConcat": 1,
}  # fmt: skip
_ENLARGING = {"ConvTranspose", "DeformConv"}
_FROM_AN_AXIS = {"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"}


@dataclass(frozen=True, slots=True)
class Sight:
    """The receptive field of a tensor's units, and where the picture's positions are in its shape.

    axes: the axes of height and width. row: after flattening, the axis that holds all positions in sequence; mixed:
    whether channels are in that axis too; sides: height and width before flattening.
    """

    field: ReceptiveField
    axes: tuple[int, ...]
    row: int | None = None
    mixed: bool = False
    sides: Sides = ()

    @property
    def places(self) -> set[int]:
        """All axes along which the picture's positions lie."""
        return set(self.axes) | ({self.row} if self.row is not None else set())


def first_sight(graph: Graph) -> dict[str, Sight]:
    """The sight of the input itself; empty if it is not a picture."""
    shape = graph.shapes.get(graph.input)
    if shape is None or len(shape) not in (3, 4, 5):
        return {}
    sides = len(shape) - 2
    channels_last = shape[-1] in (1, 3, 4) and shape[1] not in (1, 3, 4)
    axes = tuple(range(1, sides + 1)) if channels_last else tuple(range(2, sides + 2))
    return {graph.input: Sight(ReceptiveField((1,) * sides, (1,) * sides, (0,) * sides), axes)}


def look(graph: Graph, sights: dict[str, Sight], node: Any, window: Window | None) -> ReceptiveField | None:
    """Determine the receptive field of a node's outputs, record it in `sights`, and return it; None if unknown."""
    names = [name for name in node.input if name and name not in graph.constants]
    if not names or any(name not in sights for name in names):
        return None
    sight = _behind(graph, [sights[name] for name in names], names, node, window)
    if sight is None:
        return None
    for name in node.output:
        sights[name] = sight
    return sight.field


def _behind(graph: Graph, seen: list[Sight], names: list[str], node: Any, window: Window | None) -> Sight | None:
    kind, sight, before = node.op_type, seen[0], graph.shapes.get(names[0])
    if window is not None and kind in _ENLARGING:
        return None
    if window is not None:
        if len(seen) > 1 and kind in CONVOLUTIONS:
            seen = seen[:1]  # the others are added residuals, in FusedConv
        if sight.axes != tuple(range(2, 2 + len(window.kernel))) or len(sight.field.size) != len(window.kernel):
            return None
        return Sight(sight.field.through(window), sight.axes)
    if not any(one.places for one in seen):  # no positions are left, so further layers do not enlarge the field
        return _all_together(seen)
    if kind in PRODUCTS:
        return _product(graph, sight, node, names) if len(seen) == 1 else None
    if before is None:
        return sight if kind in _IN_PLACE and len(seen) == 1 and kind not in _ALONG_AN_AXIS else None
    if kind.startswith("Reduce"):
        return _reduced(graph, sight, node, before)
    if kind == "Transpose":
        order = list(attribute(node, "perm", range(len(before))[::-1]))
        return _moved(sight, order)
    if kind in ("Slice", "Gather"):
        return _taken_out(graph, sight, node, before) if len(seen) == 1 else None
    if kind in _RESHAPING:
        return _reshaped(sight, before, graph.shapes.get(node.output[0]))
    if kind in _IN_PLACE:
        return _joined(graph, seen, names, node, before)
    return None


def _all_together(seen: list[Sight]) -> Sight | None:
    field = seen[0].field
    for other in seen[1:]:
        if len(other.field.size) != len(field.size):
            return None
        field = field.joined(other.field)
    return Sight(field, ())


def _taken_out(graph: Graph, sight: Sight, node: Any, before: Sides) -> Sight | None:
    """After an operator that selects some of the channels at all positions; None if it selects positions."""
    if node.op_type == "Gather":
        axis = int(attribute(node, "axis", 0)) % len(before)
        chosen = graph.shapes.get(node.input[1])
        if axis in sight.places or chosen is None or len(chosen) > 1 or node.input[0] in graph.constants:
            return None
        return sight if chosen else _moved(sight, [other for other in range(len(before)) if other != axis])
    axes = attribute(node, "axes", None)
    if axes is None:
        axes = graph.integers(node.input[3]) if len(node.input) > 3 and node.input[3] else list(range(len(before)))
    return sight if axes and not {axis % len(before) for axis in axes} & sight.places else None


def _joined(graph: Graph, seen: list[Sight], names: list[str], node: Any, before: Sides) -> Sight | None:
    """After combining tensors whose positions are arranged alike; tensors with a single position apply to all."""
    if node.op_type in _ALONG_AN_AXIS:
        axis = int(attribute(node, "axis", _ALONG_AN_AXIS[node.op_type])) % max(1, len(before))
        if axis in seen[0].places:
            return _over(seen[0], {axis}, before) if node.op_type.endswith("Softmax") and seen[0].mixed else None
    if node.op_type in _FROM_AN_AXIS:
        first = int(attribute(node, "axis", -1)) % max(1, len(before))
        if any(axis >= first for axis in seen[0].places):
            return None
    lying = [one for one, name in zip(seen, names, strict=True) if _has_places(graph.shapes.get(name), one)]
    sight = lying[0] if lying else seen[0]
    field = sight.field
    for other in seen:
        if len(other.field.size) != len(field.size):
            return None
        field = field.joined(other.field)
    if any((other.axes, other.row) != (sight.axes, sight.row) for other in lying):
        return None
    return replace(sight, field=field)


def _has_places(shape: Sides | None, sight: Sight) -> bool:
    """Whether a tensor of this shape has more than one position."""
    return shape is None or any(axis < len(shape) and shape[axis] > 1 for axis in sight.places)


def _product(graph: Graph, sight: Sight, node: Any, names: list[str]) -> Sight | None:
    """After a product with stored weights, which runs over one axis: that of the channels, or one of positions."""
    before = graph.shapes.get(names[0])
    if before is None:
        return None
    left = names[0] == node.input[0] or names[0] not in node.input[:1]
    axis = len(before) - 1 if left != bool(attribute(node, "transA", 0)) else max(0, len(before) - 2)
    if axis == sight.row and not sight.mixed:
        return None  # a layer over tokens, as in MLP-Mixer, after which every position sees the whole picture
    if axis == sight.row:
        return replace(sight, field=sight.field.over_all(sight.sides), axes=(), row=None, mixed=False, sides=())
    if axis in sight.axes:
        return _over(sight, {axis}, before)
    return sight


def _over(sight: Sight, over: set[int], before: Sides) -> Sight:
    """After an operator that reduces whole axes."""
    if sight.row is not None and sight.row in over:
        return Sight(sight.field.over_all(sight.sides), ())
    sides = tuple(before[axis] if axis in over else 1 for axis in sight.axes)
    return replace(sight, field=sight.field.over_all(sides)) if sides else sight


def _reduced(graph: Graph, sight: Sight, node: Any, before: Sides) -> Sight | None:
    axes = attribute(node, "axes", None)
    if axes is None and len(node.input) > 1 and node.input[1]:
        axes = graph.integers(node.input[1])
        if not axes:
            return None
    over = {axis % len(before) for axis in axes} if axes else set(range(len(before)))
    sight = _over(sight, over, before)
    if attribute(node, "keepdims", 1):
        return sight
    kept = [axis for axis in range(len(before)) if axis not in over]
    if over >= sight.places:
        return replace(sight, axes=(), row=None, sides=())
    if any(axis in over for axis in sight.places):
        return None
    return _moved(sight, kept)


def _moved(sight: Sight, order: list[int]) -> Sight | None:
    """After reordering the axes."""
    if any(axis not in order for axis in sight.places):
        return None
    row = None if sight.row is None else order.index(sight.row)
    return replace(sight, axes=tuple(order.index(axis) for axis in sight.axes), row=row)


def _reshaped(sight: Sight, before: Sides, after: Sides | None) -> Sight | None:
    """After a reshape, which may keep positions, flatten them, flatten them with channels, or drop a single one."""
    if after is None:
        return None
    if before == after or not sight.places:
        return sight
    if all(before[axis] == 1 for axis in sight.axes) and sight.row is None:
        return replace(sight, axes=())
    if sight.row is not None:
        kept = [axis for axis, side in enumerate(after) if side == before[sight.row]]
        return replace(sight, row=kept[0]) if not sight.mixed and len(kept) == 1 else None
    if (moved := _beside(sight, before, after)) is not None:
        return moved
    sides = tuple(before[axis] for axis in sight.axes)
    together = math.prod(sides)
    if all(axis + 1 == following for axis, following in zip(sight.axes, sight.axes[1:], strict=False)):
        front, behind = before[: sight.axes[0]], before[sight.axes[-1] + 1 :]
        if after == (*front, together, *behind):
            return Sight(sight.field, (), len(front), sides=sides)
        if _without_ones(after) == _without_ones(before):
            return _squeezed(sight, before, after)
    if len(after) >= 1 and after[-1] == math.prod(before[1:]) and math.prod(after[:-1]) == before[0]:
        return Sight(sight.field, (), len(after) - 1, mixed=True, sides=sides)
    return None


def _beside(sight: Sight, before: Sides, after: Sides) -> Sight | None:
    """After a reshape that changes only axes before, or only axes after those of the picture; otherwise None."""
    first, last = sight.axes[0], sight.axes[-1]
    if list(sight.axes) != sorted(sight.axes):
        return None
    if after[: last + 1] == before[: last + 1]:
        return sight
    if len(after) > len(before) - first and after[len(after) - len(before) + first :] == before[first:]:
        return replace(sight, axes=tuple(axis + len(after) - len(before) for axis in sight.axes))
    return None


def _squeezed(sight: Sight, before: Sides, after: Sides) -> Sight | None:
    """After adding or removing axes of length one; height and width are found by their lengths, from the end."""
    sides = [before[axis] for axis in sight.axes]
    rest = len(before) - 1 - sight.axes[-1]
    last = len(after) - rest
    axes = tuple(range(last - len(sides), last))
    return replace(sight, axes=axes) if axes[0] >= 0 and [after[axis] for axis in axes] == sides else None


def _without_ones(shape: Sides) -> list[int]:
    return [side for side in shape if side != 1]
