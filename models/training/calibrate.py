"""Calibration of probabilities: temperature, calibration error, thresholds for a stated false-alarm rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Targets = NDArray[np.int64]

BINS = 15
FALSE_ALARMS = 0.01  # share of reject pictures that may reach any label's threshold
MIN_ENTER = 0.5  # below this, two labels could reach their thresholds at once
HIGHEST_ENTER = 0.99
LEAVE_SHARE = 0.7  # leave / enter: far enough apart that an answer does not flicker


def probabilities(logits: NDArray[np.floating], temperature: float = 1.0) -> Floats:
    """softmax(logits / temperature) over the last axis."""
    scaled = np.asarray(logits, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    result: Floats = powers / powers.sum(-1, keepdims=True)
    return result


def log_loss(logits: NDArray[np.floating], targets: Targets, temperature: float = 1.0) -> float:
    """Mean negative logarithm of the true label's probability."""
    right = probabilities(logits, temperature)[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(right, 1e-12)).mean())


@dataclass(frozen=True)
class Answers:
    """Logits [n, labels] of one set of pictures, their true labels [n], and the weight of the set."""

    logits: NDArray[np.floating]
    targets: Targets
    weight: float = 1.0


def best_temperature(logits: NDArray[np.floating], targets: Targets) -> float:
    """The temperature that minimises the log loss (Guo et al. 2017)."""
    return common_temperature([Answers(logits, targets)])


def common_temperature(sets: Sequence[Answers]) -> float:
    """The temperature that minimises the sets' weighted log losses, by golden-section search from 1/20 to 20."""

    def loss(logarithm: float) -> float:
        return sum(one.weight * log_loss(one.logits, one.targets, math.exp(logarithm)) for one in sets)

    low, high = math.log(0.05), math.log(20.0)
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def reliability(p: Floats, targets: Targets, bins: int = BINS) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Mean confidence, accuracy and number of pictures in bins of confidence of equal width; NaN for empty bins."""
    confidence, right = p.max(1), p.argmax(1) == targets
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, confidence, bins) / count
        accuracy = np.bincount(place, right.astype(np.float64), bins) / count
    return mean, accuracy, count


def calibration_error(p: Floats, targets: Targets, bins: int = BINS) -> float:
    """Expected calibration error (Naeini et al. 2015): mean |accuracy - confidence| over bins, weighted by pictures."""
    mean, accuracy, count = reliability(p, targets, bins)
    filled = count > 0
    return float((np.abs(mean - accuracy)[filled] * count[filled]).sum() / count.sum())


@dataclass(frozen=True)
class Judged:
    """Calibrated probabilities [n, labels] of one set of pictures and their true labels [n].

    ``weight`` is the set's weight in what is named rightly, ``false_alarms`` the largest share of its reject pictures
    that may be called something.
    """

    p: Floats
    targets: Targets
    weight: float = 1.0
    false_alarms: float = FALSE_ALARMS

    def alarms(self, enter: Floats, reject: int) -> float:
        """The share of reject pictures that reach a label's threshold, ``enter`` [labels]."""
        strangers = self.p[self.targets == reject]
        return float(_reached(strangers, enter, reject).any(1).mean()) if len(strangers) else 0.0

    def named(self, enter: Floats, reject: int) -> float:
        """The share of the other pictures whose own label reaches its threshold, times the set's weight."""
        others = self.targets != reject
        own = _reached(self.p[others], enter, reject)[np.arange(others.sum()), self.targets[others]]
        return self.weight * float(own.mean()) if len(own) else 0.0


def _reached(p: Floats, enter: Floats, reject: int) -> NDArray[np.bool_]:
    reached: NDArray[np.bool_] = p >= enter
    reached[:, reject] = False
    return reached


def enter_thresholds(sets: Sequence[Judged], reject: int) -> Floats:
    """A threshold for each label [labels], in hundredths, such that no set has more false alarms than it may.

    All begin at the lowest. As long as a set has too many false alarms, the threshold is raised whose rise costs the
    smallest share of rightly named pictures for each false alarm too many that it prevents: a label that strangers are
    often taken for is asked for more certainty than the others. At the end, each is lowered again as far as it may.
    """
    enter = np.full(sets[0].p.shape[1], MIN_ENTER)
    labels = [label for label in range(len(enter)) if label != reject]
    while _excess(sets, enter, reject) > 0:
        cost, label, height = min(_cheapest_rise(sets, enter, reject, label) for label in labels)
        if math.isinf(cost):
            return enter  # even at the highest thresholds: those are what can be done
        enter[label] = height
    for label in labels:
        enter[label] = next(e[label] for e in _raised(enter, label, MIN_ENTER) if _excess(sets, e, reject) <= 0)
    return enter


def _excess(sets: Sequence[Judged], enter: Floats, reject: int) -> float:
    """By how much the shares of false alarms exceed what the sets may have, in all."""
    return sum(max(0.0, one.alarms(enter, reject) - one.false_alarms) for one in sets)


def _raised(enter: Floats, label: int, lowest: float) -> Iterator[Floats]:
    """The thresholds with a label's at ``lowest`` and each hundredth above."""
    for hundredth in range(round(lowest * 100), round(HIGHEST_ENTER * 100) + 1):
        raised = enter.copy()
        raised[label] = hundredth / 100
        yield raised


def _cheapest_rise(sets: Sequence[Judged], enter: Floats, reject: int, label: int) -> tuple[float, int, float]:
    """The cost of the label's best rise, the label, and its new threshold; the cost is infinite if none helps."""
    named = sum(one.named(enter, reject) for one in sets)
    excess = _excess(sets, enter, reject)
    best = (math.inf, label, HIGHEST_ENTER)
    for higher in _raised(enter, label, float(enter[label]) + 0.01):
        prevented = excess - _excess(sets, higher, reject)
        if prevented > 1e-9:
            lost = named - sum(one.named(higher, reject) for one in sets)
            best = min(best, (lost / prevented, label, float(higher[label])))
    return best


def thresholds(enter: Floats, labels: tuple[str, ...], reject: int | None) -> dict[str, dict[str, float]]:
    """The card's thresholds, of each label but the reject label, which has none."""
    return {
        name: {"enter": round(float(enter[index]), 2), "leave": round(float(enter[index]) * LEAVE_SHARE, 2)}
        for index, name in enumerate(labels)
        if index != reject
    }
