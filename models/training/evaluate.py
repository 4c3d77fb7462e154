"""Evaluation of a model on validation pictures, with its ONNX file and the service's own preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    FALSE_ALARMS,
    Answers,
    Floats,
    Judged,
    calibration_error,
    common_temperature,
    enter_thresholds,
    log_loss,
    probabilities,
    thresholds,
)
from models.training.card import Measured
from models.training.corruptions import CORRUPTIONS
from models.training.data import DataError, Pictures, Pixels
from models.training.datasets import dataset_of

BATCH = 32
MIN_PROBABILITY = np.float32(1e-12)  # lower bound before taking a logarithm
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Rule:
    """The weight of a set of pictures in the choice of the temperature, and its maximum share of false alarms."""

    weight: float
    false_alarms: float


# The first set and the pictures from elsewhere have the same weight. Animals that are not pets have only one label,
# hence half the weight. Of composites only the false alarms count: their edges are artificial, but they are the
# nearest thing to a fox or a toy in a room, which may be called a pet in one of ten.
MAIN = "val"
PASTED = "pasted"  # the origin of composites
RULES = {
    MAIN: Rule(1.0, FALSE_ALARMS),
    "val2": Rule(1.0, 0.05),
    f"val2-{PASTED}": Rule(0.0, 0.10),
    "val3": Rule(0.5, 0.05),
}


@dataclass(frozen=True)
class Evaluation:
    """The figures for a card, and for the plots the logits of the first set by precision."""

    measured: Measured
    logits: dict[str, Logits]


def sets_of(pictures: Pictures) -> tuple[Pictures, dict[str, Pictures]]:
    """Split validation pictures into the first dataset's and those of the others by dataset, composites separately.

    Names begin with the dataset, as in `models.training.datasets`.
    """
    places: dict[str, list[int]] = {}
    for index, name in enumerate(pictures.names):
        which = dataset_of(name)
        places.setdefault(f"{which}-{PASTED}" if pictures.origin(index) == PASTED else which, []).append(index)
    found = {which: pictures.part(np.array(indices, np.int64)) for which, indices in sorted(places.items())}
    return found.pop(MAIN), found


def seen(pictures: Pictures, spec: InputSpec, change: Callable[[Pixels], Pixels] | None = None) -> Tensor:
    """The network's input for every picture, [n, ...] in the spec's shape and type, preprocessed as in the service."""
    shown = []
    for index in range(len(pictures)):
        picture = pictures[index]
        tensor = new_tensor(spec)
        preprocess(np.ascontiguousarray((change(picture) if change else picture)[:, :, ::-1]), spec, tensor)
        shown.append(tensor[0])
    return np.stack(shown)


def logits_of(card: Card, session: ort.InferenceSession, shown: Tensor) -> Logits:
    """The logits for pictures [n, ...]; for a graph that ends in a softmax, the logarithms of its probabilities."""
    name, answer = card.input.name, card.outputs.answer
    parts = [session.run([answer], {name: shown[i : i + BATCH]})[0] for i in range(0, len(shown), BATCH)]
    output: Logits = np.concatenate(parts)
    return output if card.outputs.logits else np.log(np.maximum(output, MIN_PROBABILITY))


def opened(path: Path) -> ort.InferenceSession:
    """Open a model's graph with a batch of any size; only the declared shapes change, not the arithmetic."""
    graph = onnx.load(path)
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def evaluate(
    card: Card, pictures: Pictures, corruptions: bool = True, others: Mapping[str, Pictures] | None = None
) -> Evaluation:
    """Measure every precision of a model, and choose temperatures and thresholds on these pictures.

    ``others`` are further sets by name. Those listed in `RULES` take part in choosing temperature and thresholds; the
    rest are only measured. Raises DataError if the labels of the pictures are not the model's.
    """
    sets = {MAIN: pictures, **(others or {})}
    for one in sets.values():
        if one.labels != card.label_names:
            raise DataError(
                f"The pictures show {', '.join(one.labels)}; the model knows {', '.join(card.label_names)}.",
                "Give --data the folders of this model's labels.",
            )
    sessions = {precision: opened(card.path(precision)) for precision in card.precisions}
    shown = {which: seen(one, card.input) for which, one in sets.items()}
    measured, logits = {}, {}
    for name, session in sessions.items():
        answers = {which: logits_of(card, session, tensor) for which, tensor in shown.items()}
        # The service does not calibrate probabilities that the graph computes.
        measured[name] = _Answers(sets, answers, _temperature(answers, sets) if card.outputs.logits else 1.0)
        logits[name] = answers[MAIN]
    reject = next((i for i, label in enumerate(card.labels) if label.reject), None)
    enter = np.zeros(len(card.labels))
    if reject is not None:  # the same thresholds serve every precision, so take the highest
        enter = np.max([one.enter(reject) for one in measured.values()], axis=0)
    metrics: dict[str, Any] = {"pictures": len(pictures)}
    for name, one in measured.items():
        metrics[name] = one.rows(MAIN, reject, enter)
        if others:
            metrics[name]["sets"] = {which: one.rows(which, reject, enter) for which in others}
    if corruptions:
        for what, change in CORRUPTIONS.items():
            changed = seen(pictures, card.input, change)
            for name, session in sessions.items():
                right = float((logits_of(card, session, changed).argmax(1) == pictures.targets).mean())
                metrics[name].setdefault("corruptions", {})[what] = round(right, 4)
    chosen = thresholds(enter, card.label_names, reject) if reject is not None else {}
    return Evaluation(Measured({name: one.temperature for name, one in measured.items()}, chosen, metrics), logits)


def _temperature(answers: Mapping[str, Logits], sets: Mapping[str, Pictures]) -> float:
    counted = [(which, RULES[which].weight) for which in answers if which in RULES]
    return common_temperature([Answers(answers[which], sets[which].targets, weight) for which, weight in counted])


@dataclass(frozen=True)
class _Answers:
    """The output of one precision for every set, and the temperature that calibrates it."""

    sets: Mapping[str, Pictures]
    logits: Mapping[str, Logits]
    temperature: float

    def p(self, which: str) -> NDArray[np.float64]:
        return probabilities(self.logits[which], self.temperature)

    def enter(self, reject: int) -> Floats:
        """Thresholds [labels] at which the false alarms on every set are within its rule."""
        rules = [(which, RULES[which]) for which in self.sets if which in RULES]
        judged = [Judged(self.p(w), self.sets[w].targets, rule.weight, rule.false_alarms) for w, rule in rules]
        return enter_thresholds(judged, reject)

    def rows(self, which: str, reject: int | None, enter: Floats) -> dict[str, Any]:
        p, pictures = self.p(which), self.sets[which]
        rows = figures(p, pictures.targets, pictures.labels, reject, enter)
        rows["log_loss"] = round(log_loss(self.logits[which], pictures.targets, self.temperature), 4)
        rows["by_origin"] = by_origin(p, pictures)
        return {"pictures": len(pictures), **rows} if which != MAIN else rows


def figures(
    p: NDArray[np.float64], targets: NDArray[np.int64], labels: tuple[str, ...], reject: int | None, enter: Floats
) -> dict[str, Any]:
    """The rows of the table for calibrated probabilities [n, labels] and thresholds [labels], as shares from 0 to 1."""
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
    label = np.array(others)[p[:, others].argmax(1)]
    passes = p[np.arange(len(p)), label] >= enter[label]
    rows["false_alarms"] = _share(passes[~named])
    rows["reaches_enter"] = _share((passes & (label == targets))[named])
    rows["wrong_label_reaches_enter"] = _share((passes & (label != targets))[named])
    return rows


def by_origin(p: NDArray[np.float64], pictures: Pictures) -> dict[str, float]:
    """The accuracy for each label and origin of the pictures."""
    right = p.argmax(1) == pictures.targets
    kinds = [f"{pictures.labels[t]}/{pictures.origin(i)}" for i, t in enumerate(pictures.targets.tolist())]
    return {kind: _share(right[[k == kind for k in kinds]]) for kind in sorted(set(kinds))}


def save_logits(folder: Path, evaluation: Evaluation) -> None:
    """Save the logits of each precision as `logits.npz`."""
    np.savez(folder / "logits.npz", **evaluation.logits)  # type: ignore[arg-type]


def _share(right: NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 4) if right.size else 0.0
