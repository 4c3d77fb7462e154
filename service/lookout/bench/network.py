"""The network on its own: the time per picture, compared with other runtimes and with the core's limits."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

from lookout.bench.measure import Row, in_turns, milliseconds
from lookout.bench.peers import GOALS, Run, peers, plain_graph
from lookout.inspection.layers_onnx import layer_table
from lookout.pipeline.card import Card
from lookout.pipeline.classifier import Classifier
from lookout.pipeline.preprocess import new_tensor
from lookout.pipeline.session import session_options

_PEAK = """
import sys, time
import numpy as np
best, sizes = 0.0, (384, 768, 1152)
for n in sizes:
    a, b = np.random.rand(n, n).astype(np.float32), np.random.rand(n, n).astype(np.float32)
    c, end = np.empty_like(a), time.perf_counter() + float(sys.argv[1]) / len(sizes)
    while time.perf_counter() < end:
        t = time.perf_counter(); np.dot(a, b, out=c); best = max(best, 2 * n**3 / (time.perf_counter() - t))
print(best)
"""
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def measure_network(card: Card, seconds: float) -> list[Row]:
    """Measure all runtimes on one thread with the same picture."""
    with tempfile.TemporaryDirectory() as folder:
        graph, name, answer = plain_graph(card, Path(folder) / "plain.onnx")
        shape = (1, card.input.channels, card.input.height, card.input.width)
        planes = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        session = onnxruntime.InferenceSession(str(graph), session_options(1), providers=["CPUExecutionProvider"])
        others, notes = peers(graph, planes)
        runs = {"same graph": lambda: session.run([answer], {name: planes}), **others, **_own(card)}
        before = _peak(seconds / 2)
        times = in_turns(runs, seconds)
        peak = max(before, _peak(seconds / 2))
        work = 2 * layer_table(graph, output=answer).multiply_adds
    return [*_precisions(times), _rate(times["same graph"], work, peak), *_beside(times, others, notes)]


def _own(card: Card) -> dict[str, Run]:
    pixels = np.random.default_rng(0).integers(0, 256, card.input.shape).astype(new_tensor(card.input).dtype)
    runs: dict[str, Run] = {}
    for precision in ("fp32", "int8"):
        if precision in card.files:
            session = Classifier.load(card, precision, 1).session
            runs[precision] = functools.partial(session.run, [card.outputs.answer], {card.input.name: pixels})
    return runs


def _precisions(times: dict[str, float]) -> list[Row]:
    rows = [
        Row(f"session {name}", "", milliseconds(times[name]), None, {"ms": times[name]})
        for name in ("fp32", "int8")
        if name in times
    ]
    if "int8" in times and "fp32" in times:
        ratio = times["fp32"] / times["int8"]
        pays = ratio > 1
        rows.append(
            Row("int8 against fp32", "1.9× or better where it pays", f"{ratio:.2f}×", ratio >= 1.9 if pays else None,
                {"ratio": ratio})
        )  # fmt: skip
    return rows


def _rate(time_ms: float, work: int, peak: float) -> Row:
    rate = work / (time_ms / 1e3)
    share = rate / peak
    measured = f"{share:.0%} ({rate / 1e9:.0f} of {peak / 1e9:.0f} GFLOP/s)"
    figures = {"share": share, "gflops": rate / 1e9, "peak_gflops": peak / 1e9}
    return Row("arithmetic of fp32", "60% of NumPy's peak or more", measured, share >= 0.6, figures)


def _beside(times: dict[str, float], others: dict[str, Run], notes: list[str]) -> list[Row]:
    rows = []
    for name in others:
        ratio = times[name] / times["same graph"]
        goal = GOALS[name]
        measured = f"{ratio:.2f}× ({milliseconds(times[name])} : {milliseconds(times['same graph'])})"
        rows.append(Row(f"fp32 against {name}", f"{goal:g}× or better", measured, ratio >= goal, {"ratio": ratio}))
    return rows + [Row("other runtimes", "", note, None) for note in notes]


def _peak(seconds: float) -> float:
    """Return multiplications plus additions per second of NumPy's float32 product, on one thread of its own process."""
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(seconds)],
        env=os.environ | _ONE_THREAD, capture_output=True, text=True, timeout=60 + seconds, check=True,
    )  # fmt: skip
    return float(done.stdout)
