"""Smoothing, section 3 of the contract: from predictions to an answer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lookout.pipeline.smoothing import Answer, Smoother, Threshold

LABELS = ("cat", "dog", "neither")
CAT, DOG, NOBODY = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
TORN = (0.45, 0.45, 0.1)
LIMITS = {"cat": Threshold(0.8, 0.6), "dog": Threshold(0.8, 0.6)}
GAP_S = 2.0


def smoother(
    limits: dict[str, Threshold] = LIMITS, window_s: float = 0.5, hold_s: float = 1.0, now: float = 100.0
) -> Smoother:
    return Smoother(LABELS, ["neither"], limits, window_s=window_s, hold_s=hold_s, gap_s=GAP_S, now=now)


def feed(smoothing: Smoother, probabilities: tuple[float, ...], start: float, seconds: float) -> list[Answer]:
    """The same prediction ten times a second from `start` on; the answers, with the last one at start + seconds."""
    return [smoothing.add(probabilities, start + i / 10) for i in range(round(seconds * 10) + 1)]


def test_before_the_first_prediction_there_is_no_data() -> None:
    assert smoother(now=100.0).answer == Answer(None, "no_data", 100.0, ())


def test_it_starts_uniform_and_the_first_prediction_counts_as_one_window() -> None:
    answer = smoother().add(CAT, 100.0)
    gain = 1 - math.exp(-1)
    assert answer.probabilities == pytest.approx((1 / 3 + gain * 2 / 3, 1 / 3 - gain / 3, 1 / 3 - gain / 3))


def test_each_further_prediction_moves_it_by_the_formula() -> None:
    smoothing = smoother()
    before = smoothing.add(CAT, 100.0).probabilities
    prediction = (0.2, 0.7, 0.1)
    after = smoothing.add(prediction, 100.13).probabilities
    gain = 1 - math.exp(-0.13 / 0.5)
    assert after == pytest.approx([s + gain * (p - s) for s, p in zip(before, prediction, strict=True)])


def test_the_rate_of_predictions_does_not_matter_only_their_times() -> None:
    often, seldom = smoother(), smoother()
    often.add(CAT, 100.0), seldom.add(CAT, 100.0)
    for i in range(1, 11):
        often.add(DOG, 100.0 + i / 10)
    seldom.add(DOG, 101.0)
    assert often.answer.probabilities == pytest.approx(seldom.answer.probabilities)


def test_a_window_of_zero_takes_each_prediction_as_it_is() -> None:
    smoothing = smoother(window_s=0.0)
    smoothing.add(CAT, 100.0)
    assert smoothing.add(DOG, 100.1).probabilities == DOG


def test_frames_out_of_order_change_nothing_backwards() -> None:
    smoothing = smoother()
    before = smoothing.add(CAT, 100.0).probabilities
    assert smoothing.add(DOG, 99.5).probabilities == before


def test_a_gap_longer_than_the_limit_forgets_probabilities_and_answer() -> None:
    smoothing = smoother(hold_s=600.0)
    feed(smoothing, CAT, 100.0, 3.0)
    assert smoothing.answer.label == "cat"
    answer = smoothing.add(NOBODY, 103.0 + GAP_S + 0.01)
    assert answer.probabilities == smoother().add(NOBODY, 0.0).probabilities, "nothing of the cat is left"
    assert (answer.label, answer.reason) == (None, "reject"), "an answer is not held over a gap"
    assert answer.since == 103.0 + GAP_S + 0.01


def test_the_same_answer_after_a_gap_is_a_new_one() -> None:
    smoothing = smoother(window_s=0.1)
    feed(smoothing, CAT, 100.0, 1.0)
    feed(smoothing, CAT, 110.0, 1.0)
    assert (smoothing.answer.label, smoothing.answer.since) == ("cat", pytest.approx(110.1))


def test_a_gap_just_as_long_as_the_limit_forgets_nothing() -> None:
    smoothing = smoother()
    feed(smoothing, CAT, 100.0, 2.0)
    assert smoothing.add(CAT, 102.0 + GAP_S).since < 102.0


def test_a_label_becomes_the_answer_at_enter_and_at_once() -> None:
    answers = feed(smoother(), CAT, 100.0, 1.0)
    first = next(i for i, answer in enumerate(answers) if answer.label == "cat")
    assert answers[first].probabilities[0] >= 0.8 > answers[first - 1].probabilities[0]
    assert answers[first].since == pytest.approx(100.0 + first / 10)
    assert answers[first].reason is None


def test_enter_itself_is_enough() -> None:
    smoothing = smoother({"cat": Threshold(0.75, 0.5)}, window_s=0.0)
    assert smoothing.add((0.75, 0.25, 0.0), 100.0).label == "cat"


def test_an_answer_stays_while_it_is_above_leave() -> None:
    smoothing = smoother()
    feed(smoothing, CAT, 100.0, 3.0)
    feed(smoothing, (0.65, 0.05, 0.3), 103.1, 10.0)
    assert smoothing.answer.label == "cat"
    assert smoothing.answer.probabilities[0] < 0.8
    assert smoothing.answer.since < 101.0


def test_an_answer_ends_below_leave() -> None:
    smoothing = smoother()
    feed(smoothing, CAT, 100.0, 3.0)
    answers = feed(smoothing, (0.55, 0.15, 0.3), 103.1, 10.0)
    gone = next(answer for answer in answers if answer.label is None)
    assert gone.probabilities[0] < 0.6
    assert gone.reason == "unsure"


def test_an_answer_is_held_for_its_least_time_whatever_is_seen() -> None:
    smoothing = smoother(window_s=0.01, hold_s=1.0)
    smoothing.add(CAT, 100.0)
    since = smoothing.add(CAT, 100.1).since
    for answer in feed(smoothing, NOBODY, 100.2, 0.8):
        assert answer.label == "cat"
    assert smoothing.add(NOBODY, since + 1.0).label is None


def test_a_larger_candidate_takes_over_after_the_hold_and_not_before() -> None:
    limits = {"cat": Threshold(0.4, 0.1), "dog": Threshold(0.4, 0.1)}
    smoothing = smoother(limits, window_s=0.0, hold_s=1.0)
    smoothing.add((0.9, 0.1, 0.0), 100.0)
    assert smoothing.add((0.45, 0.55, 0.0), 100.9).label == "cat"
    answer = smoothing.add((0.45, 0.55, 0.0), 101.0)
    assert (answer.label, answer.since) == ("dog", 101.0), "although cat is far above its leave"


def test_a_candidate_that_is_only_as_large_does_not_take_over() -> None:
    limits = {"cat": Threshold(0.4, 0.1), "dog": Threshold(0.4, 0.1)}
    smoothing = smoother(limits, window_s=0.0)
    smoothing.add((0.1, 0.9, 0.0), 100.0)
    assert smoothing.add((0.5, 0.5, 0.0), 101.9).label == "dog"


def test_of_two_that_pass_the_larger_is_the_answer() -> None:
    limits = {"cat": Threshold(0.3, 0.1), "dog": Threshold(0.3, 0.1)}
    assert smoother(limits, window_s=0.0).add((0.4, 0.5, 0.1), 100.0).label == "dog"


def test_the_reject_label_is_never_the_answer_but_the_reason() -> None:
    answers = feed(smoother(), NOBODY, 100.0, 5.0)
    assert {(answer.label, answer.reason) for answer in answers} == {(None, "reject")}


def test_nothing_passes_is_unsure() -> None:
    answers = feed(smoother(), TORN, 100.0, 5.0)
    assert {(answer.label, answer.reason) for answer in answers} == {(None, "unsure")}


def test_since_is_when_the_reason_changed_too() -> None:
    smoothing = smoother(window_s=0.0)
    smoothing.add(NOBODY, 100.0)
    assert smoothing.add(NOBODY, 101.0).since == 100.0
    assert smoothing.add(TORN, 102.0).since == 102.0


def test_other_thresholds_count_from_the_next_prediction_and_forget_nothing() -> None:
    smoothing = smoother()
    before = feed(smoothing, (0.7, 0.2, 0.1), 100.0, 5.0)[-1]
    assert before.label is None
    smoothing.tune({"cat": Threshold(0.6, 0.5), "dog": Threshold(0.8, 0.6)}, window_s=0.5, hold_s=1.0)
    after = smoothing.add((0.7, 0.2, 0.1), 105.1)
    assert after.label == "cat"
    assert after.probabilities == pytest.approx(before.probabilities, abs=0.01)


def test_a_thousand_labels_are_no_burden() -> None:
    labels = [f"class {i}" for i in range(1000)]
    limits = {label: Threshold(0.8, 0.6) for label in labels}
    smoothing = Smoother(labels, [], limits, window_s=0.0, hold_s=0.0, gap_s=2.0, now=0.0)
    for i in range(100):  # a search through all labels for each of them would take seconds
        assert smoothing.add([0.0] * 999 + [1.0], float(i)).label == "class 999"


distributions = st.lists(st.floats(1e-6, 1.0), min_size=3, max_size=3).map(
    lambda values: tuple(value / sum(values) for value in values)
)
steps = st.lists(st.tuples(distributions, st.floats(0.0, 4.0)), min_size=1, max_size=40)
pairs = st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)).map(lambda pair: Threshold(max(pair), min(pair)))
limits = st.fixed_dictionaries({"cat": pairs, "dog": pairs})


@given(steps, limits, st.sampled_from([0.0, 0.3, 2.0]), st.sampled_from([0.0, 1.0, 5.0]))
def test_whatever_is_seen_the_answer_keeps_its_promises(
    seen: list[tuple[tuple[float, ...], float]], limits: dict[str, Threshold], window_s: float, hold_s: float
) -> None:
    smoothing = smoother(limits, window_s=window_s, hold_s=hold_s, now=0.0)
    now, before = 0.0, smoothing.answer
    for probabilities, dt in seen:
        now += dt
        answer = smoothing.add(probabilities, now)
        smoothed = dict(zip(LABELS, answer.probabilities, strict=True))
        assert sum(answer.probabilities) == pytest.approx(1.0)
        assert all(-1e-9 <= s <= 1.0 + 1e-9 for s in answer.probabilities), "it stays a distribution"
        assert answer.label in (None, "cat", "dog"), "never the reject label"
        assert (answer.label is None) == (answer.reason is not None)
        assert answer.reason != "no_data"
        assert answer.since <= now
        fits = {label for label, limit in limits.items() if smoothed[label] >= limit.enter}
        if answer.label is None:
            assert not fits, "what passes is accepted"
            leader = max(LABELS, key=smoothed.__getitem__)
            assert answer.reason == ("reject" if leader == "neither" else "unsure")
        elif answer.label != before.label or dt > GAP_S:
            assert answer.label in fits, "an answer begins at enter"
            assert answer.since == now
        elif now - before.since >= hold_s:
            assert smoothed[answer.label] >= limits[answer.label].leave, "never below leave once the hold is over"
        if before.label is not None and answer.label != before.label and dt <= GAP_S:
            assert now - before.since >= hold_s, "never changes within its hold"
        before = answer
