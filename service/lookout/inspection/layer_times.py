"""Measures how long each layer of a network takes on this machine, with onnxruntime's profiler.

onnxruntime fuses layers before it runs them, for example a convolution and its ReLU. The time of all fused layers then
counts for the first one.
"""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort

from lookout.errors import ModelRejected
from lookout.frame import Pixels
from lookout.geometry import WHOLE
from lookout.inspection.extra_outputs import open_session_with_outputs
from lookout.inspection.layers import read_table
from lookout.pipeline.classifier import Classifier
from lookout.pipeline.preprocess import new_tensor, preprocess
from lookout.pipeline.run_limit import run_limited
from lookout.pipeline.session import one_line, session_options

# Times are medians of this many runs, and of fewer on a slow machine, since users wait for the result.
_RUNS, _MIN_RUNS = 20, 5
_BUDGET_S = 1.5
# onnxruntime writes its measurements to a file, which is kept in memory if possible, to spare the SD card.
_MEMORY = Path("/dev/shm")
_OF_A_NODE = "_kernel_time"
# The suffixes that onnxruntime appends to the name of a node, or of its output, that it has rewritten.
_ADDED = re.compile(r"(_nchwc|_token_\d+)+$")
# The most layers fused into one: a convolution, a sum and an activation.
_MAX_FUSED = 3


@dataclass(frozen=True, slots=True)
class LayerTimes:
    """Milliseconds for one picture on one thread, medians of `runs` runs.

    layers: by the names of the layer table's rows; a missing one was fused into another.
    between: onnxruntime's work besides, such as reordering values for its convolutions.
    """

    layers: Mapping[str, float]
    between: float
    runs: int


def layer_times(classifier: Classifier, pixels: Pixels) -> LayerTimes:
    """Measure the network in use on a picture (uint8, height x width x 3, BGR) for a second or two, on this thread.

    Raises ModelRejected if the network cannot be loaded a second time, or if the measurements cannot be stored.
    """
    card, precision = classifier.card, classifier.precision
    table = read_table(card.folder, {file.sha256 for file in card.files.values()}) or {}
    tensor = new_tensor(card.input)
    preprocess(pixels, card.input, tensor, WHOLE)
    try:
        with tempfile.TemporaryDirectory(prefix="lookout-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
            options = session_options(threads=1)
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "run")
            session = open_session_with_outputs(card.path(precision), card.files[precision].sha256, (), options)
            runs = _run(session, card.outputs.answer, {card.input.name: tensor})
            events = json.loads(Path(session.end_profiling()).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelRejected(f'The layers of "{card.name}" cannot be measured: {one_line(error)}.') from error
    return LayerTimes(*by_row(events, table.get("layers", [])), runs)


def _run(session: ort.InferenceSession, answer: str, feeds: Mapping[str, Any]) -> int:
    """Run the network, and return the number of runs. Raises RunTooLong."""
    began = time.monotonic()
    for run in range(1, _RUNS + 1):
        run_limited(session, [answer], feeds)
        if run >= _MIN_RUNS and time.monotonic() - began > _BUDGET_S:
            break
    return run


def by_row(events: Iterable[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, float], float]:
    """Return the milliseconds for each row of a layer table, from onnxruntime's events, and those that belong to none.

    Both are medians over the runs.
    """
    measured: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") == "Node" and name.endswith(_OF_A_NODE):
            operator = str(event.get("args", {}).get("op_name", ""))
            measured[name.removesuffix(_OF_A_NODE), operator].append(event["dur"] / 1e3)
    by_name = {str(row.get("name")): row for row in rows}
    by_tensor = {str(row["tensor"]): row for row in rows if row.get("tensor")}
    times, between = dict[str, float](), 0.0
    for (node, operator), runs in measured.items():
        made_of = _ADDED.sub("", node)
        row = _began(by_name.get(made_of) or by_tensor.get(made_of), operator, by_name)
        if row is None:
            between += statistics.median(runs)
        else:
            times[row] = times.get(row, 0.0) + statistics.median(runs)
    return times, between


def _began(row: Mapping[str, Any] | None, operator: str, by_name: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The name of the first of the fused rows.

    onnxruntime names a convolution that is fused with its ReLU after the ReLU's output.
    """
    if row is None:
        return None
    if not operator.endswith("Conv"):
        return str(row["name"])
    before: Mapping[str, Any] | None = row
    for _ in range(_MAX_FUSED):
        if before is None or str(before.get("operator")).endswith("Conv"):
            break
        before = by_name.get(str((before.get("inputs") or [""])[0]))
    return str((before or row)["name"])
