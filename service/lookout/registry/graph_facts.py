"""Facts about a graph, from its declarations and from running it on a few pictures, so that users need not be asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from lookout.errors import ModelRejected
from lookout.frame import Pixels
from lookout.inspection.onnx_graph import example_shape
from lookout.pipeline.card import InputSpec
from lookout.pipeline.preprocess import new_tensor, preprocess
from lookout.pipeline.run_limit import run_limited
from lookout.pipeline.session import one_line, session_options
from lookout.registry.endings import Ending, ending_of
from lookout.registry.graph_file import GraphFile

Floats = NDArray[np.float64]

_ELEMENT_TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}
_NUMBERS = {"tensor(float)", "tensor(float16)", "tensor(double)"}
_ROLES = {"embedding": 2, "feature_map": 4, "activation_map": 4}
# If one label is missing out of more than this many, it may be that of the background.
_MANY = 50


@dataclass(frozen=True, slots=True)
class GraphInput:
    """A graph's input. own_scaling: "raw" or "zero-to-one" if the graph normalises pixels of that range itself."""

    name: str
    dtype: Literal["float32", "uint8"]
    layout: Literal["NHWC", "NCHW"]
    channels: int
    height: int
    width: int
    own_scaling: str | None = None


@dataclass(frozen=True, slots=True)
class GraphAnswer:
    """The output that is the answer. numbers: its number of values; 1 for a sigmoid of two labels.

    constant: whether it was the same for every picture. roles: other useful outputs, by purpose. others: outputs that
    might have been the answer.
    """

    output: str
    numbers: int
    ending: Ending
    constant: bool
    roles: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()


def open_graph(file: GraphFile) -> ort.InferenceSession:
    """Open a session for the graph. Raises ModelRejected with onnxruntime's reason."""
    data = file.data
    try:
        options = session_options(threads=1)
        return ort.InferenceSession(data or str(file.path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base class
        raise ModelRejected(
            f"onnxruntime cannot run {file.path}: {one_line(error)}.",
            "Export it for this version of onnxruntime, for example with opset 17.",
        ) from error


# --- the input ------------------------------------------------------------------------------------------------------


def input_of(file: GraphFile, session: ort.InferenceSession, shape: Sequence[int] | None) -> GraphInput:
    """Describe the graph's input. shape: all dimensions in the file's order, for open ones. Raises ModelRejected."""
    value = session.get_inputs()[0]
    dtype = _ELEMENT_TYPES.get(value.type)
    if dtype is not None and not value.shape:
        raise ModelRejected(
            f"{file.path} does not say how many dimensions its input has.", "Export it for pictures of a fixed size."
        )
    if dtype is None or len(value.shape) != 4:
        given = dtype or value.type.removeprefix("tensor(").rstrip(")")
        found = f"{given} in {len(value.shape)} dimensions"
        raise ModelRejected(
            f"{file.path} takes {found}; a classifier of pictures takes float32 or uint8 in four.",
            "Export it with such an input.",
        )
    size = _size(file.path, value.name, value.shape, shape)
    last = size[3] in (1, 3) and size[1] not in (1, 3)
    channels, height, width = (size[3], size[1], size[2]) if last else (size[1], size[2], size[3])
    if channels not in (1, 3):
        raise ModelRejected(
            f"{file.path} takes pictures of {channels} channels ({_shape(size)}); cameras have 1 or 3.",
            "Give --shape in the order of the file." if shape else "Export a network for such pictures.",
        )
    if not (4 <= height <= 4096 and 4 <= width <= 4096):
        raise ModelRejected(
            f"{file.path} takes pictures of {width}×{height}; sides from 4 to 4096 can be used.",
            "Export a network for such pictures.",
        )
    return GraphInput(
        name=value.name,
        dtype="uint8" if dtype == "uint8" else "float32",
        layout="NHWC" if last else "NCHW",
        channels=channels,
        height=height,
        width=width,
        own_scaling=_own_scaling(file.model.graph, value.name),
    )


def _size(path: Path, name: str, found: Sequence[Any], shape: Sequence[int] | None) -> list[int]:
    """The input's shape for one picture. Raises ModelRejected if it is open, or differs from the requested one."""
    if shape is not None and len(shape) != len(found):
        raise ModelRejected(
            f"{path} takes {len(found)} dimensions, but {len(shape)} sizes were given.", "Give one for each."
        )
    size = []
    for index, dim in enumerate(found):
        fixed = dim if isinstance(dim, int) and dim > 0 else None
        given = None if shape is None else int(shape[index])
        if index == 0:
            size.append(1)
        elif fixed is not None and given not in (None, fixed):
            raise ModelRejected(
                f"{path} takes {_shape(found)}, which --shape {','.join(map(str, shape or ()))} contradicts.",
                "Leave --shape out, or give the sizes that the file has.",
            )
        elif fixed is None and given is None:
            raise ModelRejected(
                f"{path} leaves the size of its input “{name}” open.",
                f"Give the size it was trained with, for example --shape {example_shape(found, 224)}.",
            )
        else:
            size.append(fixed or given or 0)
    return size


def check_single(file: GraphFile, spec: InputSpec, found: Mapping[str, list[Any]], picture: Pixels) -> None:
    """Check that a graph whose batch was reduced to one picture gives the same results as before.

    found: the outputs for each picture, of which `picture` is the last. Raises ModelRejected if they differ.
    """
    if file.batched is None:
        return
    tensor = new_tensor(spec)
    preprocess(picture, spec, tensor)
    refusal = ModelRejected(
        f"{file.path} takes {file.batch} pictures at once, and cannot be changed to take one.",
        "Export it for one picture, or with an open batch size.",
    )
    try:
        session = ort.InferenceSession(file.batched, session_options(threads=1), providers=["CPUExecutionProvider"])
        whole = run_limited(session, list(found), {spec.name: np.repeat(tensor, file.batch, axis=0)})
    except Exception as error:  # onnxruntime's errors have no common base class
        raise refusal from error
    for values, together in zip(found.values(), whole, strict=True):
        first = np.asarray(together)[:1].ravel()
        if first.size != values[-1].size or not np.allclose(first, values[-1].ravel(), rtol=1e-3, atol=1e-4):
            raise refusal


def _shape(sides: Sequence[Any]) -> str:
    return "×".join(str(side) for side in sides)


def _own_scaling(graph: Any, name: str) -> str | None:
    """The range of pixels that the graph normalises itself, by the operators at its start; None if it does not."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if name not in node.input:
            continue
        if node.op_type in ("Cast", "Transpose", "Identity"):
            name = node.output[0]
            continue
        if node.op_type not in ("Sub", "Div", "Mul", "Add"):
            return None
        constant = next((stored[other] for other in node.input if other in stored), None)
        if constant is None or math.prod(constant.dims) > 3:
            return None
        values = np.abs(_values(constant)).ravel()
        if node.op_type in ("Div", "Sub", "Add") and values.max() > 1.5:
            return "raw"
        if node.op_type == "Mul" and 0 < values.max() < 0.05:
            return "raw"
        return "zero-to-one" if node.op_type in ("Sub", "Div") and values.max() <= 1.0 else None
    return None


def _values(tensor: Any) -> Floats:
    import onnx

    return np.asarray(onnx.numpy_helper.to_array(tensor), np.float64)


# --- the answer -----------------------------------------------------------------------------------------------------


def trial_pictures(demo: Path) -> list[Pixels]:
    """Very different pictures, to recognise constant outputs: grey, white, black, noise, the demo's photographs."""
    noise = np.random.default_rng(3).integers(0, 256, (240, 320, 3), np.uint8)
    plain = [np.full((240, 320, 3), shade, np.uint8) for shade in (128, 255, 0)]
    photographs = [picture for path in sorted(demo.glob("*.jpg")) if (picture := cv2.imread(str(path))) is not None]
    return [*plain, noise, *(np.asarray(picture, np.uint8) for picture in photographs)]


def outputs_for(
    path: Path, session: ort.InferenceSession, spec: InputSpec, pictures: Sequence[Pixels]
) -> dict[str, list[Any]]:
    """Run the graph on each picture; return the values of every numeric output. Raises ModelRejected if a run fails."""
    names = [output.name for output in session.get_outputs() if output.type in _NUMBERS]
    if not names:
        kinds = ", ".join(f"{output.name}: {output.type}" for output in session.get_outputs()[:5])
        raise ModelRejected(
            f"{path} has no output of floating-point numbers ({kinds}).",
            "Export it so that it gives one such number for each label.",
        )
    found: dict[str, list[Any]] = {name: [] for name in names}
    tensor = new_tensor(spec)
    for picture in (*pictures, pictures[-1]):
        preprocess(picture, spec, tensor)
        try:
            values = run_limited(session, names, {spec.name: tensor})
        except Exception as error:  # onnxruntime's errors have no common base class
            raise ModelRejected(
                f"{path} fails on a picture of {spec.width}×{spec.height}: {one_line(error)}.",
                "Export it for one picture of a fixed size.",
            ) from error
        for name, value in zip(names, values, strict=True):
            found[name].append(np.asarray(value))
    for name, values in found.items():
        again = values.pop()
        if again.shape != values[-1].shape or not np.allclose(again, values[-1], 1e-3, 1e-4, equal_nan=True):
            raise ModelRejected(
                f'The output "{name}" of {path} differs from one run to the next, for the same picture.',
                "Export it for inference: in PyTorch, after model.eval().",
            )
    return found


def answer_of(
    file: GraphFile, found: Mapping[str, list[Any]], labels: int, wanted: str | None, ends_in: str | None
) -> GraphAnswer:
    """Determine which output is the answer, and its kind. labels: the number of labels. Raises ModelRejected."""
    output, others = _chosen_output(file, found, labels, wanted)
    values = np.stack([np.asarray(value, np.float64).ravel() for value in found[output]])
    if not np.isfinite(values).all():
        raise ModelRejected(
            f'The output "{output}" of {file.path} is not finite (NaN or infinity) for some pictures.',
            "Export it again; half precision may be too little for it.",
        )
    ending = ending_of(file.path, output, file.model.graph, values, ends_in)
    roles = {
        role: role
        for role, axes in _ROLES.items()
        if role in found and role != output and all(_is_role(value, axes, role, labels) for value in found[role])
    }
    return GraphAnswer(output, values.shape[1], ending, bool(np.ptp(values, axis=0).max() < 1e-9), roles, others)


def _is_role(value: Any, axes: int, role: str, labels: int) -> bool:
    fits = value.ndim == axes and value.shape[0] == 1
    return bool(fits and (role != "activation_map" or value.shape[1] == labels))


def _numbers_in(values: list[Any]) -> int | None:
    """The number of values of an output for one picture; None if they are not a single row, or the number varies."""
    sizes = {tuple(side for side in value.shape if side != 1) for value in values}
    (shape,) = sizes if len(sizes) == 1 else ((0, 0),)
    return None if len(shape) > 1 or 0 in shape else math.prod(shape)


def _chosen_output(
    file: GraphFile, found: Mapping[str, list[Any]], labels: int, wanted: str | None
) -> tuple[str, tuple[str, ...]]:
    """The output that is the answer, and the others that might be. Raises ModelRejected if there is none."""
    if wanted is not None and wanted not in found:
        raise ModelRejected(
            f'{file.path} has no output of floating-point numbers called "{wanted}".', f"It has: {', '.join(found)}."
        )
    rows = {name: numbers for name, values in found.items() if (numbers := _numbers_in(values)) is not None}
    fitting = [name for name, numbers in rows.items() if numbers == labels or (numbers == 1 and labels <= 2)]
    if wanted is not None:
        if wanted not in fitting:
            raise _misfit(file.path, {wanted: found[wanted]}, rows, labels)
        return wanted, ()
    if not fitting:
        raise _misfit(file.path, found, rows, labels)
    usual = next((name for name in ("logits", "probabilities") if name in fitting), fitting[0])
    return usual, tuple(name for name in fitting if name != usual)


def _misfit(path: Path, found: Mapping[str, list[Any]], rows: Mapping[str, int], labels: int) -> ModelRejected:
    if any(len({value.shape for value in values}) > 1 for values in found.values()):
        return ModelRejected(
            f"{path} gives more numbers for some pictures than for others, as object detectors do.",
            "Export a network that gives one number for each label.",
        )
    shapes = {name: " × ".join(map(str, values[0].shape)) or "one number" for name, values in found.items()}
    if len({values[0].shape for values in found.values()}) == 1 and len(found) == 1 and rows:
        (name,) = found
        first = (
            " TensorFlow networks often have an additional label for the background, first in the list."
            if rows[name] == labels + 1 > _MANY
            else ""
        )
        return ModelRejected(
            f"The label file lists {labels} label{'s' if labels != 1 else ''}, "
            f"but the network {path} gives {rows[name]} number{'s' if rows[name] != 1 else ''}.{first}",
            "List as many labels as the network has, in its order."
            if rows[name] > 1
            else "List two labels; the second is the one that a high number stands for.",
        )
    if not rows:
        what = ", ".join(f"“{name}” is {shape}" for name, shape in list(shapes.items())[:4])
        return ModelRejected(
            f"{path} is not a classifier of whole pictures: its output {what}, as of networks that find objects.",
            "Export a network that gives one number for each label.",
        )
    what = ", ".join(f"“{name}” {shape}" for name, shape in list(shapes.items())[:8])
    return ModelRejected(
        f"None of the outputs of {path} gives a number for each of the {labels} labels: {what}.",
        "List as many labels as one of them has numbers, and choose that output with --output.",
    )
