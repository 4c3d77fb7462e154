"""Calibration's figures on answers whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.training.calibrate import (
    Answers,
    Judged,
    best_temperature,
    calibration_error,
    common_temperature,
    enter_thresholds,
    log_loss,
    probabilities,
    reliability,
    thresholds,
)


def sampled(count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax: perfectly calibrated."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (count, 3))
    p = probabilities(logits)
    return logits, (p.cumsum(1) > rng.random((count, 1))).argmax(1)


def test_overconfident_logits_are_cooled_by_their_own_factor() -> None:
    logits, targets = sampled()
    assert best_temperature(logits, targets) == pytest.approx(1.0, abs=0.05)
    assert best_temperature(logits * 3, targets) == pytest.approx(3.0, abs=0.15)


def test_temperature_lowers_the_loss_and_the_error_and_changes_no_answer() -> None:
    logits, targets = sampled()
    hot = logits * 3
    t = best_temperature(hot, targets)
    assert log_loss(hot, targets, t) < log_loss(hot, targets)
    assert calibration_error(probabilities(hot, t), targets) < 0.02 < calibration_error(probabilities(hot), targets)
    assert np.array_equal(probabilities(hot, t).argmax(1), hot.argmax(1))


def test_calibration_error_of_a_known_case() -> None:
    p = np.tile([0.9, 0.1], (10, 1))
    targets = np.array([0] * 6 + [1] * 4)
    assert calibration_error(p, targets) == pytest.approx(0.3)
    _, _, count = reliability(p, targets)
    assert count.sum() == 10
    assert count.max() == 10


def test_the_threshold_is_the_lowest_that_keeps_strangers_out() -> None:
    p = np.zeros((100, 3))
    p[:, 2] = 1
    p[:5, 0] = [0.55, 0.65, 0.75, 0.85, 0.95]
    targets = np.full(100, 2)
    assert enter_thresholds([Judged(p, targets, false_alarms=0.02)], reject=2).tolist() == [0.76, 0.5, 0.5]
    assert enter_thresholds([Judged(p, targets, false_alarms=0.05)], reject=2).tolist() == [0.5, 0.5, 0.5]


def test_the_label_that_strangers_are_taken_for_is_asked_for_more() -> None:
    """Each false alarm is a cat or a dog; to keep half of them out, cats are cheaper, since all real ones are sure."""
    strangers = np.array([[0.6, 0.1, 0.3]] * 4 + [[0.1, 0.6, 0.3]] * 4 + [[0.1, 0.1, 0.8]] * 92)
    pets = np.array([[0.95, 0.03, 0.02]] * 10 + [[0.2, 0.55, 0.25]] * 10)
    targets = np.array([2] * 100 + [0] * 10 + [1] * 10)
    judged = Judged(np.concatenate([strangers, pets]), targets, false_alarms=0.04)
    enter = enter_thresholds([judged], reject=2)
    assert enter.tolist() == [0.61, 0.5, 0.5]
    assert judged.alarms(enter, 2) == 0.04
    assert judged.named(enter, 2) == 1


def test_the_strictest_set_decides_and_what_cannot_be_kept_is_at_the_highest() -> None:
    p, targets = np.array([[0.7, 0.3]] * 10), np.full(10, 1)
    lenient, strict = Judged(p, targets, false_alarms=1.0), Judged(p, targets, false_alarms=0.0)
    assert enter_thresholds([lenient, strict], reject=1).tolist() == [0.71, 0.5]
    sure = Judged(np.array([[1.0, 0.0]] * 10), targets, false_alarms=0.0)
    assert enter_thresholds([sure], reject=1)[0] <= 0.99


def test_thresholds_spare_the_reject_label_and_leave_below_enter() -> None:
    chosen = thresholds(np.array([0.9, 0.8, 0.5]), ("cat", "dog", "neither"), reject=2)
    assert chosen == {"cat": {"enter": 0.9, "leave": 0.63}, "dog": {"enter": 0.8, "leave": 0.56}}


def test_a_temperature_for_several_sets_lies_between_theirs_and_goes_with_the_weight() -> None:
    logits, targets = sampled(4000)
    mild, hot = Answers(logits, targets), Answers(logits * 4, targets)
    together = common_temperature([mild, hot])
    assert 1.1 < together < 4
    assert common_temperature([mild, Answers(logits * 4, targets, 5.0)]) > together
    assert common_temperature([mild, Answers(logits * 4, targets, 0.0)]) == pytest.approx(
        best_temperature(logits, targets)
    )
