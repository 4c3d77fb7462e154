"""Real RTSP and HTTP streams: time-outs that fire, reasons, frames that say how old they are, no leaked passwords."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from lookout.camera import create
from lookout.camera.interface import Camera, CameraOptions
from lookout.deadline import Deadline
from lookout.errors import CameraAbsent, CameraDenied, CameraError, CameraSilent, CameraUnsupported, CameraWaiting

from tests.camera import servers
from tests.camera.cards import card, colour_of, corner, white_corner
from tests.requires import requires
from tests.support.ports import free_port

OPTIONS = CameraOptions(width=160, height=120, fps=20)


def read_on(camera: Camera, seconds: float) -> None:
    while True:
        camera.read(Deadline.after(seconds))


def test_an_mjpeg_camera_streams_and_the_newest_frame_is_young() -> None:
    with servers.mjpeg(card("red"), fps=50) as server:
        camera = create(f"http://127.0.0.1:{server.port}/stream", OPTIONS, isolated=False)
        camera.open(Deadline.after(5))
        first = camera.read(Deadline.after(2))
        time.sleep(0.3)
        second = camera.read(Deadline.after(2))
        camera.close()
    assert second.sequence - first.sequence > 5
    assert time.monotonic() - second.captured_at < 0.5
    assert camera.info.live
    assert (camera.info.kind, camera.info.width, camera.info.height, camera.info.fps) == ("http", 160, 120, None)


def test_streams_are_turned_like_every_source() -> None:
    with servers.mjpeg(corner()) as server:
        camera = create(
            f"http://127.0.0.1:{server.port}/", CameraOptions(rotate=90, controls={"zoom": 2}), isolated=False
        )
        camera.open(Deadline.after(5))
        frame = camera.read(Deadline.after(2))
        camera.close()
    assert white_corner(frame.pixels) == "top right"
    assert (camera.info.width, camera.info.height) == (120, 160)
    assert camera.info.notes == ("The control 'zoom' is unknown for http streams and was skipped.",)


def test_a_server_that_accepts_and_never_answers_is_silent_by_the_deadline() -> None:
    with servers.silent() as server:
        camera = create(f"http://127.0.0.1:{server.port}/", OPTIONS, isolated=False)
        begun = time.monotonic()
        with pytest.raises(CameraSilent):
            camera.open(Deadline.after(1.5))
        assert time.monotonic() - begun < 3


def test_a_stream_that_stalls_is_silent_by_the_readers_deadline_and_close_is_bounded() -> None:
    with servers.mjpeg(card("red"), frames=30, fps=60) as server:
        camera = create(f"http://127.0.0.1:{server.port}/", OPTIONS, isolated=False)
        camera.open(Deadline.after(5))
        with pytest.raises(CameraSilent):
            read_on(camera, 0.4)
        begun = time.monotonic()
        camera.close()
        camera.close()
        assert time.monotonic() - begun < 1.5


def test_a_stream_that_hangs_up_is_reported_at_once() -> None:
    with servers.mjpeg(card("red"), frames=30, fps=60, then_hang_up=True) as server:
        camera = create(f"http://127.0.0.1:{server.port}/", OPTIONS, isolated=False)
        camera.open(Deadline.after(5))
        begun = time.monotonic()
        with pytest.raises(CameraError, match="ended or fell silent"):
            read_on(camera, 5)
        assert time.monotonic() - begun < 3
        camera.close()


PASSWORD = "hunter22-hunter22"


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("answer", [b"HTTP/1.0 401 Unauthorized\r\n\r\n", b"HTTP/1.0 404 Not Found\r\n\r\n"])
def test_credentials_appear_in_no_error_log_or_repr(
    answer: bytes, isolated: bool, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with servers.answering(answer) as server:
        address = f"http://admin:{PASSWORD}@127.0.0.1:{server.port}/video?token={PASSWORD}"
        camera = create(address, OPTIONS, isolated=isolated)
        with pytest.raises(CameraError) as raised:
            camera.open(Deadline.after(5))
        camera.close()
    printed = capfd.readouterr()
    words = [str(raised.value), repr(raised.value), repr(camera), printed.out, printed.err, caplog.text]
    assert not [word for word in (*words, *getattr(camera, "log", ())) if PASSWORD in word]


def test_frames_and_info_of_a_stream_with_a_password_do_not_show_it() -> None:
    with servers.mjpeg(card("red"), locked=True) as server:
        camera = create(f"http://admin:{PASSWORD}@127.0.0.1:{server.port}/video", OPTIONS, isolated=False)
        camera.open(Deadline.after(5))
        frame = camera.read(Deadline.after(2))
        camera.close()
    assert frame.source == f"http://127.0.0.1:{server.port}/video"
    assert PASSWORD not in repr(camera.info) + repr(camera)


@pytest.fixture(scope="module")
def rtsp() -> Iterator[tuple[int, int]]:
    """Port and process number of an RTSP server."""
    with servers.rtsp() as (port, process):
        yield port, process.pid


@requires("rtsp")
def test_an_rtsp_stream_is_young_and_its_silence_is_reported_by_the_deadline(rtsp: tuple[int, int]) -> None:
    port, pid = rtsp
    camera = create(f"rtsp://127.0.0.1:{port}/green", OPTIONS, isolated=True)
    camera.open(Deadline.after(15))
    frames = [camera.read(Deadline.after(5)) for _ in range(20)]
    assert colour_of(frames[-1].pixels) == "green"
    assert 0 <= time.monotonic() - frames[-1].captured_at < 0.5
    assert camera.info.fps == pytest.approx(15)
    times = [frame.captured_at for frame in frames]
    assert times == sorted(times)
    os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(CameraSilent):
            read_on(camera, 0.5)
        assert time.monotonic() - begun < 3
    finally:
        os.kill(pid, signal.SIGCONT)
    camera.close()


@requires("rtsp")
@pytest.mark.parametrize(
    ("login", "kind", "words"),
    [
        ("", CameraDenied, "asks for a user name and password"),
        ("cat:wrong-wrong@", CameraDenied, "refuses the user name or password"),
    ],
)
def test_rtsp_without_the_right_password_is_denied(
    rtsp: tuple[int, int], login: str, kind: type[CameraError], words: str
) -> None:
    camera = create(f"rtsp://{login}127.0.0.1:{rtsp[0]}/locked", OPTIONS, isolated=False)
    with pytest.raises(kind, match=words) as raised:
        camera.open(Deadline.after(10))
    assert "wrong-wrong" not in str(raised.value)


@requires("rtsp")
def test_rtsp_with_the_right_password_opens(rtsp: tuple[int, int]) -> None:
    camera = create(f"rtsp://cat:m1aow-m1aow@127.0.0.1:{rtsp[0]}/locked", OPTIONS, isolated=False)
    camera.open(Deadline.after(15))
    assert camera.read(Deadline.after(5)).width == 320
    camera.close()


@requires("rtsp")
def test_an_rtsp_path_that_is_not_there_is_absent(rtsp: tuple[int, int]) -> None:
    camera = create(f"rtsp://127.0.0.1:{rtsp[0]}/nothing", OPTIONS, isolated=False)
    with pytest.raises(CameraAbsent, match="knows no such path"):
        camera.open(Deadline.after(10))


@requires("rtsp")
@pytest.mark.parametrize("path", ["longgop", "vp8", "interlaced", "udp"])
def test_a_stream_shows_its_first_picture_at_once(rtsp: tuple[int, int], path: str) -> None:
    """homebridge-eufy#1035 and vllm-project/vllm#47853 over RTSP, and a camera that knows only UDP."""
    camera = create(f"RTSP://127.0.0.1:{rtsp[0]}/{path}", OPTIONS, isolated=False)
    begun = time.monotonic()
    camera.open(Deadline.after(15))
    frame = camera.read(Deadline.after(2))
    camera.close()
    assert time.monotonic() - begun < 10, "the next key frame is a minute off"
    assert colour_of(frame.pixels) == "red", "with key frames in slices, each behind parameters of its own"
    assert frame.pixels.std(axis=(0, 1)).max() < 4
    assert (camera.info.width, camera.info.height) == (320, 240)


@requires("rtsp")
def test_who_joins_between_key_frames_waits_for_the_next_and_knows_why(rtsp: tuple[int, int]) -> None:
    address = f"rtsp://127.0.0.1:{rtsp[0]}/joined"
    before = create(address, OPTIONS, isolated=False)
    before.open(Deadline.after(15))
    camera = create(address, OPTIONS, isolated=True)
    camera.open(Deadline.after(15))
    waited = []
    for _ in range(100):
        try:
            frame = camera.read(Deadline.after(0.2))
            break
        except CameraSilent as error:
            waited.append(type(error))
    camera.close()
    before.close()
    assert set(waited) <= {CameraWaiting}
    assert colour_of(frame.pixels) == "red"


@requires("rtsp")
def test_a_still_scene_is_not_a_stuck_driver(rtsp: tuple[int, int]) -> None:
    """aldehyde/videorc#164: an encoder's "nothing has changed" gives pictures that are alike to the last bit."""
    camera = create(f"rtsp://127.0.0.1:{rtsp[0]}/longgop", OPTIONS, isolated=True)
    camera.open(Deadline.after(15))
    frames = [camera.read(Deadline.after(5)) for _ in range(15)]
    camera.close()
    assert len({frame.pixels.tobytes() for frame in frames}) < 15
    assert len({frame.mark for frame in frames}) == 15


def test_nothing_listening_is_absent_at_once() -> None:
    camera = create(f"rtsp://127.0.0.1:{free_port()}/x", OPTIONS, isolated=False)
    begun = time.monotonic()
    with pytest.raises(CameraAbsent, match="Nothing listens"):
        camera.open(Deadline.after(10))
    assert time.monotonic() - begun < 3


def test_a_web_page_is_not_a_stream() -> None:
    page = b"HTTP/1.0 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html>Camera login</html>"
    with servers.answering(page) as server:
        camera = create(f"http://127.0.0.1:{server.port}/", OPTIONS, isolated=False)
        with pytest.raises(CameraUnsupported, match="is a web page"):
            camera.open(Deadline.after(5))
