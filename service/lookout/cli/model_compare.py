"""`lookout models inspect --compare A B`: what networks cost, side by side, with the time measured here."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from lookout.cli.layer_view import sides
from lookout.errors import ModelRejected
from lookout.inspection.layers import Sides
from lookout.inspection.layers_onnx import layer_table
from lookout.pipeline.session import one_line, session_options
from lookout.terminal import console, say, size, table

_RUNS, _MAX_S = 20, 3.0
_TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(float16)": np.float16}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one network costs. bytes: its file's size. milliseconds: the median of some runs on one thread, here."""

    name: str
    input: Sides
    parameters: int
    multiply_adds: int
    bytes: int
    milliseconds: float


def cost(name: str, path: Path, shape: Sides | None = None, output: str | None = None) -> Cost:
    """Return the cost of an ONNX file. shape, output: as for `layer_table`. Raises ModelRejected."""
    made = layer_table(path, shape, output)
    return Cost(
        name,
        made.input_shape,
        made.parameters,
        made.multiply_adds,
        path.stat().st_size,
        _measured(path, made.input_shape),
    )


def _measured(path: Path, shape: Sides) -> float:
    try:
        session = ort.InferenceSession(str(path), session_options(threads=1), providers=["CPUExecutionProvider"])
        (graph_input,) = session.get_inputs()
        picture = {graph_input.name: np.zeros(shape, _TYPES.get(graph_input.type, np.float32))}
        session.run(None, picture)  # the first run allocates memory
        times: list[float] = []
        began = time.perf_counter()
        while len(times) < _RUNS and time.perf_counter() - began < _MAX_S:
            before = time.perf_counter()
            session.run(None, picture)
            times.append((time.perf_counter() - before) * 1e3)
    except Exception as error:  # onnxruntime's errors have no common base class
        raise ModelRejected(f"{path} cannot be run: {one_line(error)}.") from error
    return statistics.median(times)


def show_costs(costs: list[Cost]) -> None:
    """Print a column for each network, with factors relative to the first."""
    first = costs[0]
    rows = table("", *(one.name for one in costs), right=[one.name for one in costs])
    rows.add_row("Input", *(sides(one.input) for one in costs))
    for title, key in (("Parameters", "parameters"), ("Multiply-adds", "multiply_adds")):
        values = [getattr(one, key) for one in costs]
        rows.add_row(
            title,
            *(f"{value:,}{_times(value, values[0], one is first)}" for value, one in zip(values, costs, strict=True)),
        )
    rows.add_row("File", *(size(one.bytes) + _times(one.bytes, first.bytes, one is first) for one in costs))
    times = [f"{one.milliseconds:.2f} ms{_times(one.milliseconds, first.milliseconds, one is first)}" for one in costs]
    rows.add_row("Time", *times)
    console().print(rows)
    say("Time: the median of up to 20 runs on one thread of this machine. × is relative to the first.")


def costs_json(costs: list[Cost]) -> list[dict[str, object]]:
    """Return the costs for JSON."""
    return [asdict(one) for one in costs]


def _times(value: float, first: float, is_first: bool) -> str:
    return "" if is_first or not first else f" (×{value / first:.2f})"
