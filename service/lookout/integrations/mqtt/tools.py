"""What the command line does at the broker, each with a connection of its own."""

from __future__ import annotations

import secrets
import time

from lookout.integrations.mqtt.broker import Broker, BrokerDenied
from lookout.integrations.mqtt.connection import Connection, Wake
from lookout.integrations.mqtt.outbox import Message
from lookout.integrations.mqtt.topics import Topics
from lookout.settings.integrations import MqttSettings

_ANSWER_S = 5.0
# The broker sends retained messages at once, but does not report the last one.
_COLLECT_S = 1.0


def try_broker(settings: MqttSettings) -> str:
    """Check that messages pass the broker; return its host and port. Raises SettingInvalid or BrokerUnreachable."""
    broker, word = Broker.of(settings), secrets.token_hex(8).encode()
    topic = f"{settings.base}/test/{word.decode()}"
    heard: list[bytes] = []
    connection = _connected(broker, settings, topic)
    try:
        connection.handle = lambda _topic, payload, _retained: heard.append(payload)
        connection.subscribe(topic, own=True)
        connection.publish(Message(topic, word, retain=False))
        until = time.monotonic() + _ANSWER_S
        while word not in heard:
            if time.monotonic() > until:
                raise BrokerDenied(
                    f"The broker {broker.place} accepts Lookout, but does not deliver what it publishes to {topic}.",
                    f"Allow its user to read and write {settings.base}/# and {settings.discovery_prefix}/#.",
                )
            connection.wait()
        return broker.place
    finally:
        connection.abandon()


def clear_device(settings: MqttSettings, device: str) -> int:
    """Clear the device's retained messages; return how many there were. Raises SettingInvalid or BrokerUnreachable."""
    topics = Topics(settings.base, device)
    retained: set[str] = set()
    connection = _connected(Broker.of(settings), settings, topics.status)
    try:
        connection.handle = lambda topic, payload, kept: retained.add(topic) if kept and payload else None
        config = topics.discovery(settings.discovery_prefix)
        connection.subscribe(config)
        connection.subscribe(f"{topics.base}/#")
        connection.rest(_COLLECT_S)
        # The discovery message goes first; otherwise the entities would show unknown values before they are removed.
        for topic in sorted(retained, key=lambda topic: topic != config):
            connection.publish(Message(topic, b""))
        return len(retained)
    finally:
        connection.abandon()


def _connected(broker: Broker, settings: MqttSettings, topic: str) -> Connection:
    will = Message(f"{topic}/will", b"", retain=False)
    connection = Connection(broker, f"lookout_cli_{secrets.token_hex(4)}", will, settings.keepalive_s, Wake())
    connection.open()
    return connection
