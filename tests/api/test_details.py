"""What is said where there is no picture, how health is judged, and bodies that never end."""

from __future__ import annotations

import socket
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from lookout.api import description
from lookout.api.middleware import body_limit
from lookout.api.routes import health
from lookout.api.streaming.encoder import Encoder, cropped, shrunk
from lookout.api.streaming.freshness import stale_lines
from lookout.api.streaming.overlay import placeholder
from lookout.errors import PictureUnsupported
from lookout.frame import Frame
from lookout.geometry import Rect
from lookout.pictures.decode import read_picture

from tests.api.conftest import RED, Service, StartService, plain, wait_until
from tests.api.pictures_made import encoded


def reported(status: str, camera: str, **more: Any) -> Any:
    """As much of a view as the words need."""
    return {"status": status, "camera": {"status": camera, "frame_age_s": None, "reason": None, **more}}


@pytest.mark.parametrize(
    ("view", "lines"),
    [
        (reported("paused", "paused"), ["Paused: the camera is closed."]),
        (reported("ended", "ended"), ["The video has ended."]),
        (reported("absent", "absent", reason="No such file."), ["No picture.", "No such file."]),
        (reported("absent", "failed"), ["No picture.", "There is no camera."]),
        (reported("starting", "opening"), ["Waiting for the first picture."]),
        (reported("stale", "stalled", frame_age_s=130.0), ["No new picture for 2 min."]),
        (
            reported("stale", "stalled", frame_age_s=7.2, reason="It is mute."),
            ["No new picture for 7 s.", "It is mute."],
        ),
    ],
)
def test_a_stream_without_pictures_says_why(view: Any, lines: list[str]) -> None:
    assert stale_lines(view) == lines


@pytest.mark.parametrize("width", [None, 64, 320, 2000])
def test_the_words_fit_into_every_width(width: int | None) -> None:
    for last in (None, plain(RED)):
        canvas = placeholder(last, width, ["No new picture for 7 s.", "A very long reason " * 20])
        assert canvas.flags.c_contiguous
        assert canvas.max() > 100
        assert (canvas[:, -1] < 100).all(), "the words run out of the picture"


def test_parts_of_pictures_are_never_empty() -> None:
    pixels = plain(RED, 10, 10)
    assert cropped(pixels, Rect(0.999, 0.999, 0.001, 0.001)).shape == (1, 1, 3)
    assert cropped(pixels, None) is pixels
    assert shrunk(plain(RED, 1000, 1), 16).shape == (1, 16, 3)


async def test_an_encoding_that_fails_is_tried_again() -> None:
    encoder, calls = Encoder(), 0

    def draw() -> Any:
        nonlocal calls
        calls += 1
        return np.zeros((0, 0, 3), np.uint8) if calls == 1 else plain(RED)

    frame = Frame(plain(RED), 1.0, 1, "demo")
    with pytest.raises((RuntimeError, cv2.error)):
        await encoder.drawn("key", frame, draw)
    assert (await encoder.drawn("key", frame, draw)).width == 320
    await encoder.drawn("key", frame, draw)
    assert calls == 2
    encoder.close()


def test_a_stuck_worker_is_not_healthy(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_MARGIN_S", -100.0)
    response = client.get("healthz")
    assert (response.status_code, response.json()["code"]) == (503, "not_ready")


def test_a_body_that_does_not_come_is_given_up(shared: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "BODY_S", 0.2)
    with socket.create_connection(("127.0.0.1", shared.port), 5) as connection:
        connection.sendall(b"PUT /api/paused HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ntr")
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("method", "path"),
    [("put", "/api/paused"), ("put", "/api/model"), ("patch", "/api/settings"), ("post", "/api/login")],
)
def test_a_body_that_does_not_come_is_in_the_description(client: httpx.Client, method: str, path: str) -> None:
    assert "408" in client.get("openapi.json").json()["paths"][path][method]["responses"]


def test_the_description_is_written_out_once(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    first = client.get("openapi.json", headers={"Accept-Encoding": "identity"})
    monkeypatch.setattr(description, "json", None)  # as a service that has no time for it
    again = client.get("openapi.json", headers={"Accept-Encoding": "gzip"})
    assert again.headers["content-encoding"] == "gzip"
    assert again.json() == first.json()


def test_a_sender_who_leaves_half_way_changes_nothing(shared: Service, client: httpx.Client) -> None:
    for path in (b"PUT /api/paused", b"POST /api/classify"):
        with socket.create_connection(("127.0.0.1", shared.port), 5) as connection:
            connection.sendall(path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400\r\n\r\ntrue")
    assert client.get("api/state").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("api/live.sse", b"retry: 1000"),
        ("api/stream.mjpg?width=64", b"--lookoutframe\r\n"),
        ("api/models", b'{"models":['),
        ("static/icon.svg", b"<svg"),
    ],
)
def test_who_asks_in_http_1_0_gets_no_chunks(start: StartService, path: str, begins: bytes) -> None:
    service = start(
        {"server.auth": "none"}
    )  # HTTP/1.0 may come through a proxy, so it counts as a stranger's before a token
    if "stream" in path:
        wait_until(lambda: service.hub.latest().frame is not None)
    with socket.create_connection(("127.0.0.1", service.port), 5) as connection:
        connection.sendall(f"GET /{path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        data = b""
        while len(data) < 2000 and (more := connection.recv(4096)):
            data += more
            if begins in data and b"live" in path.encode():
                break
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding" not in head.lower()
    assert body.startswith(begins)


def test_numbers_between_the_whole_ones_are_no_picture_for_us() -> None:
    with pytest.raises(PictureUnsupported):
        read_picture(encoded(np.zeros((8, 8), np.float32), ".tiff"))
