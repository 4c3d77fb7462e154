"""`/metrics` for Prometheus. At most `MAX_SERIES` series, however many labels a model has."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from lookout import __version__
from lookout.errors import LookoutError
from lookout.events.feed import Subscription
from lookout.events.retention import Forecast
from lookout.integrations.interface import IntegrationStatus, Parts
from lookout.state.hub import StageDurations
from lookout.state.state import State, is_current, status

MAX_SERIES = 400
# A model may have a thousand labels; beyond this number, only labels that were the answer are counted, up to this many.
MAX_LABELS = 40
VIEW = "main"
_STAGES = ("capture", "preprocess", "inference", "postprocess")
_LOOK_EVERY_S = 60.0
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class Metrics:
    """The hub's meter while it runs. The worker's thread calls `published` and `classified`, the loop the rest."""

    name = "metrics"

    def __init__(self, parts: Parts) -> None:
        prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._hub, self._forecast = parts.hub, parts.forecast
        self._feed = parts.feed
        self._since = time.monotonic()
        self._registry = prometheus.CollectorRegistry()
        stages = prometheus.Histogram(
            "lookout_stage_duration_seconds",
            "Time one classification spends in each stage.",
            ["stage"],
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._stages = tuple(stages.labels(stage) for stage in _STAGES)
        self._age = prometheus.Histogram(
            "lookout_answer_age_seconds",
            "Time from a frame's capture to its answer.",
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._frame: object = None
        self._frames = self._classified = self._restarts = 0
        self._restarts_by_code: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self._reviews: Counter[str] = Counter()
        self._answered: dict[str, None] = {}
        self._news: Subscription | None = None
        self._viewers: Mapping[str, int] = {}
        self._uploads: Mapping[str, int] = {}
        self._deliveries: Mapping[tuple[str, str], int] = {}
        self._stored: Forecast | None = None
        self._refreshed_at = float("-inf")
        self._disk_lock = threading.Lock()  # held while a thread reads the disk
        self._registry.register(self)

    def status(self) -> IntegrationStatus:
        """Always ok, whether or not a Prometheus server scrapes it."""
        return IntegrationStatus("ok", self._since)

    async def start(self) -> None:
        """Start counting."""
        self._restarts = self._hub.latest().camera.restarts
        self._news = self._feed.subscribe(changes=True)
        self._hub.meter = self

    async def stop(self) -> None:
        self._hub.meter = None
        if self._news is not None:
            self._news.close()

    # --- the worker's thread ------------------------------------------------------------------------------------------

    def published(self, state: State) -> None:
        """Count a state that has been published."""
        if state.frame is not None and state.frame is not self._frame:
            self._frame = state.frame
            self._frames += 1
        camera = state.camera
        if camera.restarts > self._restarts:
            self._restarts_by_code[camera.fault.code if camera.fault else "unknown"] += camera.restarts - self._restarts
        self._restarts = camera.restarts
        label = state.answer.label
        if label is not None and label not in self._answered and len(self._answered) < MAX_LABELS:
            self._answered[label] = None

    def classified(self, durations: StageDurations) -> None:
        """Count a classified frame and its durations."""
        self._classified += 1
        for histogram, took_ms in zip(self._stages, durations.stages_ms, strict=True):
            histogram.observe(took_ms / 1e3)
        self._age.observe(durations.age_s)

    # --- the event loop -----------------------------------------------------------------------------------------------

    def exposition(
        self,
        accept: str,
        viewers: Mapping[str, int],
        uploads: Mapping[str, int],
        deliveries: Mapping[tuple[str, str], int] | None = None,
    ) -> tuple[bytes, str]:
        """Return the metrics and their media type: OpenMetrics if the client accepts it, else Prometheus' own format.

        viewers, uploads: counts by kind and by code. deliveries: of notices, by target and outcome.
        """
        self._viewers, self._uploads, self._deliveries = viewers, uploads, deliveries or {}
        self._count_news()
        self._refresh_disk()
        encode, media_type = choose_encoder(accept)
        text: bytes = encode(self._registry)
        return text, media_type

    def _refresh_disk(self) -> None:
        """Refresh the disk usage now and then on a thread; a later scrape reports it."""
        now = time.monotonic()
        if now - self._refreshed_at >= _LOOK_EVERY_S and self._disk_lock.acquire(blocking=False):
            self._refreshed_at = now
            threading.Thread(target=self._read_disk, name="metrics disk", daemon=True).start()

    def _read_disk(self) -> None:
        try:
            self._stored = self._forecast()
        except LookoutError:
            self._stored = None
        finally:
            self._disk_lock.release()

    def _count_news(self) -> None:
        for news in self._news.take() if self._news is not None else ():
            event = news.event
            if news.what == "ended":
                self._events[event.label or event.kind] += 1
            elif news.what == "changed" and event.right is not None:
                self._reviews["right" if event.right == event.label else "wrong"] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that are read from the state at scrape time; called by the registry."""
        state, system, now = self._hub.latest(), self._hub.system, time.monotonic()
        model = state.model
        about = {
            "version": __version__,
            "model": model.name if model else "",
            "precision": model.precision if model else "",
        }
        yield InfoMetricFamily("lookout_build", "The running version and model.", about)
        up = GaugeMetricFamily("lookout_camera_up", "Whether the camera delivers current pictures.", labels=["view"])
        up.add_metric([VIEW], float(status(state, now) == "ok"))
        yield up
        if state.frame is not None:
            yield _gauge(
                "lookout_frame_age_seconds", "Age of the newest frame.", "view", {VIEW: now - state.frame.captured_at}
            )
        yield _counter("lookout_frames", "Frames taken from the camera.", "view", {VIEW: self._frames})
        dropped = {VIEW: state.rate.dropped_frames}
        yield _counter("lookout_frames_dropped", "Frames skipped because a newer one had arrived.", "view", dropped)
        where = {"camera": self._classified, "upload": self._uploads.get("ok", 0)}
        yield _counter("lookout_classifications", "Pictures classified.", "where", where)
        yield self._probabilities(state, now)
        yield _counter("lookout_uploads", "Uploaded pictures, by outcome.", "code", self._uploads)
        yield _gauge("lookout_viewers", "Current viewers.", "kind", self._viewers)
        yield from self._totals()
        yield from self._disk_and_notices()
        if system.temperature_c is not None:
            yield GaugeMetricFamily(
                "lookout_temperature_celsius", "Temperature of the processor.", system.temperature_c
            )
        throttled = dict.fromkeys(system.throttled, 1)
        yield _gauge("lookout_throttled", "1 for each reason for which the firmware throttles.", "reason", throttled)

    def _probabilities(self, state: State, now: float) -> Metric:
        """Return the current answer's probabilities; none while the answer is not current."""
        family = GaugeMetricFamily(
            "lookout_answer_probability_ratio", "Smoothed probability of each label.", labels=["view", "label"]
        )
        labels = state.model.labels if state.model else ()
        if is_current(state, now):
            for label, probability in zip(labels, state.answer.probabilities, strict=False):
                if len(labels) <= MAX_LABELS or label in self._answered:
                    family.add_metric([VIEW, label], probability)
        return family

    def _disk_and_notices(self) -> Iterator[Metric]:
        """Yield the disk usage of events and the outcomes of notices."""
        deliveries = CounterMetricFamily("lookout_deliveries", "Notices, by outcome.", labels=["target", "outcome"])
        for (target, outcome), count in list(self._deliveries.items())[: 2 * MAX_LABELS]:
            deliveries.add_metric([target, outcome], count)
        yield deliveries
        stored = self._stored
        if stored is not None:
            yield _gauge("lookout_store_bytes", "Bytes stored on disk.", "kind", {"events": stored.bytes})
            if stored.days_left is not None:
                left = GaugeMetricFamily(
                    "lookout_disk_left_seconds", "Time until the oldest events are deleted for new ones."
                )
                left.add_metric([], stored.days_left * 86_400)
                yield left

    def _totals(self) -> Iterator[Metric]:
        restarts = CounterMetricFamily(
            "lookout_camera_restarts", "Times that the camera was reopened.", labels=["view", "code"]
        )
        for code, count in self._restarts_by_code.copy().items():
            restarts.add_metric([VIEW, code], count)
        yield restarts
        events = CounterMetricFamily("lookout_events", "Events that ended, by label.", labels=["view", "label"])
        for label, count in self._events.most_common(MAX_LABELS):
            events.add_metric([VIEW, label], count)
        yield events
        yield _counter("lookout_reviews", "Reviewed events.", "outcome", self._reviews)


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=[label]), values.items())


def _counter(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=[label]), values.items())


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Iterable[tuple[str, float]]) -> Metric:
    for label, value in list(values):
        family.add_metric([label], value)
    return family
