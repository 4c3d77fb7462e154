"""A shortened state for watchers that have received a full one: no larger for a thousand labels than for fifty."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import TypeVar

from lookout.state.view import StateView

# A state with at most this many labels is never shortened.
MANY_LABELS = 50
# With more labels, this many of the most probable are listed, of the answer and of the prediction each.
LISTED_LABELS = 20

T = TypeVar("T")


def brief(view: StateView) -> StateView:
    """Return the view, with only the most probable labels if there are many; `label_count` still counts all of them."""
    model, answer, prediction = view["model"], view["answer"], view["prediction"]
    if model is None or len(model["labels"]) <= MANY_LABELS:
        return view
    listed = {answer["label"], *_most_probable(answer["probabilities"])}
    if prediction is not None:
        listed.update(_most_probable(prediction["probabilities"]))
        prediction = {**prediction, "probabilities": _only(prediction["probabilities"], listed)}
    answer = {
        **answer,
        "probabilities": _only(answer["probabilities"], listed),
        "thresholds": _only(answer["thresholds"], listed),
    }
    labels = [label for label in model["labels"] if label in listed]
    model = {**model, "labels": labels, "titles": _only(model["titles"], listed)}
    return {**view, "answer": answer, "prediction": prediction, "model": model}


def _most_probable(probabilities: Mapping[str, float]) -> list[str]:
    return heapq.nlargest(LISTED_LABELS, probabilities, key=probabilities.__getitem__)


def _only(values: Mapping[str, T], listed: set[str | None]) -> dict[str, T]:
    return {label: value for label, value in values.items() if label in listed}
