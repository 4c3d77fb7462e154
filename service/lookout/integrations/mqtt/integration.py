"""MQTT as an integration: a task that turns states into values, and a thread that sends them.

The thread owns the connection, so that looking up names, reading certificates and waiting for sockets block nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import random
import threading
import time
from pathlib import Path

from lookout.errors import LookoutError
from lookout.events.feed import Subscription
from lookout.integrations.identity import device_id
from lookout.integrations.interface import IntegrationStatus, Parts
from lookout.integrations.mqtt.broker import Broker
from lookout.integrations.mqtt.commands import Commands
from lookout.integrations.mqtt.connection import Connection, Stopped, Wake
from lookout.integrations.mqtt.discovery import Device
from lookout.integrations.mqtt.outbox import Outbox
from lookout.integrations.mqtt.session import Session
from lookout.integrations.mqtt.topics import Topics
from lookout.integrations.mqtt.watcher import Watcher
from lookout.settings.integrations import MqttSettings

log = logging.getLogger(__name__)

MIN_PAUSE_S, MAX_PAUSE_S = 1.0, 30.0
_END_S = 1.0


class Mqtt:
    name = "mqtt"

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        loaded = parts.control.loaded
        self._settings: MqttSettings = loaded.settings.mqtt
        self._name = loaded.settings.server.name
        self._folder: Path = loaded.state_folder
        self._status = IntegrationStatus("starting", time.monotonic())
        self._wake = Wake()
        self._outbox = Outbox(self._wake)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._task: asyncio.Task[None] | None = None
        self._news: Subscription | None = None
        self._session: Session | None = None

    def status(self) -> IntegrationStatus:
        return self._status

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = self._parts.feed.subscribe()
        self._thread.start()

    async def stop(self) -> None:
        self._wake.stop()
        if self._news is not None:
            self._news.close()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        until = time.monotonic() + _END_S
        while self._thread.is_alive() and time.monotonic() < until:
            await asyncio.sleep(0.01)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.suppress(Stopped):
            session = self._prepare()
            pause_s = MIN_PAUSE_S
            while not self._wake.stopping:
                began = time.monotonic()
                try:
                    self._connect(session)
                except Stopped:
                    raise
                except LookoutError as error:
                    self._failed(error)
                except Exception as error:
                    log.exception("MQTT ended unexpectedly and starts again.")
                    self._failed(LookoutError(f"MQTT ended unexpectedly: {type(error).__name__}.", "See the log."))
                # After a connection that lasted a while, the next attempt comes quickly.
                pause_s = MIN_PAUSE_S if time.monotonic() - began > 2 * MAX_PAUSE_S else min(2 * pause_s, MAX_PAUSE_S)
                self._wake.sleep(pause_s * random.uniform(0.5, 1.0))

    def _prepare(self) -> Session:
        """Do what must wait for the disk. Retries until the id can be read: another id would be another device."""
        while True:
            try:
                identity = device_id(self._folder, self._parts.storage)
                break
            except LookoutError as error:
                self._failed(error)
                self._wake.sleep(MAX_PAUSE_S)
                if self._wake.stopping:
                    raise Stopped from error
        settings = self._settings
        topics = Topics(settings.base, identity)
        device = Device(
            topics,
            name=self._name or f"Lookout {platform.node().partition('.')[0]}".strip(),
            model=_machine(),
            address=self._parts.address,
            picture=settings.picture != "none",
            control=settings.control,
        )
        watcher = Watcher(self._parts, settings, topics, self._outbox)
        commands = None
        if settings.control:
            commands = Commands(topics, self._parts.control, watcher.thresholds, self._parts.quiet)
        session = Session(settings, device, self._outbox, watcher, commands)
        with contextlib.suppress(RuntimeError):  # the loop has ended in the meantime
            self._loop.call_soon_threadsafe(self._watch, watcher)
        return session

    def _watch(self, watcher: Watcher) -> None:
        assert self._news is not None
        if not self._wake.stopping:
            self._task = self._loop.create_task(watcher.run(self._news, lambda: self._wake.stopping))

    def _connect(self, session: Session) -> None:
        """Run one connection until it ends. Raises LookoutError; Stopped after a clean disconnect."""
        broker = Broker.of(self._settings)
        connection = Connection(broker, session.client_id, session.will, self._settings.keepalive_s, self._wake)
        try:
            connection.open()
            self._status = IntegrationStatus("ok", time.monotonic())
            log.info("Connected to the MQTT broker %s.", broker.place)
            session.run(connection)
        except Stopped:
            connection.close(session.will)
            raise
        finally:
            connection.abandon()

    def _failed(self, error: LookoutError) -> None:
        before = self._status
        since = before.since if before.status == "failed" else time.monotonic()
        self._status = IntegrationStatus.failed(error, since)
        if before.detail != error.detail:  # once, not at every attempt
            log.warning("%s", error)


def _machine() -> str:
    try:
        return Path("/proc/device-tree/model").read_text("utf-8", "replace").strip("\0 \n")
    except OSError:
        return f"{platform.system()} {platform.machine()}"
