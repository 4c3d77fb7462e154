"""Whether a network's answer is logits or probabilities, by the operator that computes it and by its values.

Whatever is neither is refused: a softmax of values that are between 0 and 1 already makes all labels about equally
likely, and nobody would notice why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lookout.errors import ModelRejected
from lookout.inspection.onnx_graph import attribute
from lookout.pipeline.classifier import sum_tolerance

Ending = Literal["logits", "probabilities"]

# Operators that may follow the one that computes the output.
_SEEN_THROUGH = {"Cast", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Dropout"}
_SEEN_THROUGH |= {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}
# With a stored operand, these only scale and shift.
_SCALING = {"Add", "Mul", "Sub", "Div"}
# Operators whose outputs may be any number, so that values between 0 and 1 are a coincidence.
_LINEAR = {"Gemm", "MatMul", "Conv", "Add", "Mul", "Sub", "GlobalAveragePool", "ReduceMean"}
_SIGMOIDS = {"Sigmoid", "HardSigmoid", "QLinearSigmoid", "LOGISTIC"}
_IS_LOGITS = "If its numbers are logits all the same, add it with --ends-in logits."


def ending_of(path: Path, output: str, graph: Any, values: NDArray[np.float64], ends_in: str | None) -> Ending:
    """Determine whether an output is logits or probabilities.

    values: pictures x numbers. ends_in: --ends-in. Raises ModelRejected if that contradicts, or if it is neither.
    """
    kind, quantised = origin(graph, output)
    inside = bool(values.min() >= -1e-4 and values.max() <= 1.0 + 1e-3)
    numbers = values.shape[1]
    one = numbers == 1
    adds_up = inside and bool(np.abs(values.sum(axis=1) - 1.0).max() <= sum_tolerance(numbers if quantised else 0))
    probable = kind in _SIGMOIDS or (kind not in _LINEAR and bool(np.ptp(values) > 1e-6))
    measured: Ending = "probabilities" if inside and (probable if one else adds_up) else "logits"
    if measured == "logits" and (why := _neither(kind, values, inside=inside, insisted=ends_in == "logits")):
        raise ModelRejected(f'The output "{output}" of {path} {why[0]}', why[1])
    if ends_in == "probabilities" and measured == "logits":
        low, high = values.min(), values.max()
        raise ModelRejected(
            f'The output "{output}" of {path} contains no probabilities: it lies between {low:.3g} and {high:.3g} '
            "and does not add up to 1.",
            "Leave --ends-in out; it is measured.",
        )
    if ends_in == "logits" and measured == "probabilities" and (kind in _SIGMOIDS or not one):
        raise ModelRejected(
            f'The output "{output}" of {path} contains probabilities, not logits: they add up to 1 for every picture.'
            if not one
            else f'The output "{output}" of {path} is a probability, not a logit.',
            "Leave --ends-in out; it is measured.",
        )
    return "logits" if ends_in == "logits" else measured


def _neither(kind: str, values: NDArray[np.float64], *, inside: bool, insisted: bool) -> tuple[str, str] | None:
    """Why values that are not probabilities are not logits either, and what helps; None if they are.

    inside: whether they lie between 0 and 1. insisted: whether the user says they are logits.
    """
    many, export = values.shape[1] > 1, "Export it without that."
    by_chance = insisted or kind in _LINEAR or np.ptp(values) <= 1e-6
    if many and inside and kind == "Softmax":
        return "comes from a softmax that does not run over the labels.", "Export it with the axis of the labels."
    if many and inside and (kind in _SIGMOIDS or not by_chance):
        return (
            "contains an independent probability for each label (one sigmoid each): such labels are not mutually "
            "exclusive, as Lookout's have to be.",
            f"Train and export it with a softmax.{'' if kind in _SIGMOIDS else ' ' + _IS_LOGITS}",
        )
    if many and kind == "TopK":
        return "is sorted by size, so its numbers belong to other labels for each picture.", export
    if insisted:
        return None
    sums = values.sum(axis=1)
    if many and values.min() >= -1e-4 and np.ptp(values) > 1e-6 and np.ptp(sums) <= 1e-3 * sums.max():
        return f"contains probabilities times {sums.mean():.4g}: they add up to that for every picture.", export
    if kind in _SIGMOIDS and not many:
        return f"is a probability, scaled: it lies between {values.min():.3g} and {values.max():.3g}.", export
    if kind == "Tanh" and np.abs(values).max() <= 1.0 + 1e-3:
        return "lies between -1 and 1, behind a tanh: neither logits nor probabilities.", f"{export} {_IS_LOGITS}"
    return None


def origin(graph: Any, output: str) -> tuple[str, bool]:
    """The operator that computes an output, before casts, reshapes and scaling, and whether its result is quantised."""
    quantised = False
    stored = {tensor.name for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    stored |= {name for name, node in makers.items() if node.op_type == "Constant"}
    for _ in range(len(makers) + 1):
        node = makers.get(output)
        if node is None:
            return "", quantised
        before = _before(node, stored)
        if before is None:
            return _kind(node), quantised
        quantised |= "Quantize" in node.op_type
        output = before
    return "", quantised


def _before(node: Any, stored: set[str]) -> str | None:
    """The tensor that a node only casts, reshapes or scales; None for other nodes."""
    if node.op_type in _SEEN_THROUGH:
        return str(node.input[0])
    computed = [name for name in node.input if name not in stored]
    scales = node.op_type in _SCALING and len(node.input) == 2 and len(computed) == 1
    # A constant divided by the value, as in a sigmoid written out, does more than scale.
    return computed[0] if scales and not (node.op_type == "Div" and computed[0] != node.input[0]) else None


def _kind(node: Any) -> str:
    if node.op_type in ("LinearClassifier", "TreeEnsembleClassifier", "SVMClassifier"):
        return str(attribute(node, "post_transform", b"NONE").decode())
    return str(node.op_type)
