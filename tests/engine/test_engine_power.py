"""The worker under the governor, behind the change gate and without a model: what it leaves out misleads nobody."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest
from lookout.engine.governor import Limit
from lookout.engine.housekeeping import MODEL_RETRY_S, TIDY_EVERY_S, Housekeeping
from lookout.state.state import State, is_current, status
from lookout.state.view import view
from lookout.system.reading import SystemReading
from lookout.system.sd_notify import Notifier

from tests.models import BLUE, GREEN, picture
from tests.support.engines import Bench, FakeCamera, eventually, is_ok, latest, settings_of

WHY = "Fewer classifications, because the processor is warm."


def test_a_limit_slows_classification_and_says_why(bench: Bench) -> None:
    engine = bench.running(settings=settings_of(answer={"max_rate": 20}))
    eventually(engine, lambda state: state.rate.limited_by == "max_rate")
    engine.govern(Limit(5.0, WHY)).result(5)
    state = eventually(engine, lambda state: state.rate.limited_by == "governor", 10)
    assert state.rate.reason == WHY
    assert state.interval_s == pytest.approx(0.2)
    assert view(state, time.monotonic(), 0.0)["rate"]["reason"] == WHY
    eventually(engine, lambda state: state.rate.classifications_per_s < 6.0, 10)
    engine.govern(None).result(5)
    state = eventually(engine, lambda state: state.rate.limited_by == "max_rate", 10)
    assert state.rate.reason is None
    assert state.interval_s == pytest.approx(0.05)


def test_a_limit_holds_where_the_settings_have_none(bench: Bench) -> None:
    engine = bench.running(settings=settings_of(answer={"max_rate": 0}))
    engine.govern(Limit(4.0, WHY)).result(5)
    eventually(engine, lambda state: 3.0 < state.rate.classifications_per_s < 4.6, 10)


def test_no_limit_makes_an_answer_look_old(bench: Bench) -> None:
    engine = bench.running(settings=settings_of(answer={"max_rate": 20}, camera={"stale_after_s": 1.0}))
    eventually(engine, is_ok)
    engine.govern(Limit(0.1, WHY)).result(5)
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        state = latest(engine)
        assert is_current(state, time.monotonic())
        assert _age_s(state) < state.stale_after_s
        time.sleep(0.01)


def test_the_upkeep_hands_readings_to_the_governor_and_its_limit_to_the_worker(
    bench: Bench,
) -> None:
    engine = bench.running(settings=settings_of(answer={"max_rate": 20}))
    hub = engine.hub  # type: ignore[attr-defined]
    housekeeping = Housekeeping(engine, hub)
    eventually(engine, lambda state: state.rate.limited_by == "max_rate")
    hub.set_system(SystemReading(temperature_c=82.0))
    housekeeping._govern()
    state = eventually(engine, lambda state: state.rate.limited_by == "governor", 10)
    assert state.rate.reason is not None
    assert "82 °C" in state.rate.reason
    hub.set_system(SystemReading(temperature_c=40.0))
    for _ in range(10):
        housekeeping._govern()
    eventually(engine, lambda state: state.rate.limited_by == "max_rate", 10)


def test_an_unchanged_picture_is_classified_at_the_low_rate_and_the_answer_stays_of_now(
    bench: Bench,
) -> None:
    engine = bench.running(settings=settings_of(answer={"max_rate": 20, "unchanged_rate": 2, "focus": "off"}))
    eventually(engine, lambda state: state.rate.limited_by == "unchanged_picture", 10)
    frames, until = set(), time.monotonic() + 2.0
    while time.monotonic() < until:
        state = latest(engine)
        assert is_current(state, time.monotonic())
        assert state.answer.label == "cat"
        assert state.prediction is not None
        frames.add(state.prediction.frame_id)
        time.sleep(0.005)
    assert len(frames) <= 6


def test_a_change_is_answered_as_quickly_as_without_the_gate(bench: Bench) -> None:
    camera = FakeCamera()
    engine = bench.running(camera, settings_of(answer={"max_rate": 20, "unchanged_rate": 1, "focus": "off"}))
    eventually(engine, lambda state: state.rate.limited_by == "unchanged_picture", 10)
    camera.pixels = picture(GREEN, 64, 48)
    eventually(engine, lambda state: state.answer.label == "dog", 0.5)
    assert latest(engine).rate.limited_by != "unchanged_picture"


def test_the_smoother_sees_no_gap_while_the_picture_rests(bench: Bench) -> None:
    """One prediction of something new counts for the moment since the picture was last the old one, no more."""
    camera = FakeCamera()
    engine = bench.running(
        camera,
        settings_of(answer={"max_rate": 20, "unchanged_rate": 1, "focus": "off", "window_s": 1.0}, camera={"fps": 50}),
    )
    eventually(engine, lambda state: state.rate.limited_by == "unchanged_picture", 10)
    rested = eventually(engine, lambda state: state.prediction is not None and _age_s(state) > 0.6)
    before = rested.prediction
    camera.pixels = picture(BLUE, 64, 48)
    state = eventually(engine, lambda state: state.prediction != before and _sees(state, "neither"))
    assert _smoothed(state, "neither") < 0.25


def test_another_region_is_looked_at_at_once(bench: Bench) -> None:
    settings = settings_of(answer={"max_rate": 20, "unchanged_rate": 1, "focus": "off"})
    engine = bench.running(settings=settings)
    eventually(engine, lambda state: state.rate.limited_by == "unchanged_picture", 10)
    half = {
        "max_rate": 20,
        "unchanged_rate": 1,
        "focus": "off",
        "region": {"x": 0, "y": 0, "width": 0.6, "height": 0.7},
    }
    engine.apply(settings_of(answer=half)).result(5)
    state = eventually(engine, lambda state: state.prediction is not None and state.region_seen.width < 1.0, 1.0)
    assert state.rate.limited_by != "unchanged_picture"
    first = state.prediction
    assert first is not None
    state = eventually(
        engine, lambda state: state.prediction is not None and state.prediction.frame_id > first.frame_id
    )
    assert state.prediction is not None
    assert state.prediction.captured_at - first.captured_at < 0.5, "looked at again soon, as after every change"


def _age_s(state: State) -> float:
    assert state.prediction is not None
    return time.monotonic() - state.prediction.captured_at


def _sees(state: State, label: str) -> bool:
    assert state.model is not None
    assert state.prediction is not None
    return state.prediction.probabilities[state.model.labels.index(label)] > 0.5


def _smoothed(state: State, label: str) -> float:
    assert state.model is not None
    return state.answer.probabilities[state.model.labels.index(label)]


def test_a_keep_alive_that_would_look_old_is_refused() -> None:
    with pytest.raises(ValueError, match="unchanged_rate"):
        settings_of(answer={"max_rate": 20, "unchanged_rate": 0.5, "focus": "off"}, camera={"stale_after_s": 2.0})


def test_a_model_that_was_missing_at_the_start_is_tried_again_by_itself(bench: Bench) -> None:
    card = bench.models / "colours" / "card.json"
    text = card.read_bytes()
    card.write_bytes(b"rubbish")
    engine = bench.running()
    housekeeping = Housekeeping(engine, engine.hub)  # type: ignore[attr-defined]
    now = time.monotonic()
    housekeeping._retry_model(now + MODEL_RETRY_S)
    time.sleep(0.2)
    assert status(latest(engine), time.monotonic()) == "failed"
    card.write_bytes(text)
    housekeeping._retry_model(now + 1.5 * MODEL_RETRY_S)
    time.sleep(0.2)
    assert status(latest(engine), time.monotonic()) == "failed", "not before its time"
    housekeeping._retry_model(now + 2.1 * MODEL_RETRY_S)
    eventually(engine, is_ok)


async def test_what_was_freed_is_handed_back_again_and_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = bench.running()
    housekeeping, done, now = Housekeeping(engine, engine.hub), [], time.monotonic()  # type: ignore[attr-defined]
    monkeypatch.setattr("lookout.system.memory.release_free_memory", lambda: done.append(True))
    for passed, times in ((1.0, 0), (TIDY_EVERY_S + 1, 1), (TIDY_EVERY_S + 2, 1), (2 * TIDY_EVERY_S + 2, 2)):
        await housekeeping._turn(now + passed)
        assert len(done) == times


async def test_an_upkeep_that_stumbles_goes_on_and_feeds_the_watchdog(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = bench.running()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        housekeeping = Housekeeping(engine, engine.hub, Notifier(str(tmp_path / "notify"), 0.05))  # type: ignore[attr-defined]
        monkeypatch.setattr(housekeeping, "_report_status", lambda: 1 / 0)
        keeping = asyncio.create_task(housekeeping.run())
        fed = [await asyncio.to_thread(systemd.recv, 1000) for _ in range(3)]
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
    assert fed == [b"WATCHDOG=1"] * 3
    assert "failed and goes on" in caplog.text
