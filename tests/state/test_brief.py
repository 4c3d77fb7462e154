"""A watcher of a model with a thousand labels gets states as small as any other, after one whole one."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

from lookout.api.routes.live import StateSchedule
from lookout.engine.worker import first_state
from lookout.pipeline.smoothing import Answer, Threshold
from lookout.settings.schema import Settings
from lookout.state.brief import LISTED_LABELS, brief
from lookout.state.hub import Hub
from lookout.state.state import ModelState, PredictionRecord, State
from lookout.state.view import view


def watching(count: int) -> State:
    """The answer is the likeliest label but 30, as a smoothed one may be."""
    labels = tuple(f"label {i}" for i in range(count))
    shares = tuple((i + 1) / (count * (count + 1) / 2) for i in range(count))
    model = ModelState("m", "1", "fp32", 1, labels, dict(zip(labels, labels, strict=True)),
                       dict.fromkeys(labels[1:], Threshold(0.8, 0.6)))  # fmt: skip
    answer = Answer(label=labels[max(0, count - 30)], reason=None, since=1.0, probabilities=shares)
    return replace(
        first_state(Settings(), 1.0), model=model, answer=answer, prediction=PredictionRecord(shares[::-1], 1, 1.0)
    )


def test_the_likeliest_of_many_labels_are_listed_and_the_answer_among_them() -> None:
    whole = view(watching(1000), 2.0, 2.0)
    short = brief(whole)
    assert len(json.dumps(whole)) > 100_000
    assert len(json.dumps(short)) < 12_000
    listed = short["model"]["labels"]
    assert short["model"]["label_count"] == 1000
    assert len(listed) == 2 * LISTED_LABELS + 1
    assert listed == sorted(listed, key=whole["model"]["labels"].index)
    for part in ("answer", "prediction"):
        probabilities = short[part]["probabilities"]
        assert probabilities == {label: whole[part]["probabilities"][label] for label in listed}
    assert short["answer"]["label"] in listed
    assert set(short["answer"]["thresholds"]) == set(listed) - {"label 0"}
    assert set(short["model"]["titles"]) == set(listed)


def test_a_state_of_few_labels_is_always_whole() -> None:
    whole = view(watching(50), 2.0, 2.0)
    assert brief(whole) is whole


async def test_the_first_state_of_a_model_is_whole() -> None:
    state = watching(1000)
    hub = Hub(state)
    schedule = StateSchedule(hub, asyncio.sleep, rate=60)
    seen = []
    for _ in range(2):
        await schedule.next()
        seen.append(schedule.after_whole)
    assert state.model is not None
    hub.publish(replace(state, sequence=state.sequence + 1, model=replace(state.model, version="2")))
    started = time.monotonic()
    await schedule.next()
    seen.append(schedule.after_whole)
    assert time.monotonic() - started < 1.5
    assert seen == [False, True, False]
