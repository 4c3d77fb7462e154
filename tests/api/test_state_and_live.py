"""The state over REST, WebSocket and server-sent events: one truth, newest wins, never silent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from lookout.api.routes import live as live_module
from lookout.api.streaming import viewers
from lookout.api.streaming.pacing import TOO_SLOW_S
from lookout.engine.worker import first_state
from lookout.frame import Frame
from lookout.settings.schema import Settings
from lookout.state.hub import Hub
from lookout.state.state import CameraState, ModelState, status
from lookout.state.view import StateView
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.api.conftest import GREEN, RED, Service, StartService, plain, wait_until

STATE = TypeAdapter(StateView)


@contextlib.asynccontextmanager
async def watch(service: Service, query: str = "", **more: Any) -> AsyncIterator[ClientConnection]:
    url = f"ws://127.0.0.1:{service.port}/api/live{query}"
    async with connect(url, compression=None, **more) as connection:
        yield connection


async def next_state(connection: ClientConnection) -> dict[str, Any]:
    while True:
        message = await asyncio.wait_for(connection.recv(), 5)
        if isinstance(message, str):
            return json.loads(message)


async def next_picture(connection: ClientConnection) -> tuple[dict[str, Any], bytes]:
    while True:
        message = await asyncio.wait_for(connection.recv(), 5)
        if isinstance(message, bytes):
            (length,) = struct.unpack(">I", message[:4])
            return json.loads(message[4 : 4 + length]), message[4 + length :]


def test_the_state_has_the_documented_form_and_no_other(client: httpx.Client) -> None:
    state = client.get("api/state").json()
    STATE.validate_python(state, extra="forbid")
    assert state["status"] == "ok"
    assert state["answer"]["label"] == "cat"
    assert state["answer"]["current"] is True


async def test_a_watcher_gets_the_whole_state_at_once_and_then_each_change(shared: Service) -> None:
    async with watch(shared) as connection:
        first, second = await next_state(connection), await next_state(connection)
    STATE.validate_python(first, extra="forbid")
    assert second["instance"] == first["instance"]
    assert second["sequence"] > first["sequence"]


async def test_the_rate_asked_for_is_not_exceeded(shared: Service) -> None:
    async with watch(shared, "?rate=2") as connection:
        await next_state(connection)
        started = time.monotonic()
        for _ in range(3):
            await next_state(connection)
    assert time.monotonic() - started > 1.2


async def test_a_paused_service_still_speaks_every_second(start: StartService) -> None:
    service = start()
    with service.client() as client:
        client.put("api/paused", json=True)
    async with watch(service) as connection:
        await next_state(connection)
        for _ in range(2):
            started = time.monotonic()
            state = await next_state(connection)
            assert time.monotonic() - started < 2
    assert state["status"] == "paused"


@pytest.mark.parametrize("query", ["?rate=1", "?rate=2", ""])
async def test_a_client_that_asks_for_few_states_gets_few(start: StartService, query: str) -> None:
    service = start()
    with service.client() as client:
        client.put("api/paused", json=True)
    async with watch(service, query) as connection:
        await next_state(connection)
        started = time.monotonic()
        for _ in range(3):
            await next_state(connection)
    assert time.monotonic() - started < 3 * 1.2


async def test_a_frame_that_grows_stale_between_two_turns_is_sent_at_the_next_one() -> None:
    now = time.monotonic()
    frame = Frame(plain(RED), now - 1.9, 1, "demo")
    camera, model = CameraState("streaming", "demo", now), ModelState("any", "1", "fp32", 1, (), {}, {})
    state = replace(first_state(Settings(), now), frame=frame, model=model, camera=camera)
    schedule = live_module.StateSchedule(Hub(state), asyncio.sleep, rate=5)
    assert status(await schedule.next(), time.monotonic()) == "ok"
    assert status(await schedule.next(), time.monotonic()) == "stale"
    assert time.monotonic() - now < 0.6


async def test_a_silent_camera_is_reported_within_its_deadline_and_nothing_is_called_current(
    start: StartService,
) -> None:
    service = start({"camera.stale_after_s": "0.5"})
    async with watch(service, "?rate=60&picture=64") as connection:
        while (await next_state(connection))["status"] != "ok":
            pass
        service.camera.stall.set()
        stalled = time.monotonic()
        while (state := await next_state(connection))["status"] == "ok":
            pass
        assert time.monotonic() - stalled < 2.5
        assert state["status"] == "stale"
        assert state["answer"]["current"] is False
        service.camera.stall.clear()
        while (await next_state(connection))["status"] != "ok":
            assert time.monotonic() - stalled < 10


async def test_pictures_come_with_their_frame_and_wait_for_the_acknowledgement(shared: Service) -> None:
    async with watch(shared, "?picture=100") as connection:
        header, jpeg = await next_picture(connection)
        decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        assert decoded.shape[:2] == (header["height"], header["width"]) == (75, 100)
        assert decoded[40, 50].argmax() == 2
        assert set(header) == {"frame_id", "sequence", "captured_at", "width", "height"}
        for _ in range(4):  # nothing but states until it is acknowledged
            assert isinstance(await asyncio.wait_for(connection.recv(), 5), str)
        await connection.send("no JSON")
        await connection.send(json.dumps(["ack"]))
        await connection.send(json.dumps({"type": "ack", "sequence": -5}))
        assert isinstance(await asyncio.wait_for(connection.recv(), 5), str)
        await connection.send(json.dumps({"type": "ack", "sequence": header["sequence"]}))
        following, _ = await next_picture(connection)
        assert following["frame_id"] > header["frame_id"]


async def test_without_the_wish_no_picture_is_sent_and_none_is_encoded(start: StartService) -> None:
    service = start()
    async with watch(service) as connection:
        for _ in range(8):
            assert isinstance(await asyncio.wait_for(connection.recv(), 5), str)
    assert service.services.encoder.encoded == 0


async def test_one_jpeg_a_frame_and_size_however_many_look(start: StartService) -> None:
    service = start()
    frames: set[int] = set()

    async def look() -> None:
        async with watch(service, "?picture=80&rate=60") as connection:
            for _ in range(12):
                header, _ = await next_picture(connection)
                frames.add(header["frame_id"])
                await connection.send(json.dumps({"type": "ack", "sequence": header["sequence"]}))

    await asyncio.gather(*(look() for _ in range(8)))
    # A viewer that is behind may have taken a frame the others had already passed: not one encoding more than frames.
    assert service.services.encoder.encoded <= len(frames) + 1


@pytest.mark.parametrize("query", ["?rate=0", "?rate=1000", "?rate=fast", "?picture=nan", "?picture=3", "?rate=inf"])
async def test_a_wish_that_cannot_be_met_is_answered_and_closed(shared: Service, query: str) -> None:
    async with watch(shared, query) as connection:
        problem = json.loads(await connection.recv())
        assert problem["code"] == "request_invalid"
        assert problem["remedy"]
        with pytest.raises(ConnectionClosed):
            await connection.recv()
        assert connection.close_code == 1008


async def test_one_watcher_too_many_is_asked_to_come_back(shared: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(viewers.LIMITS, "live", 1)
    async with watch(shared) as first:
        await next_state(first)
        async with watch(shared) as second:
            assert json.loads(await second.recv())["code"] == "too_busy"
            with pytest.raises(ConnectionClosed):
                await second.recv()
            assert second.close_code == 1013


async def test_the_count_of_watchers_returns_to_zero_however_they_leave(shared: Service) -> None:
    async with watch(shared) as polite:
        await next_state(polite)
        rude = await connect(f"ws://127.0.0.1:{shared.port}/api/live")
        await next_state(rude)
        assert shared.services.viewers.counts()["live"] == 2
        rude.transport.abort()
    await asyncio.to_thread(wait_until, lambda: shared.services.viewers.counts()["live"] == 0)


async def test_the_subprotocol_is_confirmed(shared: Service) -> None:
    async with watch(shared, subprotocols=["other", "lookout.v1"]) as connection:
        assert connection.subprotocol == "lookout.v1"


class RawWatcher:
    """A WebSocket client that reads no faster than asked, with as little buffer as the kernel allows."""

    def __init__(self, port: int, query: str) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(5)
        self.socket.sendall(
            f"GET /api/live{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.socket.recv(64)
        self.buffer = self.buffer.partition(b"\r\n\r\n")[2]

    def read(self, limit: int) -> list[bytes]:
        """Take at most `limit` bytes from the socket; the payloads that are complete now, pictures included."""
        self.buffer += self.socket.recv(limit)
        payloads = []
        while (frame := self._frame()) is not None:
            payloads.append(frame)
        return payloads

    def _frame(self) -> bytes | None:
        if len(self.buffer) < 2:
            return None
        length, at = self.buffer[1], 2
        if length == 126:
            length, at = int.from_bytes(self.buffer[2:4], "big"), 4
        elif length == 127:
            length, at = int.from_bytes(self.buffer[2:10], "big"), 10
        if len(self.buffer) < at + length:
            return None
        payload, self.buffer = self.buffer[at : at + length], self.buffer[at + length :]
        return payload

    def acknowledge(self, sequence: int) -> None:
        text = json.dumps({"type": "ack", "sequence": sequence}).encode()
        self.socket.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)


@pytest.mark.parametrize("query", ["?rate=30", "?rate=10&picture=640"])
def test_a_reader_slowed_to_50_kb_a_second_gets_no_state_older_than_2_s(start: StartService, query: str) -> None:
    service = start()
    noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
    service.camera.pixels = np.asarray(cv2.resize(noise, (640, 480)), np.uint8)  # a JPEG of some 100 kB
    wait_until(lambda: service.state()["status"] == "ok")
    watcher, taken = RawWatcher(service.port, query), 0
    ages, pictures, started = [], 0, time.monotonic()
    while time.monotonic() - started < 6:
        taken += 2500
        for payload in watcher.read(2500):
            if payload.startswith(b'{"type":"state"'):
                ages.append(_age_s(json.loads(payload)))
            elif payload[:1] == b"\0":
                header = json.loads(payload[4 : 4 + struct.unpack(">I", payload[:4])[0]])
                pictures += 1
                watcher.acknowledge(header["sequence"])
        behind = taken / 50_000 - (time.monotonic() - started)
        if behind > 0:
            threading.Event().wait(behind)
    watcher.socket.close()
    assert len(ages) > 3
    assert max(ages) < 2.0, ages
    assert pictures > 0 or "picture" not in query


def _age_s(state: dict[str, Any]) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(state["time"]["now"])).total_seconds()


def test_a_reader_that_takes_nothing_is_given_up(start: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "SEND_S", 0.5)
    service = start({"answer.max_rate": "0"})
    service.camera.every_s = 0.001
    watcher = RawWatcher(service.port, "?rate=60")
    wait_until(lambda: service.services.viewers.counts()["live"] == 1)
    wait_until(lambda: service.services.viewers.counts()["live"] == 0, 30)
    watcher.socket.close()


def test_server_sent_events_carry_the_same_states(shared: Service, client: httpx.Client) -> None:
    with client.stream("GET", "api/live.sse?rate=20") as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines = response.iter_lines()
        events = []
        for line in lines:
            if line.startswith("id: "):
                events.append((line[4:], json.loads(next(lines).removeprefix("data: "))))
            if len(events) == 3:
                break
    for identity, state in events:
        assert identity == f"{state['instance']}-{state['sequence']}"
        STATE.validate_python(state, extra="forbid")
    wait_until(lambda: shared.services.viewers.counts()["events"] == 0)


async def test_a_change_of_answer_arrives_by_itself(start: StartService) -> None:
    service = start({"answer.hold_s": "0", "answer.window_s": "0.1"})
    async with watch(service) as connection:
        while (await next_state(connection))["answer"]["label"] != "cat":
            pass
        service.camera.pixels = plain(GREEN)
        while (await next_state(connection))["answer"]["label"] != "dog":
            pass


def test_stopping_with_watchers_takes_less_than_five_seconds(start: StartService) -> None:
    service = start()
    watcher = RawWatcher(service.port, "?picture=320")
    with service.client() as client, client.stream("GET", "api/stream.mjpg") as stream:
        next(stream.iter_raw())
        with client.stream("GET", "api/live.sse") as events:
            next(events.iter_raw())
            assert service.stop() < 5.0
    watcher.socket.close()


async def test_a_websocket_where_there_is_none_is_refused_with_a_reason(shared: Service) -> None:
    """Not refused as if a right were missing."""
    async with connect(f"ws://127.0.0.1:{shared.port}/api/lvie") as connection:
        assert json.loads(await connection.recv())["code"] == "not_found"
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_a_client_that_confirms_is_sent_no_more_than_it_confirms(start: StartService) -> None:
    """On a slow network states would lie in its buffers for long and be taken for now."""
    service = start()
    async with watch(service, "?confirm=true&rate=60") as connection:
        for _ in range(live_module.UNCONFIRMED):
            state = json.loads(await connection.recv())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 1.5)
        await connection.send(json.dumps({"type": "seen", "sequence": state["sequence"]}))
        following = json.loads(await asyncio.wait_for(connection.recv(), 1.5))
        assert following["sequence"] > state["sequence"] + 10  # the newest, not the next


async def test_a_client_that_confirms_hears_of_a_picture_before_it_comes(shared: Service) -> None:
    async with watch(shared, "?confirm=true&picture=100") as connection:
        kinds = []
        while len(kinds) < 3:
            message = await connection.recv()
            kinds.append("jpeg" if isinstance(message, bytes) else json.loads(message)["type"])
        assert kinds == ["state", "picture", "jpeg"]


async def test_a_client_that_takes_pictures_too_slowly_gets_none_and_the_reason(start: StartService) -> None:
    service = start()
    service.camera.pixels = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    acknowledged, reported = 0, []
    async with watch(service, "?confirm=true&picture=320&rate=10") as connection:
        while not reported or reported[-1]["bytes"]:
            message = await asyncio.wait_for(connection.recv(), 10)
            if isinstance(message, bytes):
                (length,) = struct.unpack(">I", message[:4])
                await asyncio.sleep(TOO_SLOW_S + 0.1)
                sequence = json.loads(message[4 : 4 + length])["sequence"]
                await connection.send(json.dumps({"type": "ack", "sequence": sequence}))
                acknowledged += 1
            elif (state := json.loads(message))["type"] == "state":
                await connection.send(json.dumps({"type": "seen", "sequence": state["sequence"]}))
            else:
                reported.append(state)
    assert acknowledged == 2
    assert reported[-1] == {"type": "picture", "bytes": 0, "network": "too_slow"}


async def test_a_client_that_draws_slowly_is_not_taken_for_a_slow_network(start: StartService) -> None:
    service = start()
    service.camera.pixels = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    widths: list[int] = []
    async with watch(service, "?picture=320&rate=10") as connection:
        while len(widths) < 6:
            header, _ = await next_picture(connection)
            await connection.send(json.dumps({"type": "got", "sequence": header["sequence"]}))
            await asyncio.sleep(0.6)
            await connection.send(json.dumps({"type": "ack", "sequence": header["sequence"]}))
            widths.append(header["width"])
    assert widths[-1] == 320
