"""Hostile and clumsy clients: the loop keeps its rate, memory stays flat, everyone gets an answer or a refusal."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
import websockets.exceptions
import websockets.sync.client
from lookout.server.binding import BACKLOG
from lookout.server.listener import DEFAULT_CAPACITY
from lookout.server.refusals import HEAD_S

from tests.faults import table
from tests.faults.running import NEVER_STALE, SCRIPT, Service, running, until

# Low enough that two cores, shared with the attacker, have room for it.
RATE = 4.0
KEPT = 0.9
# After an attack that cost more than that: other tests, which run beside these, may have taken the time.
CALM_S = 3.0
# Buffers of a hundred connections and of the allocator come and go; a leak under attack would be far above.
FLAT_BYTES = 40 * 2**20


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    own = NEVER_STALE | {"LOOKOUT_ANSWER__MAX_RATE": str(RATE)}
    with running(tmp_path_factory.mktemp("clients"), SCRIPT, environment=own) as running_one:
        _warm_up(running_one)
        yield running_one


def _warm_up(service: Service) -> None:
    """What is made at the first use is not a leak."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: service.request("POST", "/api/classify", raw=_photo()), range(16)))
    service.request("GET", "/api/snapshot.jpg")


def _photo() -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", noise)[1])


class Attack:
    """Counts the classifications a viewer hears of while something is done to the service, and weighs its memory."""

    def __init__(self, service: Service, kept: float = KEPT) -> None:
        """kept: the share of the rate that has to be kept."""
        self._service, self._kept = service, kept
        self._frames: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Attack:
        self._thread.start()
        until(lambda: bool(self._frames), 10, "a viewer that hears of classifications")
        self._frames.clear()
        self._memory, self._began = self._bytes(), time.monotonic()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.rate = self._rate()
        short = self.rate < self._kept * RATE
        calm = self._calm_rate() if kind is None and short else RATE
        self._over.set()
        self._thread.join(5)
        if kind is not None:
            return
        assert self.rate >= self._kept * min(RATE, calm), f"{self.rate:.2f} classifications a second; {calm:.2f} after"
        grown = self._bytes() - self._memory
        assert grown < FLAT_BYTES, f"{grown / 2**20:.0f} MB more memory"
        assert self._service.state()["answer"]["current"]

    @property
    def kept(self) -> str:
        return f"{min(1.0, self.rate / RATE):.0%} of the rate kept"

    def _rate(self) -> float:
        return (len(self._frames) + 1) / (time.monotonic() - self._began)  # the one under way at the end counts as well

    def _calm_rate(self) -> float:
        """Without the attack, while the machine is as busy with other things as it was."""
        self._frames.clear()
        self._began = time.monotonic()
        time.sleep(CALM_S)
        return self._rate()

    def _listen(self) -> None:
        with _watching(self._service, "?rate=30") as watcher:
            while not self._over.is_set():
                self._frames.add(json.loads(watcher.recv(timeout=5))["prediction"]["frame_id"])

    def _bytes(self) -> int:
        return int(psutil.Process(self._service.process.pid).memory_info().rss)


def _watching(service: Service, query: str = "") -> websockets.sync.client.ClientConnection:
    return websockets.sync.client.connect(f"ws://127.0.0.1:{service.port}/api/live{query}", close_timeout=0.2)


def _connect(service: Service, *, receive_buffer: int | None = None) -> socket.socket:
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(10)
    client.connect(("127.0.0.1", service.port))
    return client


def _head(path: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def _status(client: socket.socket) -> int:
    """Of the answer; 0 when the connection ended without one."""
    data = b""
    with contextlib.suppress(OSError):
        while b"\r\n" not in data and (more := client.recv(4096)):
            data += more
    return int(data.split()[1]) if data.startswith(b"HTTP/1.1 ") else 0


def _has_ended(client: socket.socket) -> bool:
    """Whether the service has ended the connection; reads away what came before."""
    client.setblocking(False)
    try:
        while client.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _viewers(service: Service) -> Counter[str]:
    return Counter(service.json("GET", "/api/about")[1]["viewers"])


def _send_endlessly(client: socket.socket, chunk: bytes, limit: int) -> int:
    """Send until the service ends it; how many bytes it took."""
    sent = 0
    with contextlib.suppress(OSError):
        while sent < limit:
            sent += client.send(chunk)
    return sent


def test_viewers_that_stop_reading_are_let_go_and_cost_nothing(service: Service) -> None:
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()
    before = _viewers(service)
    clients = []
    with Attack(service) as attack, contextlib.ExitStack() as open_ones:
        for number in range(40):
            client = open_ones.enter_context(_connect(service, receive_buffer=2048))
            asked = _head("/api/stream.mjpg?fps=30") if number % 2 else _head("/api/live?picture=640", *upgrade, key)
            client.sendall(asked)
            clients.append(client)
        until(lambda: _viewers(service)["stream"] == before["stream"] + 20, 10, "twenty streams are watched")
        until(lambda: _viewers(service)["stream"] == before["stream"], 20, "streams nobody reads are ended")
    until(lambda: _viewers(service)["live"] == before["live"], 30, "WebSockets nobody reads are ended")
    table.record("40 viewers that stop reading", f"let go; {attack.kept}")


def test_requests_that_never_come_or_never_end_are_ended(service: Service) -> None:
    """All at the same time, since each of them is a matter of seconds."""
    asked = {("POST", "/api/classify"): 413, ("PATCH", "/api/settings"): 413, ("GET", "/api/state"): 200}
    with Attack(service) as attack, contextlib.ExitStack() as open_ones:
        silent = [open_ones.enter_context(_connect(service)) for _ in range(60)]
        half = [open_ones.enter_context(_connect(service)) for _ in range(60)]
        for client in half:
            client.sendall(b"GET /api/state HTTP/1.1\r\nHost: local")
        began = time.monotonic()
        endless = {key: open_ones.enter_context(_connect(service)) for key in asked}
        for (method, path), client in endless.items():
            client.sendall(_head(path, "Transfer-Encoding: chunked", method=method))
            threading.Thread(target=_send_slowly, args=(client, HEAD_S + 4), daemon=True).start()
        assert {key: _status(client) for key, client in endless.items()} == asked
        while time.monotonic() - began < HEAD_S - 1:
            half[0].sendall(b"h")  # a byte now and then is not progress
            time.sleep(0.5)
        until(lambda: all(_has_ended(one) for one in (*silent, *half, *endless.values())), 6, "all are ended")
    table.record("120 connections that say nothing or half a request", f"408 after {HEAD_S:.0f} s; {attack.kept}")
    table.record("bodies without end", f"413, or the connection's end; {attack.kept}")


def test_a_thousand_connections_leave_room_for_the_camera_and_each_gets_an_answer_or_a_refusal(
    service: Service,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2_000)), hard))
    with contextlib.ExitStack() as open_ones:
        with Attack(service) as attack:
            clients = []
            for _ in range(
                1_000
            ):  # each asks at once: who says nothing for six seconds gets a response that it is late
                clients.append(client := open_ones.enter_context(_connect(service)))
                with contextlib.suppress(OSError):
                    client.sendall(_head("/api/state"))
            descriptors = psutil.Process(service.process.pid).num_fds()
            reported = Counter(_status(client) for client in clients)
            time.sleep(1)
        before = service.camera().pid
        service.camera().kill()
        until(lambda: [one.pid for one in service.cameras()] not in ([], [before]), 5, "the camera starts again")
    assert descriptors < DEFAULT_CAPACITY.refused + 3 * BACKLOG, "a process may open 1,024 files"
    assert reported[200] >= DEFAULT_CAPACITY.served - 20, reported
    assert set(reported) <= {0, 200, 429, 503}, reported
    assert reported[0] < 50, f"connections that ended without a word: {reported}"
    until(lambda: service.request("GET", "/api/state")[0] == 200, 5, "room again once they are gone")
    table.record("a thousand connections at once", f"200, 429 or 503; {attack.kept}")


def test_heads_without_end_are_refused(service: Service) -> None:
    with Attack(service) as attack:
        for start, chunk in (
            (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ", b"a" * 65_536),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X-One: of many\r\n" * 4_096),
            (b"GET /", b"a" * 65_536),
            (_head("/api/classify", "Transfer-Encoding: chunked", method="POST") + b"0\r\nX: ", b"a" * 65_536),
        ):
            with _connect(service) as client:
                client.sendall(start)
                assert _send_endlessly(client, chunk, 200 * 2**20) < 16 * 2**20, start  # most of it in sockets
        with _connect(service) as client:
            client.sendall(_head("/api/state", "X-Long: " + "a" * 50_000))
            assert _status(client) in (200, 431)
        time.sleep(2)
    table.record("headers without end", f"431; {attack.kept}")


def _send_slowly(client: socket.socket, seconds: float) -> None:
    chunk = b"%x\r\n" % 65_536 + b"a" * 65_536 + b"\r\n"
    until_then = time.monotonic() + seconds
    with contextlib.suppress(OSError):
        while time.monotonic() < until_then:
            client.sendall(chunk)
            time.sleep(0.002)


def test_a_hundred_uploads_at_once_are_answered_or_refused(service: Service) -> None:
    photo = _photo()

    def upload(_: int) -> int:
        return service.request("POST", "/api/classify", raw=photo, timeout=30)[0]

    with Attack(service) as attack, ThreadPoolExecutor(100) as pool:
        reported = Counter(pool.map(upload, range(100)))
        time.sleep(2)
    assert set(reported) <= {200, 429}, reported
    assert reported[200] >= 2
    table.record("a hundred uploads at once", f"200 or 429; {attack.kept}")


def test_rubbish_over_the_websocket_does_no_harm(service: Service) -> None:
    with Attack(service) as attack:
        for message in ("", "null", "[" * 10_000, '{"type": "ack", "sequence": 1e400}', "{" * 100, b"\x00" * 60_000):
            with _watching(service) as one:
                for _ in range(50):
                    one.send(message)
                assert json.loads(one.recv(timeout=5))["type"] == "state"
        with (
            _watching(service) as one,
            contextlib.suppress(websockets.exceptions.ConnectionClosed),
        ):
            one.send("a" * 1_000_000)
            until(lambda: one.recv(timeout=5) is None, 5, "a message that is too long ends the connection")
        time.sleep(2)
    assert "Traceback" not in service.log()
    table.record("rubbish over the WebSocket", f"ignored; {attack.kept}")


# --- floods -----------------------------------------------------------------------------------------------------

# What a pause, a stop or an honest request may take while strangers do what they like.
PROMPT_S = 5.0
# Floods have their share of a small machine's two cores, as senders and as what is served by turns.
FLOODED = 0.5
UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + base64.b64encode(bytes(16)).decode(),
)
EMPTY_TEXT, PING, PART = (bytes([opcode, 0x80]) + bytes(4) for opcode in (0x81, 0x89, 0x00))


class Flood:
    """Connections that send the same bytes without end, from one thread, and read nothing."""

    def __init__(self, service: Service, count: int, first: bytes, again: bytes) -> None:
        self._clients = [_connect(service) for _ in range(count)]
        for client in self._clients:
            client.sendall(first)
            client.setblocking(False)
        self._again, self._over = again, threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Flood:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)
        for client in self._clients:
            client.close()

    def _send(self) -> None:
        # At half a core: the other one of a small test machine is the service's.
        while not self._over.wait(0.01):
            for client in self._clients:
                with contextlib.suppress(OSError):
                    client.send(self._again)


FLOODS = {
    "requests that wait for no answer": (8, b"", _head("/healthz") * 200),
    "requests behind a stream": (8, _head("/api/stream.mjpg"), _head("/healthz") * 200),
    "empty WebSocket messages": (8, _head("/api/live", *UPGRADE), EMPTY_TEXT * 2000),
    "WebSocket pings": (8, _head("/api/live", *UPGRADE), PING * 2000),
    "a WebSocket message in parts without end": (8, _head("/api/live", *UPGRADE), b"\x01\x80" + bytes(4) + PART * 2000),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods_cost_little_memory_and_nobody_s_answers(service: Service, name: str) -> None:
    """One connection made 900 MB of requests; eight of tiny frames silenced viewers for 8 s."""
    with Attack(service, FLOODED) as attack, Flood(service, *FLOODS[name]):
        until_then, slowest = time.monotonic() + 3, 0.0
        while time.monotonic() < until_then:
            began = time.monotonic()
            assert service.request("GET", "/api/state")[0] == 200
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < PROMPT_S
    table.record(name, f"answered by turns; {attack.kept}")


def test_connections_that_ask_for_nothing_give_way(service: Service) -> None:
    """520 handshakes that were never answered, or 600 connections that say nothing, gave everybody 503."""
    handshake = _head("/api/live", *UPGRADE, "Content-Length: 5")
    with Attack(service, FLOODED) as attack, contextlib.ExitStack() as open_ones:
        for number in range(600):
            client = open_ones.enter_context(_connect(service))
            with contextlib.suppress(OSError):
                client.sendall(handshake if number % 2 else b"GET /")
            if number % 50 == 0:
                assert service.request("GET", "/api/state")[0] == 200
        assert service.request("GET", "/api/state")[0] == 200
        time.sleep(1)
    table.record("600 connections that ask for nothing, or for what there is not", f"200; {attack.kept}")


def test_all_of_that_left_nothing_behind(service: Service) -> None:
    until(lambda: not any(_viewers(service).values()), 5, "no viewer is counted any more")
    until(lambda: psutil.Process(service.process.pid).num_fds() < 60, 15, "no connection is open any more")
    assert "Traceback" not in service.log(), service.log()[-2000:]


def test_pause_and_stop_are_prompt_under_all_floods(tmp_path: Path) -> None:
    """The stop took 9.6 s, and the requests that waited went on for minutes."""
    with contextlib.ExitStack() as floods, running(tmp_path, SCRIPT, environment=NEVER_STALE) as service:
        for flood in FLOODS.values():
            floods.enter_context(Flood(service, *flood))
        time.sleep(1)
        began = time.monotonic()
        assert service.request("PUT", "/api/paused", True)[0] == 200
        paused = time.monotonic() - began
        assert paused < PROMPT_S
        service.process.terminate()
        stopped = until(lambda: service.process.poll() is not None, PROMPT_S, "the end of the process")
        assert service.process.wait() == 0
        assert "Stopped." in service.log()
    table.record("pause and stop under all of these", f"paused after {paused:.1f} s, ended after {stopped:.1f} s")


def test_with_few_descriptors_everybody_is_served_and_the_camera_comes_back(tmp_path: Path) -> None:
    with running(tmp_path, SCRIPT, environment=NEVER_STALE, descriptors=64) as service:
        assert "may open only 64 files" in service.log()
        with contextlib.ExitStack() as open_ones:
            for _ in range(200):
                open_ones.enter_context(_connect(service))
            assert service.request("GET", "/api/state")[0] == 200
            before = service.camera().pid
            service.camera().kill()
            until(lambda: [one.pid for one in service.cameras()] not in ([], [before]), 8, "the camera starts again")
            used = psutil.Process(service.process.pid).cpu_times()
            time.sleep(1)
            assert sum(psutil.Process(service.process.pid).cpu_times()[:2]) - sum(used[:2]) < 0.9, "it runs idle"
        assert "Traceback" not in service.log(), service.log()[-2000:]
    table.record("64 descriptors, 200 connections", "served by turns; the camera starts again")
