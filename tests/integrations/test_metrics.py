"""Figures for Prometheus: what is counted, how much of it, who may read it, and what Prometheus' own tool says."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from lookout.errors import Fault
from lookout.events.event import Event
from lookout.events.feed import Feed, News
from lookout.events.retention import Forecast
from lookout.integrations.interface import Parts
from lookout.integrations.metrics.integration import MAX_SERIES, Metrics
from lookout.integrations.running import Integrations
from lookout.pipeline.smoothing import Answer
from lookout.state.hub import Hub, StageDurations
from lookout.state.state import CameraState, ModelState, PredictionRecord, State
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from tests.requires import requires
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
PLAIN, OPEN = "text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0"


def state(labels: int = 3) -> State:
    now = time.monotonic()
    names = tuple(f"label {number}" for number in range(labels))
    model = ModelState("colours", "1", "int8", 1, names, {}, {})
    return State(
        instance="x",
        sequence=1,
        started_at=now,
        camera=CameraState("streaming", "demo", now),
        answer=Answer(names[0], None, now, tuple(1 / labels for _ in names)),
        stale_after_s=60.0,
        interval_s=0.1,
        prediction=PredictionRecord(tuple(1 / labels for _ in names), 1, now),
        frame=cast("Any", _Frame(now)),
        model=model,
    )


class _Frame:
    def __init__(self, captured_at: float) -> None:
        self.captured_at = captured_at


def running(labels: int = 3) -> tuple[Metrics, Hub]:
    hub = Hub(state(labels))
    metrics = Metrics(Parts(hub, cast("Any", None), cast("Any", None), Feed(), ""))
    asyncio.run(metrics.start())
    return metrics, hub


def values(metrics: Metrics, accept: str = PLAIN) -> dict[str, float]:
    """Each series by its text."""
    text, _ = metrics.exposition(accept, {"live": 2}, {"ok": 3, "picture_too_large": 1})
    parse = openmetrics if accept == OPEN else prometheus
    return {
        "|".join((sample.name, *(sample.labels[key] for key in sorted(sample.labels)))): sample.value
        for family in parse(text.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("accept", [PLAIN, OPEN])
def test_it_counts_what_happens(accept: str) -> None:
    metrics, hub = running()
    first = hub.latest()
    for _ in range(3):
        hub.publish(replace(first, frame=cast("Any", _Frame(time.monotonic()))))
    hub.publish(hub.latest())  # the same frame
    metrics.classified(StageDurations((2.0, 0.3, 4.0, 0.1), 0.007))
    lost = replace(first.camera, restarts=2, fault=Fault("camera_silent", "", ""))
    hub.publish(replace(hub.latest(), camera=lost))
    reported = values(metrics, accept)
    assert reported["lookout_frames_total|main"] == 3
    assert reported["lookout_classifications_total|camera"] == 1
    assert reported["lookout_classifications_total|upload"] == 3
    assert reported["lookout_uploads_total|picture_too_large"] == 1
    assert reported["lookout_camera_restarts_total|camera_silent|main"] == 2
    assert reported["lookout_camera_up|main"] == 1
    assert reported["lookout_answer_probability_ratio|label 1|main"] == pytest.approx(1 / 3)
    assert reported["lookout_viewers|live"] == 2
    assert reported["lookout_answer_age_seconds_count"] == 1
    assert reported["lookout_stage_duration_seconds_sum|inference"] == pytest.approx(0.004)
    asyncio.run(metrics.stop())
    assert hub.meter is None


def test_it_reports_events_reviews_notices_disk_and_the_processor() -> None:
    hub, feed = Hub(replace(state(), rate=replace(state().rate, dropped_frames=7))), Feed()
    kept = Forecast(events=3, kept=1, bytes=5_000, max_bytes=9_000, bytes_a_day=100, days_left=2.0, oldest=None)
    parts = Parts(hub, cast("Any", None), cast("Any", None), feed, "", forecast=lambda: kept)
    metrics = Metrics(parts)
    asyncio.run(metrics.start())
    visit = Event(1, "seen", 1.8e9, 1.8e9 + 5, label="cat")
    for news in (News("begun", visit), News("ended", visit), News("ended", Event(2, "camera", 1.8e9, 1.8e9))):
        feed.publish(news)
    feed.publish(News("changed", replace(visit, right="cat")))
    feed.publish(News("changed", replace(visit, right="dog")))
    hub.set_system(replace(hub.system, temperature_c=61.5, throttled=("under_voltage",)))
    metrics.exposition(PLAIN, {}, {})  # which looks at the disk on a thread: the next answer has it
    until(lambda: "lookout_store_bytes|events" in values(metrics))
    reported = values(metrics)
    text, _ = metrics.exposition(PLAIN, {}, {}, {("phone", "delivered"): 4, ("phone", "lost"): 1})
    assert {name: value for name, value in reported.items() if name.startswith("lookout_events_total")} == {
        "lookout_events_total|cat|main": 1,
        "lookout_events_total|camera|main": 1,
    }
    assert (reported["lookout_reviews_total|right"], reported["lookout_reviews_total|wrong"]) == (1, 1)
    assert reported["lookout_frames_dropped_total|main"] == 7
    assert 0 <= reported["lookout_frame_age_seconds|main"] < 60
    assert reported["lookout_store_bytes|events"] == 5_000
    assert reported["lookout_disk_left_seconds"] == 2 * 86_400
    assert reported["lookout_temperature_celsius"] == 61.5
    assert reported["lookout_throttled|under_voltage"] == 1
    assert 'lookout_deliveries_total{outcome="delivered",target="phone"} 4.0' in text.decode().splitlines()
    assert 'lookout_deliveries_total{outcome="lost",target="phone"} 1.0' in text.decode().splitlines()
    assert [name for name in reported if name.startswith("lookout_build_info")]


def test_a_dead_camera_is_down_and_its_old_answer_no_figure() -> None:
    metrics, hub = running()
    hub.publish(replace(hub.latest(), camera=replace(hub.latest().camera, status="stalled")))
    reported = values(metrics)
    assert reported["lookout_camera_up|main"] == 0
    assert not [name for name in reported if name.startswith("lookout_answer_probability_ratio")]


@pytest.mark.parametrize("labels", [3, 40, 1000, 10_000])
def test_there_are_never_more_series_than_prometheus_should_keep(labels: int) -> None:
    metrics, hub = running(labels)
    for number in range(0, labels, max(1, labels // 100)):
        label = f"label {number}"
        hub.publish(replace(hub.latest(), answer=replace(hub.latest().answer, label=label)))
    reported = values(metrics)
    assert len(reported) <= MAX_SERIES
    assert [name for name in reported if name.startswith("lookout_answer_probability_ratio")]


@requires("promtool")
@pytest.mark.parametrize("labels", [3, 1000])
def test_prometheus_own_tool_finds_no_fault_with_it(labels: int) -> None:
    metrics, _ = running(labels)
    metrics.classified(StageDurations((2.0, 0.3, 4.0, 0.1), 0.007))
    text, _ = metrics.exposition(PLAIN, {"live": 2}, {"ok": 3})
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")


@requires("promtool")
def test_the_alert_rules_are_rules() -> None:
    rules = ROOT / "docs" / "prometheus" / "rules.yml"
    done = subprocess.run(
        ["promtool", "check", "rules", rules], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_rules_and_dashboard_ask_for_figures_that_there_are() -> None:
    metrics, _ = running()
    metrics.classified(StageDurations((2.0, 0.3, 4.0, 0.1), 0.007))
    text = metrics.exposition(PLAIN, {"live": 2}, {"ok": 3})[0].decode()
    known = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    for name in ("rules.yml", "grafana.json"):
        paper = (ROOT / "docs" / "prometheus" / name).read_text()
        asked = {re.sub("_(bucket|sum|count)$", "", found) for found in re.findall(r"\blookout_[a-z_]+", paper)}
        assert asked <= known | {"lookout_temperature_celsius"}, name
        assert len(asked) >= 3


def test_switched_off_none_of_it_is_imported() -> None:
    code = (
        "import sys, lookout.api.app, lookout.server.serve;"
        "print([m for m in sys.modules if m.startswith(('prometheus_client', 'lookout.integrations.metrics'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
    assert Integrations().statuses()["metrics"].status == "off"
