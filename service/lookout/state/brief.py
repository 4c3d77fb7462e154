"""A state for watchers who were sent a whole one before: no larger for a thousand labels than for fifty."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import TypeVar

from lookout.state.view import StateView

# Up to this many labels a state is always whole.
MANY_LABELS = 50
# Of a larger model the likeliest of the answer and those of the prediction are listed, this many of each.
LISTED_LABELS = 20

T = TypeVar("T")


def brief(view: StateView) -> StateView:
    """The same, with the likeliest labels only if the model has many; `label_count` still counts all of them."""
    model, answer, prediction = view["model"], view["answer"], view["prediction"]
    if model is None or len(model["labels"]) <= MANY_LABELS:
        return view
    listed = {answer["label"], *_likeliest(answer["probabilities"])}
    if prediction is not None:
        listed.update(_likeliest(prediction["probabilities"]))
        prediction = {**prediction, "probabilities": _only(prediction["probabilities"], listed)}
    answer = {
        **answer,
        "probabilities": _only(answer["probabilities"], listed),
        "thresholds": _only(answer["thresholds"], listed),
    }
    labels = [label for label in model["labels"] if label in listed]
    model = {**model, "labels": labels, "titles": _only(model["titles"], listed)}
    return {**view, "answer": answer, "prediction": prediction, "model": model}


def _likeliest(probabilities: Mapping[str, float]) -> list[str]:
    return heapq.nlargest(LISTED_LABELS, probabilities, key=probabilities.__getitem__)


def _only(values: Mapping[str, T], listed: set[str | None]) -> dict[str, T]:
    return {label: value for label, value in values.items() if label in listed}
