"""The order of messages on one connection: the announcement, a short pause, then the values."""

from __future__ import annotations

import random
import time

from lookout.integrations.mqtt import discovery, messages
from lookout.integrations.mqtt.commands import Commands
from lookout.integrations.mqtt.connection import Connection
from lookout.integrations.mqtt.discovery import Device
from lookout.integrations.mqtt.messages import Profile
from lookout.integrations.mqtt.outbox import Message, Outbox
from lookout.integrations.mqtt.watcher import Watcher
from lookout.settings.integrations import MqttSettings

# Home Assistant creates its entities during this pause; an event that arrives earlier would find none and be lost.
SETTLE_S = 1.0
# The broker sends retained messages at once, but does not report that there is none.
_RETAINED_S = 0.3
# When Home Assistant starts, all devices announce themselves again; a random pause spreads the load.
_MAX_BIRTH_PAUSE_S = 5.0
ONLINE, OFFLINE = b"online", b"offline"


class Session:
    """Serves one connection after another on the thread that owns them, and remembers what was announced."""

    def __init__(
        self, settings: MqttSettings, device: Device, outbox: Outbox, watcher: Watcher, commands: Commands | None
    ) -> None:
        self._settings, self._device, self._outbox = settings, device, outbox
        self._watcher, self._commands = watcher, commands
        self._topics = device.topics
        self._config = device.topics.discovery(settings.discovery_prefix)
        self._birth = f"{settings.discovery_prefix}/status"
        self._announced: Profile | None = None
        self._before: dict[str, str] = {}
        self._announce_at: float | None = None
        if commands is not None:
            commands.done = outbox.again

    @property
    def client_id(self) -> str:
        return self._device.id

    @property
    def will(self) -> Message:
        """Also the last message before a clean disconnect."""
        return Message(self._topics.status, OFFLINE)

    def run(self, connection: Connection) -> None:
        """Serve the connection until it is lost or the integration stops: raises BrokerUnreachable or Stopped."""
        connection.handle = self._receive
        self._announced = self._announce_at = None
        if self._settings.discovery:
            self._read_retained(connection)
            connection.subscribe(self._birth)
        if self._commands is not None:
            for topic in ("paused/set", "model/set", "notify/set", "enter/+/set"):
                connection.subscribe(self._topics(topic))
        while self._watcher.profile is None and not self._outbox.topics:
            connection.wait()
        self._announce(connection)
        connection.publish(Message(self._topics.status, ONLINE))
        self._outbox.again()
        while True:
            self._step(connection)

    def _step(self, connection: Connection) -> None:
        if self._announce_at is not None and time.monotonic() >= self._announce_at:
            self._announce_at = self._announced = None
            self._announce(connection)
            self._outbox.again()
            connection.publish(Message(self._topics.status, ONLINE))
        if self._watcher.profile != self._announced:
            self._announce(connection)
        message = self._outbox.next()
        if message is None:
            connection.wait()
            return
        try:
            connection.publish(message)
        except BaseException:
            self._outbox.put_back(message)
            raise

    def _announce(self, connection: Connection) -> None:
        """Announce the device. A label that is removed must not be the answer when Home Assistant reads the message."""
        profile = self._watcher.profile
        if profile is None or not self._settings.discovery:
            self._announced = profile
            return
        before = self._announced
        if before is not None and set(before.labels) - set(profile.labels):
            connection.publish(Message(self._topics("answer"), messages.unsure()))
            self._outbox.again(self._topics("answer"))
        payload = discovery.payload(self._device, profile, self._before)
        connection.publish(Message(self._config, payload))
        self._before |= discovery.platforms(payload)
        self._announced = profile
        connection.rest(SETTLE_S)

    def _read_retained(self, connection: Connection) -> None:
        """Read what an earlier run announced, to remove components that no longer exist."""
        connection.subscribe(self._config)
        connection.rest(_RETAINED_S)
        connection.unsubscribe(self._config)

    def _receive(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic == self._config:
            self._before = discovery.platforms(payload) | self._before
        elif topic == self._birth:
            if payload == ONLINE and not retained:  # a retained one is older than this announcement
                self._announce_at = time.monotonic() + random.uniform(0.0, _MAX_BIRTH_PAUSE_S)
        elif self._commands is not None:
            self._commands.take(topic, payload, retained=retained)
