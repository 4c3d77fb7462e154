"""One connection to the broker, driven by the thread that owns it. Every wait has a deadline, and a way to end it."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from lookout.integrations.mqtt.broker import Broker, BrokerUnreachable, refused, unreachable
from lookout.integrations.mqtt.outbox import Message

CONNECT_S = 5.0
ACKNOWLEDGE_S = 10.0
# Whatever is sent to us is a command, a word or our own discovery message; a broker must not send what is larger.
_MAX_INCOMING_BYTES = 256 * 1024
# paho asks to be called once a second, for its pings.
_TICK_S = 0.5
_FAREWELL_S = 0.3

Handler = Callable[[str, bytes, bool], None]


class Stopped(Exception):
    """Somebody asked for the end while something was waited for."""


class Wake:
    """Ends a wait from another thread. A pipe, since the wait is for a socket."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self.stopping = False

    def __call__(self) -> None:
        with contextlib.suppress(OSError):  # full, so it is awake; or closed
            os.write(self._write, b"x")

    def stop(self) -> None:
        self.stopping = True
        self()

    def fileno(self) -> int:
        return self._read

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            os.read(self._read, 4096)

    def sleep(self, seconds: float) -> None:
        """Until then, or until the end. What else wakes it is for a connection, and there is none."""
        until = time.monotonic() + seconds
        while not self.stopping and (left := until - time.monotonic()) > 0:
            poller = select.poll()
            poller.register(self, select.POLLIN)
            poller.poll(max(1, round(left * 1000)))
            self.clear()

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


class Connection:
    """Connected from `open` until it raises BrokerUnreachable. Not thread-safe: one thread calls all of it."""

    def __init__(self, broker: Broker, client_id: str, will: Message, keepalive_s: int, wake: Wake) -> None:
        self._broker, self._keepalive_s, self._wake = broker, keepalive_s, wake
        self._answer: ReasonCode | None = None
        self._lost: str | None = None
        self._subscribed: set[int] = set()
        self.handle: Handler = lambda _topic, _payload, _retained: None
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        client.connect_timeout = CONNECT_S
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = lambda _client, _data, number, _codes, _properties: self._subscribed.add(number)
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        if broker.user is not None or broker.password is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.context is not None:
            client.tls_set_context(broker.context)

    def open(self) -> None:
        """Raises BrokerUnreachable or Stopped."""
        if self._broker.context is not None:
            self._shake_hands(self._broker.context)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = _MAX_INCOMING_BYTES
        try:
            self._client.connect(self._broker.host, self._broker.port, self._keepalive_s, properties=properties)
        except OSError as error:
            raise unreachable(self._broker.place, error) from error
        self._until(lambda: self._answer is not None, CONNECT_S)
        assert self._answer is not None
        if self._answer.is_failure:
            raise refused(self._broker.place, self._answer.value, str(self._answer))

    def _shake_hands(self, context: ssl.SSLContext) -> None:
        """Whether the broker's certificate is right: paho leaves a socket open on which a handshake failed."""
        try:
            with (
                socket.create_connection((self._broker.host, self._broker.port), CONNECT_S) as bare,
                context.wrap_socket(bare, server_hostname=self._broker.host),
            ):
                pass
        except OSError as error:
            raise unreachable(self._broker.place, error) from error

    def subscribe(self, topic: str, *, own: bool = False) -> None:
        """Returns when the broker has taken it, even where its rules forbid us the topic. own: ours come back, too."""
        error, number = self._client.subscribe(topic, options=SubscribeOptions(qos=1, noLocal=not own))
        self._check(error)
        self._until(lambda: number in self._subscribed, ACKNOWLEDGE_S)

    def unsubscribe(self, topic: str) -> None:
        self._check(self._client.unsubscribe(topic)[0])

    def publish(self, message: Message) -> None:
        """Returns when the broker has acknowledged it. Raises BrokerUnreachable or Stopped."""
        sent = self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        self._check(sent.rc)
        self._until(sent.is_published, ACKNOWLEDGE_S)

    def rest(self, seconds: float) -> None:
        """Serve the connection for this many seconds. Raises BrokerUnreachable or Stopped."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._turn(min(left, _TICK_S))

    def wait(self) -> None:
        """Serve the connection until something is to be done, or a moment has passed."""
        self._turn(_TICK_S)

    def close(self, farewell: Message) -> None:
        """In order, with a last word: the broker sends no will. Waits for no acknowledgement."""
        self._client.publish(farewell.topic, farewell.payload, qos=0, retain=farewell.retain)
        self._client.disconnect()
        until = time.monotonic() + _FAREWELL_S
        while self._client.want_write() and time.monotonic() < until:
            if self._client.loop_write() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
        self.abandon()

    def abandon(self) -> None:
        """Close the socket, whatever state it is in. Not after `close`, the broker sends the will."""
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    # --- one turn -----------------------------------------------------------------------------------------------------

    def _until(self, holds: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not holds():
            left = until - time.monotonic()
            if left <= 0:
                raise unreachable(self._broker.place, TimeoutError())
            self._turn(min(left, _TICK_S))

    def _turn(self, seconds: float) -> None:
        """Wait for the socket, at most this long, and do what it asks for."""
        if self._wake.stopping:
            raise Stopped
        sock = self._client.socket()
        if sock is None:
            raise self._gone()
        readable = _pending(sock)
        if not readable:
            found = self._poll(sock, seconds)
            # Broken off shows as an error or a hang-up: reading it says so.
            readable = bool(found & ~select.POLLOUT)
            if found & select.POLLOUT:
                self._check(self._client.loop_write())
        if readable:
            self._check(self._client.loop_read())
        self._check(self._client.loop_misc())

    def _poll(self, sock: Any, seconds: float) -> int:
        """What the socket is ready for, as poll's bits."""
        poller = select.poll()  # select.select takes no descriptor above 1,023
        poller.register(sock, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        poller.register(self._wake, select.POLLIN)
        found = dict(poller.poll(max(1, round(seconds * 1000))))
        if self._wake.fileno() in found:
            self._wake.clear()
        return found.get(sock.fileno(), 0)

    def _check(self, code: MQTTErrorCode) -> None:
        if self._answer is not None and self._answer.is_failure:
            return  # `open` says what was answered
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or self._lost is not None:
            raise self._gone()

    def _gone(self) -> BrokerUnreachable:
        why = f" ({self._lost})" if self._lost else ""
        return BrokerUnreachable(
            f"The connection to the broker {self._broker.place} ended{why}.", "Lookout connects again by itself."
        )

    # --- paho's callbacks, on the same thread -------------------------------------------------------------------------

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._answer = code

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._lost = str(code)

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        self.handle(message.topic, bytes(message.payload), message.retain)


def _pending(sock: Any) -> bool:
    """Whether TLS has read more than was taken from it: the socket itself then shows nothing to read."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
