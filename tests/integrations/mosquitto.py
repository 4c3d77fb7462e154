"""A real mosquitto on loopback, with users, TLS and whatever else a test asks for, and a client that listens to it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.requires import WITH_SBIN

PATIENCE_S = 15.0


class Mosquitto:
    """One broker. `start` and `kill` may be repeated; what it retains is lost with it."""

    def __init__(self, folder: Path, port: int, lines: tuple[str, ...] = ()) -> None:
        self.port = port
        self._file = folder / "mosquitto.conf"
        user = ("user root",) if os.geteuid() == 0 else ()  # else it would leave the folder of the test
        given = lines or ("allow_anonymous true",)
        self._file.write_text("\n".join((f"listener {port} 127.0.0.1", *user, "max_keepalive 60", *given, "")))
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto", path=WITH_SBIN)
        assert program is not None
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([program, "-c", self._file, "-v"], stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE_S
        while b"running" not in self._log.read_bytes():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.01)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class Listener:
    """Everything that was published, newest last, and the newest of each topic as a new subscriber would see it."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self.newest: dict[str, bytes] = {}
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._take
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def _take(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.messages.append((message.topic, message.payload, message.retain))
            self.newest[message.topic] = message.payload
            self._changed.notify_all()

    def until(self, holds: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
        """Waits until what was published makes it true; returns what it returned."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while not (found := holds()):
                left = until - time.monotonic()
                assert left > 0, self.newest
                self._changed.wait(min(left, 0.1))
        return found

    def text(self, topic: str) -> str | None:
        payload = self.newest.get(topic)
        return None if payload is None else payload.decode()

    def json(self, topic: str) -> Any:
        return json.loads(self.newest.get(topic) or b"null")

    def send(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def listening(port: int) -> Iterator[Listener]:
    listener = Listener(port)
    try:
        yield listener
    finally:
        listener.close()


def make_certificates(folder: Path) -> None:
    """ca.pem, which signed server.pem (127.0.0.1) and client.pem, each with its .key; other.pem, which signed none."""
    for name in ("ca", "other"):
        _openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")  # fmt: skip
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        _openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")  # fmt: skip
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                 "-days", "2", "-out", f"{name}.pem", "-extfile", "san")  # fmt: skip


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)
