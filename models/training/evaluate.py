"""What a served model is worth on validation pictures: through its ONNX file and the service's own preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from lookout.pipeline.card import Card, InputSpec
from lookout.pipeline.preprocess import Tensor, new_tensor, preprocess
from numpy.typing import NDArray

from models.training.calibrate import (
    best_temperature,
    calibration_error,
    enter_threshold,
    log_loss,
    probabilities,
    thresholds,
)
from models.training.card import Measured
from models.training.corruptions import CORRUPTIONS
from models.training.data import DataError, Pictures, Pixels

BATCH = 32
SMALLEST = np.float32(1e-12)  # a probability, before its logarithm is taken
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Evaluation:
    """The figures for a card, and what the plots need: logits of the plain pictures by precision."""

    measured: Measured
    logits: dict[str, Logits]


def seen(pictures: Pictures, spec: InputSpec, change: Callable[[Pixels], Pixels] | None = None) -> Tensor:
    """What the network is shown of every picture, [n, ...] in the spec's shape and type, by the service's own way."""
    shown = []
    for index in range(len(pictures)):
        picture = pictures[index]
        tensor = new_tensor(spec)
        preprocess(np.ascontiguousarray((change(picture) if change else picture)[:, :, ::-1]), spec, tensor)
        shown.append(tensor[0])
    return np.stack(shown)


def logits_of(card: Card, graph: onnx.ModelProto, shown: Tensor) -> Logits:
    """What a graph says of pictures as logits: of one that ends in a softmax, the logarithms of its probabilities."""
    told = run_graph(graph, shown, card.outputs.answer, card.input.name)
    return told if card.outputs.logits else np.log(np.maximum(told, SMALLEST))


def run_graph(graph: onnx.ModelProto, pixels: Tensor, output: str, input_name: str) -> Logits:
    """One output for many pictures; the graph's batch of one is opened, which changes no arithmetic."""
    opened = onnx.ModelProto()
    opened.CopyFrom(graph)
    for value in (*opened.graph.input, *opened.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])
    parts = [session.run([output], {input_name: pixels[i : i + BATCH]})[0] for i in range(0, len(pixels), BATCH)]
    return np.concatenate(parts)


def evaluate(card: Card, pictures: Pictures, corruptions: bool = True) -> Evaluation:
    """Measure every precision of a model. Temperatures and thresholds are chosen here, on these pictures.

    Raises DataError when the pictures' labels are not the model's.
    """
    if pictures.labels != card.label_names:
        raise DataError(
            f"The pictures show {', '.join(pictures.labels)}; the model tells {', '.join(card.label_names)}.",
            "Give --data the folders of this model's labels.",
        )
    graphs = {precision: onnx.load(card.path(precision)) for precision in card.precisions}
    reject = next((i for i, label in enumerate(card.labels) if label.reject), None)
    targets, plain = pictures.targets, seen(pictures, card.input)

    def answers(shown: Tensor) -> dict[str, Logits]:
        return {name: logits_of(card, graph, shown) for name, graph in graphs.items()}

    logits = answers(plain)
    # The service takes probabilities as they are.
    temperatures = {name: best_temperature(v, targets) if card.outputs.logits else 1.0 for name, v in logits.items()}
    calibrated = {name: probabilities(values, temperatures[name]) for name, values in logits.items()}
    enter = 0.0
    if reject is not None:  # one set of thresholds serves every precision: the most careful one
        enter = max(enter_threshold(p, targets, reject) for p in calibrated.values())
    metrics: dict[str, Any] = {"pictures": len(pictures)}
    for name, p in calibrated.items():
        metrics[name] = figures(p, targets, card.label_names, reject, enter)
        metrics[name]["log_loss"] = round(log_loss(logits[name], targets, temperatures[name]), 4)
        metrics[name]["by_origin"] = by_origin(p, pictures)
    if corruptions:
        for what, change in CORRUPTIONS.items():
            for name, values in answers(seen(pictures, card.input, change)).items():
                right = float((values.argmax(1) == targets).mean())
                metrics[name].setdefault("corruptions", {})[what] = round(right, 4)
    chosen = thresholds(enter, card.label_names, reject) if reject is not None else {}
    return Evaluation(Measured(temperatures, chosen, metrics), logits)


def figures(
    p: NDArray[np.float64], targets: NDArray[np.int64], labels: tuple[str, ...], reject: int | None, enter: float
) -> dict[str, Any]:
    """The table's rows for calibrated probabilities [n, labels], shares from 0 to 1."""
    found = p.argmax(1)
    rows: dict[str, Any] = {
        "accuracy": _share(found == targets),
        "recall": {name: _share(found[targets == i] == i) for i, name in enumerate(labels)},
        "calibration_error": round(calibration_error(p, targets), 4),
    }
    if reject is None:
        return rows
    named = targets != reject
    others = [i for i in range(len(labels)) if i != reject]
    rows["accuracy_without_reject"] = _share(np.array(others)[p[named][:, others].argmax(1)] == targets[named])
    passes = p[:, others].max(1) >= enter
    label = np.array(others)[p[:, others].argmax(1)]
    rows["false_alarms"] = _share(passes[~named])
    rows["reaches_enter"] = _share((passes & (label == targets))[named])
    rows["wrong_label_reaches_enter"] = _share((passes & (label != targets))[named])
    return rows


def by_origin(p: NDArray[np.float64], pictures: Pictures) -> dict[str, float]:
    """Accuracy for each label and origin of the pictures."""
    right = p.argmax(1) == pictures.targets
    kinds = [f"{pictures.labels[t]}/{pictures.origin(i)}" for i, t in enumerate(pictures.targets.tolist())]
    return {kind: _share(right[[k == kind for k in kinds]]) for kind in sorted(set(kinds))}


def save_logits(folder: Path, evaluation: Evaluation) -> None:
    """Keep the raw answers of each precision, as `logits.npz`."""
    np.savez(folder / "logits.npz", **evaluation.logits)  # type: ignore[arg-type]


def _share(right: NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 4) if right.size else 0.0
