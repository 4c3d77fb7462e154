"""Shapes that onnx cannot infer (unknown operators, computed sizes), found by running the graph once."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnxruntime as ort

from lookout.inspection.extra_outputs import more_outputs
from lookout.inspection.layers import Sides
from lookout.pipeline.card import MAX_GRAPH_BYTES
from lookout.pipeline.run_limit import run_limited
from lookout.pipeline.session import one_line, session_options
from lookout.system.regular_files import read_regular

# This many inner tensors fit into memory at once, for networks that suit small computers.
_MAX_MEASURED = 4000
# Generous, since the run is without optimisations, happens once per table, and no camera waits for it.
_LIMIT_S = 60.0
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
_PROVIDERS = ["CPUExecutionProvider"]


def refusal(path: Path) -> str | None:
    """The reason why onnxruntime does not load a graph; None if it does."""
    try:
        ort.InferenceSession(str(path), session_options(threads=1), providers=_PROVIDERS)
    except Exception as error:  # onnxruntime's errors have no common base class
        return one_line(error)
    return None


def measured_shapes(
    path: Path, shape: Sides | None, names: Collection[str], outputs: Collection[str]
) -> dict[str, Sides]:
    """Return the shapes of inner tensors in a run on a black picture of this shape; empty if that fails.

    names: the names of the tensors. outputs: the tensors that are outputs anyway.
    """
    if shape is None or len(names) > _MAX_MEASURED:
        return {}
    options = session_options(threads=1)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # optimisation would remove tensors
    try:
        data = read_regular(path, MAX_GRAPH_BYTES, follow_links=True)
        more = more_outputs(name for name in names if name not in outputs)
        session = ort.InferenceSession(data + more, options, providers=_PROVIDERS)
        del data
        value = session.get_inputs()[0]
        picture = np.zeros(shape, _TYPES[value.type])
        values = run_limited(session, list(names), {value.name: picture}, _LIMIT_S)
    except Exception:  # onnxruntime's errors have no common base class
        return {}
    return {name: value.shape for name, value in zip(names, values, strict=True) if isinstance(value, np.ndarray)}
