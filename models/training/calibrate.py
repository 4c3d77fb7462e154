"""Calibration of probabilities: temperature, calibration error, thresholds for a stated false-alarm rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Targets = NDArray[np.int64]

BINS = 15
FALSE_ALARMS = 0.01  # share of reject pictures that may reach any label's threshold
MIN_ENTER = 0.5  # below this, two labels could reach their thresholds at once
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


def enter_threshold(p: Floats, targets: Targets, reject: int, rate: float = FALSE_ALARMS) -> float:
    """The lowest threshold, in hundredths, that at most ``rate`` of the reject pictures reach with any other label."""
    strangers = np.delete(p[targets == reject], reject, axis=1).max(1, initial=0.0)
    for hundredth in range(round(MIN_ENTER * 100), 100):
        if (strangers >= hundredth / 100).mean() <= rate:
            return hundredth / 100
    return 0.99


def thresholds(enter: float, labels: tuple[str, ...], reject: int | None) -> dict[str, dict[str, float]]:
    """The card's thresholds: the same for every label except the reject label, which has none."""
    leave = round(enter * LEAVE_SHARE, 2)
    return {name: {"enter": enter, "leave": leave} for index, name in enumerate(labels) if index != reject}
