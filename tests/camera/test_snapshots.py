"""Addresses of single pictures are polled; what else stands behind a web address is recognised by its content."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from lookout.camera import create, fetch_picture
from lookout.camera.interface import Camera, CameraOptions, EndOfSource
from lookout.camera.sources.http_feed import kind_of
from lookout.deadline import Deadline
from lookout.errors import CameraError, CameraUnsupported
from lookout.frame import Frame

from tests.camera import servers
from tests.camera.cards import card, colour_of, corner, white_corner
from tests.requires import requires

OPTIONS = CameraOptions(fps=50)
RED, GREEN = servers.jpeg(card("red")), servers.jpeg(card("green"))
PNG = cv2.imencode(".png", card("blue"))[1].tobytes()


def opened(port: int, options: CameraOptions = OPTIONS) -> Camera:
    camera = create(f"http://127.0.0.1:{port}/snap.jpg", options, isolated=False)
    camera.open(Deadline.after(5))
    return camera


def read_on(camera: Camera, frames: list[Frame]) -> None:
    while True:
        frames.append(camera.read(Deadline.after(2)))


def head(kind: bytes = b"image/jpeg", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\n" + more + b"\r\n"


def length(data: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(data)


@pytest.mark.parametrize(
    "before",
    [
        head(more=length(RED)),
        head(),
        head(b"application/octet-stream"),
        b"HTTP/1.0 200 OK\r\n\r\n",
        head(b"multipart/x-mixed-replace; boundary=x") + b"--x\r\nContent-Type: image/jpeg\r\n\r\n",
    ],
)
def test_a_single_picture_is_asked_for_again_and_again(before: bytes) -> None:
    """homebridge-eufy#1035: an address that gives one picture "ended or fell silent"."""
    pictures = iter([RED, *[GREEN] * 100])

    def answer(line: socket.socket, _: threading.Event) -> None:
        line.sendall(before.replace(length(RED), length(data := next(pictures))) + data)

    with servers.serving(answer) as server:
        camera = opened(server.port)
        first = camera.read(Deadline.after(2))
        begun = time.monotonic()
        later = [camera.read(Deadline.after(2)) for _ in range(3)]
        took = time.monotonic() - begun
        camera.close()
    assert colour_of(first.pixels) == "red"
    assert {colour_of(frame.pixels) for frame in later} == {"green"}
    assert camera.info.live
    assert took > 0.35, "never more than five requests a second, whatever the settings ask"
    assert all(0 <= time.monotonic() - frame.captured_at < 10 for frame in later)


def test_an_unchanged_picture_is_asked_for_politely_and_as_old_as_the_server_says() -> None:
    dated = b'Date: Mon, 30 Nov 2026 12:00:30 GMT\r\nLast-Modified: Mon, 30 Nov 2026 12:00:10 GMT\r\nETag: "a"\r\n'

    def answer(line: socket.socket, _: threading.Event, request: bytes) -> None:
        if b'If-None-Match: "a"' in request and b"If-Modified-Since: Mon, 30" in request:
            line.sendall(b"HTTP/1.1 304 Not Modified\r\n" + dated + b"\r\n")
        else:
            line.sendall(head(more=length(RED) + dated) + RED)

    with servers.serving(servers.each_request(answer)) as server:
        camera = opened(server.port)
        frames = [camera.read(Deadline.after(2)) for _ in range(4)]
        camera.close()
        assert server.connections == 1
        assert sum(b"If-None-Match" in request for request in server.requests) >= 3
    assert {frame.mark for frame in frames} == {frames[0].mark}
    assert all(19 < time.monotonic() - frame.captured_at < 25 for frame in frames)


def test_png_and_turned_pictures_are_upright_frames() -> None:
    with servers.answering(head(b"text/plain") + PNG) as server:
        camera = opened(server.port)
        assert colour_of(camera.read(Deadline.after(2)).pixels) == "blue"
        camera.close()
    data = servers.jpeg(corner())
    with servers.answering(head(more=length(data)) + data) as server:
        camera = opened(server.port, CameraOptions(rotate=90))
        assert white_corner(camera.read(Deadline.after(2)).pixels) == "top right"
        camera.close()
    assert (camera.info.width, camera.info.height) == (120, 160)


@pytest.mark.parametrize("data", [RED[:300], b"\xff\xd8\xff", b"GIF89a nothing"])
def test_a_damaged_picture_is_refused_in_one_sentence(data: bytes) -> None:
    with servers.answering(head(more=length(data)) + data) as server, pytest.raises(CameraError) as raised:
        opened(server.port)
    assert raised.value.remedy


def test_a_stream_of_cut_off_pictures_is_refused_in_one_sentence() -> None:
    def answer(line: socket.socket, stop: threading.Event) -> None:
        line.sendall(head(b"multipart/x-mixed-replace; boundary=frame"))
        while not stop.wait(0.005):
            line.sendall(b"--frame\r\n\r\n" + RED[:-300])

    with servers.serving(answer) as server:
        camera = create(f"http://127.0.0.1:{server.port}/", OPTIONS, isolated=False)
        with pytest.raises(CameraUnsupported, match="are damaged"):  # noqa: PT012 - by open or by the first read
            camera.open(Deadline.after(5))
            camera.read(Deadline.after(5))
        camera.close()
        with pytest.raises(CameraUnsupported, match="are damaged"):
            fetch_picture(f"http://127.0.0.1:{server.port}/", 3, 5, 10**6)


@pytest.mark.parametrize("ending", [".png", ".webp", ".bmp"])
@pytest.mark.parametrize("counted", [True, False])
def test_a_stream_of_other_pictures_is_shown_as_browsers_do(ending: str, counted: bool) -> None:
    def part(colour: str) -> bytes:
        data = cv2.imencode(ending, card(colour))[1].tobytes()
        return b"--frame\r\nContent-Type: image/x\r\n" + (length(data) if counted else b"") + b"\r\n" + data + b"\r\n"

    def answer(line: socket.socket, stop: threading.Event) -> None:
        line.sendall(head(b"multipart/x-mixed-replace; boundary=frame") + part("red"))
        while not stop.wait(0.05):
            line.sendall(b"--frame\r\nContent-Type: text/plain\r\n\r\n" + part("green"))

    with servers.serving(answer) as server:
        camera = opened(server.port)
        seen = [colour_of(camera.read(Deadline.after(3)).pixels) for _ in range(3)]
        camera.close()
        data, _ = fetch_picture(f"http://127.0.0.1:{server.port}/", 3, 3, 10**6)
    assert set(seen) <= {"red", "green"}
    assert seen[-1] == "green"
    assert data == cv2.imencode(ending, card("red"))[1].tobytes()


def test_a_frame_whose_sending_stood_still_is_as_old_as_its_first_byte() -> None:
    """A camera froze in the middle of a picture, and ten seconds later the rest was shown as now."""
    data = servers.part(card("red"))

    def answer(line: socket.socket, stop: threading.Event) -> None:
        line.sendall(head(b"multipart/x-mixed-replace; boundary=frame"))
        for _ in range(20):
            line.sendall(data)
            stop.wait(0.05)
        line.sendall(data[:400])
        stop.wait(1.5)
        line.sendall(data[400:] + servers.part(card("green")) * 3)
        stop.wait(0.3)
        for _ in range(3):
            line.sendall(servers.part(card("blue")))
            stop.wait(0.1)
        stop.wait(5)

    ages: dict[str, list[float]] = {"red": [], "green": [], "blue": []}
    with servers.serving(answer) as server:
        camera = opened(server.port)
        while len(ages["blue"]) < 2:
            frame = camera.read(Deadline.after(4))
            ages[colour_of(frame.pixels)].append(time.monotonic() - frame.captured_at)
        camera.close()
    assert max(ages["red"][:-1]) < 1
    assert all(age > 1.4 for age in ages["green"]), "they lay in a buffer while nothing moved"
    assert max(ages["blue"]) < 1


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A second of video with its index at the end."""
    path: Path = tmp_path_factory.mktemp("film") / "clip.mp4"
    source = ["-f", "lavfi", "-i", "testsrc=size=160x120:rate=10:duration=1", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-v", "error", *source, str(path)], check=True)
    return path.read_bytes()


@requires("ffmpeg")
@pytest.mark.parametrize("said", [True, False])
def test_a_short_video_plays_once_at_its_own_pace(film: bytes, said: bool, tmp_path: Path) -> None:
    if not said:  # no length: then its index has to come first
        (tmp_path / "in.mp4").write_bytes(film)
        command = ["ffmpeg", "-v", "error", "-i", "in.mp4", "-c", "copy", "-movflags", "faststart", "out.mp4"]
        subprocess.run(command, cwd=tmp_path, check=True)
        film = (tmp_path / "out.mp4").read_bytes()
    with servers.answering(head(b"video/mp4", length(film) if said else b"") + film) as server:
        camera = opened(server.port)
        begun = time.monotonic()
        frames: list[Frame] = []
        with pytest.raises(EndOfSource):
            read_on(camera, frames)
        camera.close()
    assert len(frames) == 10
    assert 0.6 < time.monotonic() - begun < 3
    assert not camera.info.live
    assert float(np.std(frames[0].pixels)) > 20


@requires("ffmpeg")
def test_classify_takes_the_first_picture_and_leaves_videos_to_the_camera(film: bytes) -> None:
    for answer in (head() + RED, head(b"multipart/x-mixed-replace") + servers.part(card("red")) * 2):
        with servers.answering(answer) as server:
            data, doubts = fetch_picture(f"HTTP://127.0.0.1:{server.port}/a b", 3, 3, 10**6)
        assert (data, doubts) == (RED, [])
    with servers.answering(head(b"video/mp4") + film) as server:
        assert fetch_picture(f"http://127.0.0.1:{server.port}/", 3, 3, 10**6) == (None, [])


@pytest.mark.parametrize(
    ("content_type", "data", "ends", "kind"),
    [
        ("text/html", b"<html>", True, "page"),
        ("application/json", b'{"error": 1}', True, "page"),
        ("", b"\n<!DOCTYPE html>", False, "page"),
        ("text/html", RED, False, "pictures"),
        ("multipart/x-mixed-replace", b"", False, "pictures"),
        ("", b"--myboundary\r\n", False, "pictures"),
        ("image/jpeg", RED, True, "picture"),
        ("image/webp", b"RIFF\0\0\0\0WEBPVP8 ", True, "picture"),
        ("application/vnd.apple.mpegurl", b"#EXTM3U\n", True, "playlist"),
        ("", b"\0\0\0\x20ftypisom", True, "video"),
        ("", b"G" + b"\0" * 187 + b"G", False, "video"),
    ],
)
def test_the_content_says_what_it_is(content_type: str, data: bytes, ends: bool, kind: str) -> None:
    assert kind_of(content_type, data[:512], ends=ends) == kind


def test_a_picture_that_takes_more_memory_than_its_header_says_is_refused() -> None:
    """What a camera sends is decoded in the camera's own process, within the bounds of uploads."""
    code = (
        "import re; from pathlib import Path; from lookout.camera.sources.snapshots import decoded\n"
        "from lookout.errors import PictureError; from tests.faults.bombs import gif\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) * 1024\n"
        "picture = gif(5200); before = peak()\n"
        "try: decoded(picture)\n"
        "except PictureError: print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) < 100 * 10**6, "222 MB without a bound"
