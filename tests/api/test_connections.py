"""Bytes no browser sends: every connection is answered, refused or ended, and costs nobody else anything."""

from __future__ import annotations

import base64
import contextlib
import inspect
import json
import os
import socket
import time
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import websockets.sync.client
from lookout.server import http_protocol
from lookout.server.listener import Capacity
from lookout.server.refusals import MAX_HEAD_BYTES, TOO_LATE, TOO_MANY, last_words
from lookout.server.websocket_protocol import MAX_FRAGMENTS
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import Server

from tests.api.conftest import Service, StartService, wait_until

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(),
)


@contextlib.contextmanager
def connected(service: Service) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=8.0) as client:
        yield client


def head(path: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: localhost", *lines, "", ""]).encode()


def everything(client: socket.socket) -> bytes:
    """All that comes until the service ends the connection."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while more := client.recv(65_536):
            data += more
    return data


def answers(client: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """So many answers with a Content-Length: status and body of each."""
    found: list[tuple[int, bytes]] = []
    with client.makefile("rb") as lines:
        for _ in range(count):
            status, length = int(lines.readline().split()[1]), 0
            while (line := lines.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            found.append((status, lines.read(length)))
    return found


def frame(opcode: int, data: bytes = b"", *, final: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    return bytes([opcode | (0x80 if final else 0), 0x80 | len(data)]) + bytes(4) + data


def open_connections(service: Service) -> int:
    return len(service.web_server.server_state.connections)


# --- one request at a time --------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(shared: Service) -> None:
    """With bodies, in chunks and not, however the bytes are cut."""
    sent = (
        head("/healthz")
        + head("/api/nothing")
        + head("/api/paused", "Content-Type: application/json", "Content-Length: 5", method="PUT")
        + b"false"
        + head("/api/paused", "Content-Type: application/json", "Transfer-Encoding: chunked", method="PUT")
        + b"2\r\nfa\r\n3;x=y\r\nlse\r\n0\r\n\r\n"
        + head("/healthz", "Connection: close")
    )
    for size in (1, 7, 100, len(sent)):
        with connected(shared) as client:
            for start in range(0, len(sent), size):
                client.sendall(sent[start : start + size])
            assert [status for status, _ in answers(client, 5)] == [200, 404, 200, 200, 200]
            assert client.recv(1) == b""


def test_what_a_client_sends_beyond_its_request_waits_unread(shared: Service) -> None:
    """One connection made 904 MB of requests that waited for their turn."""
    with connected(shared) as client:
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):  # nobody reads the answers
            client.sendall(head("/healthz") * 1_000_000)
        assert len(shared.web_server.server_state.tasks) < 10
        protocol = max(shared.web_server.server_state.connections, key=lambda one: len(getattr(one, "_held", b"")))
        assert len(protocol._held) <= 2 * http_protocol._READ_BYTES
    wait_until(lambda: open_connections(shared) == 0)


def test_all_pipelining_together_has_a_small_share(shared: Service) -> None:
    """Three hundred connections that never wait for an answer kept honest ones waiting for ten seconds."""
    with contextlib.ExitStack() as open_ones:
        for _ in range(20):
            open_ones.enter_context(connected(shared)).sendall(head("/healthz") * 500)
        before, began = shared.web_server.server_state.total_requests, time.monotonic()
        time.sleep(1.0)
        served = shared.web_server.server_state.total_requests - before
        assert 0 < served < 60 + 110 * (time.monotonic() - began)


@pytest.mark.parametrize("path", ["/api/live.sse", "/api/stream.mjpg"])
@pytest.mark.parametrize("behind", [head("/healthz"), b"GET /hea", head("/api/live.sse")])
def test_a_viewer_that_goes_is_heard_of_whatever_it_sent_behind(shared: Service, path: str, behind: bytes) -> None:
    with connected(shared) as client:
        client.sendall(head(path) + behind)
        wait_until(lambda: sum(shared.services.viewers.counts().values()) == 1)
        client.recv(1)
    wait_until(lambda: sum(shared.services.viewers.counts().values()) == 0)
    wait_until(lambda: open_connections(shared) == 0)


def test_a_body_without_end_behind_an_endless_answer_ends_it(shared: Service) -> None:
    with connected(shared) as client:
        client.sendall(head("/api/live.sse", "Transfer-Encoding: chunked"))
        with contextlib.suppress(OSError):
            for _ in range(1000):
                client.sendall(b"8000\r\n" + bytes(0x8000) + b"\r\n")
        wait_until(lambda: sum(shared.services.viewers.counts().values()) == 0)


def test_trailers_are_no_headers(start: StartService) -> None:
    service = start()
    service.tokens.create("one")
    body = b"5\r\nfalse\r\n0\r\n"
    asked = head("/api/paused", "Content-Type: application/json", "Transfer-Encoding: chunked", method="PUT")
    with connected(service) as client:
        client.sendall(asked + body + b"Content-Type: text/plain\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
        assert [status for status, _ in answers(client, 1)] == [401]


# --- heads that lead nowhere ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (400, head("/api/live", *UPGRADE, "Content-Length: 5") + b"hello"),
        (400, head("/api/live", *UPGRADE, "Content-Length: 5")),
        (400, head("/api/live", *UPGRADE, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n"),
        (400, head("/api/live", *UPGRADE, "Transfer-Encoding: gzip, chunked")),
        (431, head("/api/live", *UPGRADE, *(f"X-{number}: 1" for number in range(129)))),
        (431, head("/api/live", *UPGRADE, "X-Long: " + "a" * 8200)),
        (431, head("/api/live?" + "a" * 8200, *UPGRADE)),
        (431, head("/api/live", *UPGRADE, "X-Long: " + "a" * MAX_HEAD_BYTES)),
        (431, head("/healthz", *(f"X-{number}: {'a' * 1000}" for number in range(40)))),
        (400, head("a.b:443", method="CONNECT")),
        (405, head("/api/live", *UPGRADE, method="POST")),
        (400, head("/api/live", "Connection: Upgrade", "Upgrade: websocket")),
        (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        (400, b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
        (400, b"GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, b"GET / HTTP/7.7\r\n\r\n"),
        (400, b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (400, b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ],
)
def test_a_request_that_cannot_be_served_is_answered_and_ended(shared: Service, status: int, sent: bytes) -> None:
    with connected(shared) as client:
        client.sendall(sent)
        said = everything(client)
        assert said.startswith(b"HTTP/1.1 %d " % status), said
        first, _, body = said.partition(b"\r\n\r\n")
        if b"application/problem+json" in first:
            assert json.loads(body)["status"] == status
    wait_until(lambda: open_connections(shared) == 0)


@pytest.mark.parametrize("path", ["/api/classify", "/api/live.sse", "/api/paused"])
def test_a_body_that_breaks_off_in_rubbish_ends_its_request(
    shared: Service, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = head(path, "Transfer-Encoding: chunked", method="GET" if path.endswith("sse") else "POST")
    with connected(shared) as client:
        client.sendall(asked + b"5\r\nhello\r\n")
        wait_until(lambda: open_connections(shared) == 1)
        client.sendall(b"rubbish\r\n")
        everything(client)
    wait_until(lambda: sum(shared.services.viewers.counts().values()) + open_connections(shared) == 0)
    assert caplog.text == ""


@pytest.mark.parametrize("sent", [b"GET / HTP/1.1\r\n\r\n", head("/api/live", *UPGRADE, "Content-Length: 5")])
def test_refusals_before_the_application_are_problems_too(shared: Service, sent: bytes) -> None:
    with connected(shared) as client:
        client.sendall(sent)
        first, _, body = everything(client).partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in first.lower()
    assert {"type", "title", "status", "detail", "code", "remedy"} == set(json.loads(body))


def test_cookies_of_other_services_do_not_keep_a_browser_out(shared: Service) -> None:
    cookies = "; ".join(f"other{number}={'a' * 900}" for number in range(9))
    with websockets.sync.client.connect(
        f"ws://127.0.0.1:{shared.port}/api/live", additional_headers={"Cookie": cookies + "; lookout_1=x"}
    ) as socket:
        assert json.loads(socket.recv(timeout=10))["type"] == "state"


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Content-Length: 5"], b"false"),
        (["Transfer-Encoding: chunked"], b"5\r\nfalse\r\n0\r\n\r\n"),
    ],
)
def test_an_offer_of_http_2_changes_nothing(shared: Service, lines: list[str], body: bytes) -> None:
    """Java's client and `curl --http2` offer it with every request, bodies included."""
    offer = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"]
    asked = head("/api/paused", "Content-Type: application/json", *offer, *lines, method="PUT")
    with connected(shared) as client:
        client.sendall(asked + body + head("/healthz"))
        assert [status for status, _ in answers(client, 2)] == [200, 200]


@pytest.mark.parametrize("lines", [[], ["Connection: keep-alive"]])
def test_http_1_0_gets_one_answer_and_the_end(shared: Service, lines: list[str]) -> None:
    with connected(shared) as client:
        client.sendall(head("/healthz", *lines, version="1.0"))
        assert everything(client).startswith(b"HTTP/1.1 200 ")


# --- connections beyond the limit -------------------------------------------------------------------------------


def test_connections_without_a_request_give_way_and_viewers_stay(start: StartService) -> None:
    """520 idle connections gave everybody 503."""
    service = start()
    service.stop()
    service.start(Capacity(served=8, refused=16, accepted=32))
    with contextlib.ExitStack() as open_ones:
        viewer = open_ones.enter_context(
            websockets.sync.client.connect(f"ws://127.0.0.1:{service.port}/api/live", close_timeout=0.2)
        )
        stream = open_ones.enter_context(connected(service))
        stream.sendall(head("/api/stream.mjpg?fps=5"))
        idle = [open_ones.enter_context(connected(service)) for _ in range(6)]
        for number in range(40):  # some say nothing, some half a head, some half a body
            client = open_ones.enter_context(connected(service))
            half_a_body = head("/api/login", "Content-Length: 50", "Content-Type: application/json", method="POST")
            client.sendall((b"", b"GET /heal", half_a_body)[number % 3])
            with connected(service) as honest:
                honest.sendall(head("/healthz"))
                assert answers(honest, 1)[0][0] == 200, number
        assert everything(idle[0]) in (b"", *_refusals()), "the oldest went"
        assert json.loads(viewer.recv(timeout=5))["type"] == "state"
        assert stream.recv(65_536)
        assert open_connections(service) <= 16


def _refusals() -> list[bytes]:
    return [last_words(TOO_MANY), last_words(TOO_LATE)]


def test_active_clients_are_never_ended_for_a_newcomer(start: StartService) -> None:
    service = start()
    service.stop()
    service.start(Capacity(served=4, refused=8, accepted=32))
    with contextlib.ExitStack() as open_ones:
        viewers = [
            open_ones.enter_context(
                websockets.sync.client.connect(f"ws://127.0.0.1:{service.port}/api/live", close_timeout=0.2)
            )
            for _ in range(4)
        ]
        for _ in range(3):
            with connected(service) as newcomer:
                newcomer.sendall(head("/healthz"))
                status, body = answers(newcomer, 1)[0]
                assert (status, json.loads(body)["code"]) == (503, "too_many_connections")
        for viewer in viewers:
            for _ in range(3):
                assert json.loads(viewer.recv(timeout=5))["type"] == "state"


def test_an_answer_that_nobody_takes_ends(start: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would keep its connection for ever: the service waits until there is room for the rest of it."""
    monkeypatch.setattr(http_protocol, "STALLED_S", 1.0)
    service = start()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", service.port))
        client.settimeout(0.5)
        with contextlib.suppress(OSError):
            for _ in range(100):
                client.sendall(head("/openapi.json") * 10)
        wait_until(lambda: open_connections(service) == 0)


# --- frames -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def upgraded(service: Service) -> Iterator[socket.socket]:
    """A WebSocket by hand, after the answer to its handshake."""
    with connected(service) as client:
        client.sendall(head("/api/live", *UPGRADE))
        data = b""
        while b"\r\n\r\n" not in data:
            data += client.recv(1)
        assert data.startswith(b"HTTP/1.1 101 ")
        yield client


@pytest.mark.parametrize(
    "sent",
    [
        frame(0x1) * 2000,  # empty texts
        frame(0x2) * 2000,
        frame(0x9) * 2000,  # pings
        frame(0xA) * 2000,  # pongs nobody asked for
        frame(0x1, final=False) + frame(0x0, final=False) * 20,
    ],
)
def test_frames_without_end_cost_others_nothing(shared: Service, sent: bytes) -> None:
    """An honest viewer heard nothing for 8 s, and REST for 14 s."""
    with upgraded(shared) as client, shared.client() as honest:
        client.settimeout(0.2)
        with contextlib.suppress(OSError):
            for _ in range(200):
                client.sendall(sent)
        assert honest.get("healthz").elapsed.total_seconds() < 2.0
        assert honest.get("api/state").elapsed.total_seconds() < 2.0
    wait_until(lambda: open_connections(shared) <= 1)


def test_a_message_in_too_many_parts_ends_the_websocket(shared: Service) -> None:
    with upgraded(shared) as client:
        client.sendall(frame(0x1, b"{", final=False) + frame(0x0, final=False) * (MAX_FRAGMENTS + 1))
        assert (1008).to_bytes(2, "big") in everything(client)


@pytest.mark.parametrize("closed", [False, True], ids=["by itself", "before a Close frame"])
def test_text_that_is_not_utf_8_ends_the_websocket_and_is_not_logged(
    shared: Service, closed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten thousand of them filled the log with tracebacks."""
    closing = frame(0x8, (1000).to_bytes(2, "big")) if closed else b""
    with upgraded(shared) as client:
        client.sendall(frame(0x1, b"\xdb") + closing)
        assert (1000 if closing else 1007).to_bytes(2, "big") in everything(client)
    assert caplog.text == ""


def test_a_message_in_a_few_parts_is_read(shared: Service) -> None:
    with upgraded(shared) as client:
        client.sendall(frame(0x1, b'{"type":', final=False) + frame(0x9, b"hi") + frame(0x0, b'"none"}'))
        data = b""
        while b"\x8a\x02hi" not in data:  # the pong
            data += client.recv(65_536)
        client.sendall(frame(0x8, (1000).to_bytes(2, "big")))
        assert b"\x88\x02" + (1000).to_bytes(2, "big") in data + everything(client)


def test_frames_behind_the_handshake_wait_for_it(shared: Service) -> None:
    with connected(shared) as client:
        client.sendall(head("/api/live", *UPGRADE) + frame(0x9, b"hi"))
        data = b""
        while b"\x8a\x02hi" not in data:
            data += client.recv(65_536)
        assert data.startswith(b"HTTP/1.1 101 ")


def test_refused_means_closed(start: StartService) -> None:
    """A sender without a token went on for ten seconds."""
    service = start()
    service.tokens.create("one")
    with upgraded(service) as client:
        with contextlib.suppress(OSError):
            for _ in range(100_000):
                client.sendall(frame(0x1) * 100)
            raise AssertionError("sixty megabytes were taken")
        wait_until(lambda: open_connections(service) == 0, 5.0)
    with upgraded(service) as client:  # one that does not close its half
        assert (4401).to_bytes(2, "big") in everything(client)
        wait_until(lambda: open_connections(service) == 0, 5.0)


# --- uvicorn's insides ------------------------------------------------------------------------------------------

# What we override, call or read there, with the parameters it had when we looked.
_OVERRIDDEN = {
    HttpToolsProtocol: {
        "__init__": ["self", "config", "server_state", "app_state", "_loop"],
        "connection_made": ["self", "transport"],
        "connection_lost": ["self", "exc"],
        "data_received": ["self", "data"],
        "on_message_begin": ["self"],
        "on_header": ["self", "name", "value"],
        "on_headers_complete": ["self"],
        "on_body": ["self", "body"],
        "on_message_complete": ["self"],
        "on_response_complete": ["self"],
        "handle_websocket_upgrade": ["self"],
        "shutdown": ["self"],
        "_should_upgrade": ["self"],
        "_unset_keepalive_if_required": ["self"],
    },
    FlowControl: {"pause_reading": ["self"], "resume_reading": ["self"]},
    RequestResponseCycle: {"send": ["self", "message"], "receive": ["self"]},
    WebSocketsSansIOProtocol: {
        "__init__": ["self", "config", "server_state", "app_state", "_loop"],
        "connection_made": ["self", "transport"],
        "connection_lost": ["self", "exc"],
        "data_received": ["self", "data"],
        "resume_writing": ["self"],
        "receive": ["self"],
        "send": ["self", "message"],
        "handle_cont": ["self", "event"],
        "handle_parser_exception": ["self"],
    },
    Server: {
        "capture_signals": ["self"],
        "main_loop": ["self"],
        "on_tick": ["self", "counter"],
        "shutdown": ["self", "sockets"],
    },
}


@pytest.mark.parametrize("kind", _OVERRIDDEN, ids=lambda kind: kind.__name__)
def test_the_parts_of_uvicorn_that_we_override_are_as_we_know_them(kind: type) -> None:
    """A new minor version may rename them: read what changed, run these tests, then raise the bound."""
    found = {name: list(inspect.signature(getattr(kind, name)).parameters) for name in _OVERRIDDEN[kind]}
    assert found == _OVERRIDDEN[kind]


def test_uvicorn_s_version_has_an_upper_bound() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    (uvicorn,) = (line for line in project["dependencies"] if line.startswith("uvicorn"))
    upper = tuple(int(part) for part in uvicorn.partition("<")[2].split("."))
    found = tuple(int(part) for part in version("uvicorn").split(".")[:2])
    assert found < upper <= (found[0], found[1] + 1)
