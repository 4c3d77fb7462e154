"""One connection to the broker, driven by the thread that owns it. Every wait has a deadline and can be interrupted."""

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

from lookout.integrations.mqtt.broker import Broker, BrokerLost, refused, unreachable
from lookout.integrations.mqtt.outbox import Message

CONNECT_S = 5.0
ACKNOWLEDGE_S = 10.0
# Incoming messages are commands, birth messages or Lookout's own discovery message; the broker must not send more.
_MAX_INCOMING_BYTES = 256 * 1024
# paho wants to be called once a second, for its pings.
_TICK_S = 0.5
_FAREWELL_S = 0.3

Handler = Callable[[str, bytes, bool], None]


class Stopped(Exception):
    """The integration was stopped during a wait."""


class Wake:
    """Interrupts a wait from another thread. It is a pipe, because the wait is a poll on a socket."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self.stopping = False

    def __call__(self) -> None:
        with contextlib.suppress(OSError):  # full, so it is awake already; or closed
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
        """Sleep this long or until stopped. Other wake-ups concern a connection, and there is none now."""
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
    """Connected from `open` until a method raises BrokerUnreachable. Not thread-safe: only one thread may call it."""

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
        """Connect. Raises BrokerUnreachable or Stopped."""
        if self._broker.context is not None:
            self._verify_certificate(self._broker.context)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = _MAX_INCOMING_BYTES
        try:
            self._client.connect(self._broker.host, self._broker.port, self._keepalive_s, properties=properties)
        except OSError as error:
            raise unreachable(self._broker.place, error) from error
        self._serve_until(lambda: self._answer is not None, CONNECT_S)
        assert self._answer is not None
        if self._answer.is_failure:
            raise refused(self._broker.place, self._answer.value, str(self._answer))

    def _verify_certificate(self, context: ssl.SSLContext) -> None:
        """Verify the broker's certificate first, because paho leaks the socket of a failed handshake."""
        try:
            with (
                socket.create_connection((self._broker.host, self._broker.port), CONNECT_S) as bare,
                context.wrap_socket(bare, server_hostname=self._broker.host),
            ):
                pass
        except OSError as error:
            raise unreachable(self._broker.place, error) from error

    def subscribe(self, topic: str, *, own: bool = False) -> None:
        """Wait until the broker confirms, even if it denies the topic. own: also receive what this client publishes."""
        error, number = self._client.subscribe(topic, options=SubscribeOptions(qos=1, noLocal=not own))
        self._check(error)
        self._serve_until(lambda: number in self._subscribed, ACKNOWLEDGE_S)

    def unsubscribe(self, topic: str) -> None:
        self._check(self._client.unsubscribe(topic)[0])

    def publish(self, message: Message) -> None:
        """Publish and wait for the broker's acknowledgement. Raises BrokerUnreachable or Stopped."""
        sent = self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        self._check(sent.rc)
        self._serve_until(sent.is_published, ACKNOWLEDGE_S)

    def rest(self, seconds: float) -> None:
        """Serve the connection for this many seconds. Raises BrokerUnreachable or Stopped."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._serve(min(left, _TICK_S))

    def wait(self) -> None:
        """Serve the connection until there is something to do, for half a second at most."""
        self._serve(_TICK_S)

    def close(self, farewell: Message) -> None:
        """Disconnect cleanly after one last message, so that the broker does not send the will. Waits for no reply."""
        self._client.publish(farewell.topic, farewell.payload, qos=0, retain=farewell.retain)
        self._client.disconnect()
        until = time.monotonic() + _FAREWELL_S
        while self._client.want_write() and time.monotonic() < until:
            if self._client.loop_write() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
        self.abandon()

    def abandon(self) -> None:
        """Close the socket in whatever state it is. Unless `close` came before, the broker sends the will."""
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    # --- serving the socket -------------------------------------------------------------------------------------------

    def _serve_until(self, holds: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not holds():
            left = until - time.monotonic()
            if left <= 0:
                raise unreachable(self._broker.place, TimeoutError())
            self._serve(min(left, _TICK_S))

    def _serve(self, seconds: float) -> None:
        """Wait for the socket, for at most this many seconds, and read and write what is pending."""
        if self._wake.stopping:
            raise Stopped
        sock = self._client.socket()
        if sock is None:
            raise self._lost_error()
        readable = _pending(sock)
        if not readable:
            found = self._poll(sock, seconds)
            # A broken connection shows as an error or a hang-up; reading then reports it.
            readable = bool(found & ~select.POLLOUT)
            if found & select.POLLOUT:
                self._check(self._client.loop_write())
        if readable:
            self._check(self._client.loop_read())
        self._check(self._client.loop_misc())

    def _poll(self, sock: Any, seconds: float) -> int:
        """Return what the socket is ready for, as poll's bits."""
        poller = select.poll()  # select.select accepts no descriptor above 1,023
        poller.register(sock, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        poller.register(self._wake, select.POLLIN)
        found = dict(poller.poll(max(1, round(seconds * 1000))))
        if self._wake.fileno() in found:
            self._wake.clear()
        return found.get(sock.fileno(), 0)

    def _check(self, code: MQTTErrorCode) -> None:
        if self._answer is not None and self._answer.is_failure:
            return  # `open` reports the broker's answer
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or self._lost is not None:
            raise self._lost_error()

    def _lost_error(self) -> BrokerLost:
        why = f" ({self._lost})" if self._lost else ""
        return BrokerLost(
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
    """Whether TLS holds decrypted bytes that were not read yet; the socket itself does not show them as readable."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
