"""Turns states and events into values of topics, on the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lookout.errors import LookoutError
from lookout.events.feed import News, Subscription
from lookout.integrations.interface import Parts
from lookout.integrations.mqtt import messages, quiet
from lookout.integrations.mqtt.messages import AnswerMessage, Profile
from lookout.integrations.mqtt.outbox import Outbox
from lookout.integrations.mqtt.topics import Topics
from lookout.registry.catalogue import Catalogue
from lookout.settings.integrations import MqttSettings
from lookout.state.state import State
from lookout.state.view import StateView, view

log = logging.getLogger(__name__)

# How often event news and the machine's readings are polled, since neither wakes this task.
_LOOK_S = 0.25
_AGAIN_S = 5.0
_MINUTE_S = 60.0
_PICTURE_WIDTH = 640
_QUALITY = 80

T = TypeVar("T")


class Watcher:
    """The sending thread may use `profile` and `thresholds`; everything else is for the event loop."""

    def __init__(self, parts: Parts, settings: MqttSettings, topics: Topics, outbox: Outbox) -> None:
        self._parts, self._settings, self._topics, self._outbox = parts, settings, topics, outbox
        self._lock = threading.Lock()
        self._profile: Profile | None = None
        self._model: str | None = None
        self._models: tuple[str, ...] = ()
        self._answer = AnswerMessage()
        self._health_at = self._picture_at = float("-inf")
        self._power = b""
        # The catalogue reads folders and encoding a JPEG takes a while, so both run on a thread, started on first use.
        self._helper = ThreadPoolExecutor(1, "mqtt helper")
        self._left_days: float | None = None
        self._disk_read: Future[None] = Future()
        self._disk_read.set_result(None)

    @property
    def profile(self) -> Profile | None:
        """What is to be announced; None before the first model is loaded."""
        with self._lock:
            return self._profile

    def thresholds(self) -> Mapping[str, str]:
        """Return the labels by the topic of their threshold."""
        profile = self.profile
        return {self._topics.enter(label): label for label in profile.labels} if profile else {}

    async def run(self, news: Subscription, is_over: Callable[[], bool]) -> None:
        """Run until cancelled or `is_over`: on Python 3.11, a wait that ends at the same time can lose the cancel."""
        seen = -1
        try:
            while not is_over():
                state = await self._parts.hub.changed(seen, _LOOK_S)
                seen = state.sequence
                try:
                    await self._take(state, news)
                except Exception:  # a state that cannot be sent must not keep later ones from being sent
                    log.exception("MQTT could not follow the state; it tries again.")
                    await asyncio.sleep(_AGAIN_S)
        finally:
            self._helper.shutdown(wait=False, cancel_futures=True)

    async def _take(self, state: State, news: Subscription) -> None:
        now = time.monotonic()
        shown = view(state, now, time.time(), self._parts.hub.system)
        await self._follow_model(shown)
        self._put(state, shown, now)
        await self._pictures(state, shown, now)
        for one in news.take():
            self._event(one)

    async def _follow_model(self, shown: StateView) -> None:
        model = shown["model"]["name"] if shown["model"] else None
        if model != self._model:
            self._models = await self._run_in_thread(self._installed)
            self._model = model
        profile = messages.profile_of(shown, self._models, notices=self._parts.quiet() is not None)
        if profile is not None and profile != self._profile:
            before = self._profile
            with self._lock:
                self._profile = profile
            for label in set(before.labels if before else ()) - set(profile.labels):
                self._outbox.forget(self._topics.enter(label))

    def _installed(self) -> tuple[str, ...]:
        loaded = self._parts.control.loaded
        return tuple(Catalogue.of(loaded.settings, loaded.state_folder).names())

    def _put(self, state: State, shown: StateView, now: float) -> None:
        camera, answer = messages.camera(shown), self._answer.of(shown, now)
        pair = [(self._topics("camera"), camera), (self._topics("answer"), answer)]
        # A client that reads both topics never sees an old answer of a returned camera, nor a new answer of a lost one.
        for topic, payload in pair if camera == b"offline" else reversed(pair):
            self._outbox.put(topic, payload)
        for topic, payload in messages.values(shown, self._topics, paused=state.paused).items():
            self._outbox.put(topic, payload)
        notices = self._parts.quiet()
        if notices is not None:
            self._outbox.put(self._topics("notify"), quiet.word(notices.quiet_for_s(), time.time()).encode())
        self._put_health(shown, now)

    def _put_health(self, shown: StateView, now: float) -> None:
        power = str(shown["system"]["throttled"]).encode()
        if now - self._health_at >= self._settings.heartbeat_s or power != self._power:
            self._health_at, self._power = now, power
            self._outbox.put(self._topics("health"), messages.health(shown, self._left_days))
            if self._disk_read.done():  # otherwise the disk hangs
                self._disk_read = self._helper.submit(self._read_disk)

    def _read_disk(self) -> None:
        """Refresh the forecast; the next message reports it."""
        try:
            forecast = self._parts.forecast()
        except LookoutError:
            forecast = None
        self._left_days = None if forecast is None else forecast.days_left

    async def _pictures(self, state: State, shown: StateView, now: float) -> None:
        due = self._settings.picture == "minute" and now - self._picture_at >= _MINUTE_S
        if due and shown["status"] == "ok" and state.frame is not None:
            self._picture_at = now
            pixels = state.frame.pixels
            self._outbox.put(self._topics("picture"), await self._run_in_thread(lambda: _jpeg(pixels)))

    def _event(self, news: News) -> None:
        if news.picture is not None and self._settings.picture == "event":
            self._outbox.put(self._topics("picture"), news.picture)
        payload = messages.event(news, self._parts.address)
        if payload is not None:
            self._outbox.put_event(self._topics("event"), payload)

    async def _run_in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._helper, work)


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    import cv2

    height, width = pixels.shape[:2]
    if width > _PICTURE_WIDTH:
        size = (_PICTURE_WIDTH, max(1, round(height * _PICTURE_WIDTH / width)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    ok, data = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    return data.tobytes() if ok else b""
