"""The same inputs over the wire to a running service: no answer of its own fault, no hang, and it goes on."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import websockets.exceptions
import websockets.sync.client
from lookout.server.refusals import HEAD_S

from tests.faults.running import Service
from tests.fuzz import inputs
from tests.fuzz.decoders import Decoder

_LISTEN_EVERY = 25


class _Line:
    """One kept connection; made again when the service has ended it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._connection = self._new()

    def _new(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._service.port, timeout=20)

    def ask(
        self, method: str, path: str, body: bytes, kind: str, more: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Fails on an answer that blames the service."""
        for last in (False, True):
            try:
                self._connection.request(method, path, body, {"Content-Type": kind, **more})
                answer = self._connection.getresponse()
                data = answer.read()
                break
            except (http.client.HTTPException, ConnectionError):
                self._connection.close()
                self._connection = self._new()
                if last:
                    raise
        assert answer.status < 500, f"{method} {path}: {answer.status} {data[:300]!r}"


_HANDSHAKE = (
    b"GET /api/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def _exchange(service: Service, data: bytes) -> None:
    """Send it on a connection of its own. Fails on a first answer that blames the service, or none where one is due."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=HEAD_S + 4) as client:
        said = b""
        with contextlib.suppress(ConnectionError):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            said = client.recv(4096)
        assert not said or said.startswith(b"HTTP/1.1 "), f"{data!r}: {said!r}"
        assert not said.startswith(b"HTTP/1.1 5"), f"{data!r}: {said!r}"
    assert service.request("GET", "/healthz")[0] == 200


def served(service: Service) -> tuple[Decoder, ...]:
    """The ways in, each with its inputs."""
    line = _Line(service)

    def upload(data: bytes) -> None:
        line.ask("POST", "/api/classify", data, "application/octet-stream")

    def infer(given: tuple[bytes, str | None, str]) -> None:
        body, length, encoding = given
        more = {"Content-Encoding": encoding} if encoding else {}
        more |= {} if length is None else {"Inference-Header-Content-Length": length}
        line.ask("POST", "/v2/models/cat-dog-resnet18/infer", body, "application/octet-stream", more)

    def hugging_face(body: bytes) -> None:
        line.ask("POST", "/hf", body, "application/octet-stream")

    def form(body: bytes) -> None:
        line.ask("POST", "/api/classify", body, "multipart/form-data; boundary=edge")

    def patch(value: Any) -> None:
        # A camera or model that the machine lacks is no matter of decoding, and would only cost time.
        if isinstance(value, dict):
            value = {name: inner for name, inner in value.items() if name not in ("camera", "model")}
        line.ask("PATCH", "/api/settings", json.dumps(value).encode(), "application/json")

    def body(value: Any) -> None:
        data = json.dumps(value).encode()
        line.ask("POST", "/api/login", data, "application/json")
        if not isinstance(value, bool):
            line.ask("PUT", "/api/paused", data, "application/json")
        line.ask("PUT", "/api/model", data, "application/json")

    def raw(data: bytes) -> None:
        for method, path in (("PATCH", "/api/settings"), ("PUT", "/api/model"), ("POST", "/api/login")):
            line.ask(method, path, data, "application/json")

    watching: list[websockets.sync.client.ClientConnection] = []
    said_so_far = 0

    def message(said: str | bytes) -> None:
        nonlocal said_so_far
        said_so_far += 1
        for last in (False, True):
            if not watching:
                watching.append(websockets.sync.client.connect(f"ws://127.0.0.1:{service.port}/api/live").__enter__())
            with contextlib.suppress(websockets.exceptions.ConnectionClosed):
                watching[0].send(said)
                if said_so_far % _LISTEN_EVERY == 0:  # states come ten times a second, no faster
                    assert json.loads(watching[0].recv(timeout=10))["type"] == "state"
                return
            watching.clear()  # a message that is too long ends the connection
            assert not last or len(said) > 60_000

    return (
        Decoder("HTTP: connections", inputs.requests, lambda data: _exchange(service, data)),
        Decoder("WebSocket: frames", inputs.frames, lambda data: _exchange(service, _HANDSHAKE + data)),
        Decoder("HTTP: pictures", inputs.pictures, upload),
        Decoder("HTTP: multipart forms", inputs.forms, form),
        Decoder("HTTP: settings patches", inputs.patches, patch),
        Decoder("HTTP: JSON bodies", inputs.json_values, body),
        Decoder("HTTP: broken JSON", lambda: inputs.broken((b'{"answer": {"max_rate": 5}}', b'{"name": "x"}')), raw),
        Decoder("HTTP: inference requests", inputs.inferences, infer),
        Decoder("HTTP: Hugging Face", inputs.hugging_faces, hugging_face),
        Decoder("WebSocket: messages", inputs.messages, message),
    )
