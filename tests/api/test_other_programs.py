"""Programs that know only http://user:password@host/… read picture and stream with the token as the password."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.api.conftest import Service, StartService, wait_until
from tests.requires import requires

_OPENCV = """
import cv2, sys
capture = cv2.VideoCapture(sys.argv[1], cv2.CAP_FFMPEG)
assert all(capture.read()[0] for _ in range(3))
"""
_GSTREAMER = """
import sys, gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
line = f"souphttpsrc location={sys.argv[1]} ! multipartdemux ! jpegdec ! fakesink num-buffers=3"
pipeline = Gst.parse_launch(line)
pipeline.set_state(Gst.State.PLAYING)
message = pipeline.get_bus().timed_pop_filtered(20 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
pipeline.set_state(Gst.State.NULL)
assert message is not None and message.type == Gst.MessageType.EOS, message and message.parse_error()
"""


@pytest.fixture
def guarded(start: StartService) -> tuple[Service, str]:
    """A service that has a picture, and the address of its API with the token in it."""
    service = start()
    wait_until(lambda: service.hub.latest().frame is not None)
    _, token = service.tokens.create("recorder")
    return service, f"http://any:{token}@127.0.0.1:{service.port}/api/"


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@requires("ffmpeg")
def test_ffmpeg(guarded: tuple[Service, str], tmp_path: Path) -> None:
    _run("ffmpeg", "-v", "error", "-i", f"{guarded[1]}stream.mjpg", "-frames:v", "3", tmp_path / "%d.jpg")
    _run("ffmpeg", "-v", "error", "-i", f"{guarded[1]}snapshot.jpg", "-frames:v", "1", tmp_path / "one.jpg")
    assert len(list(tmp_path.glob("*.jpg"))) == 4


def test_opencv(guarded: tuple[Service, str]) -> None:
    _run(sys.executable, "-c", _OPENCV, f"{guarded[1]}stream.mjpg")


@requires("rtsp")
def test_gstreamer(guarded: tuple[Service, str]) -> None:
    _run("/usr/bin/python3", "-c", _GSTREAMER, f"{guarded[1]}stream.mjpg")


@requires("wget")
def test_wget(guarded: tuple[Service, str], tmp_path: Path) -> None:
    """It keeps the password to itself until it is asked for it."""
    _run("wget", "--no-proxy", "--tries", "1", "-qO", tmp_path / "one.jpg", f"{guarded[1]}snapshot.jpg")
    assert (tmp_path / "one.jpg").read_bytes()[:2] == b"\xff\xd8"
    _run("wget", "--no-proxy", "--tries", "1", "-qO", tmp_path / "state.json", f"{guarded[1]}state")


@requires("curl")
def test_curl(guarded: tuple[Service, str], tmp_path: Path) -> None:
    _run("curl", "-fsS", "--noproxy", "*", "-o", tmp_path / "one.jpg", f"{guarded[1]}snapshot.jpg")
    assert (tmp_path / "one.jpg").read_bytes()[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    "headers", [{"User-Agent": "Mozilla/5.0 (X11; Linux)"}, {"Sec-Fetch-Mode": "no-cors", "User-Agent": "other"}]
)
def test_browsers_are_not_asked_for_a_password(guarded: tuple[Service, str], headers: dict[str, str]) -> None:
    """A dialogue of the browser's own would stand over the dashboard."""
    service, _ = guarded
    with service.client(headers=headers) as client:
        for path in ("api/stream.mjpg", "api/snapshot.jpg", "api/state", ""):
            refused = client.get(path)
            assert refused.status_code == 401
            assert refused.headers.get_list("www-authenticate") in (['Bearer realm="lookout"'], [])


def test_programs_are_asked_line_by_line(guarded: tuple[Service, str]) -> None:
    """Some read only the first scheme of a header."""
    service, token = guarded
    with service.client() as client:
        asked = client.get("api/stream.mjpg").headers.get_list("www-authenticate")
        assert [line.partition(" ")[0] for line in asked] == ["Basic", "Bearer"]
        asked = client.put("api/paused", json=True).headers.get_list("www-authenticate")
        assert [line.partition(" ")[0] for line in asked] == ["Bearer"]
        wrong = httpx.BasicAuth("any", token[:-30])
        assert client.get("api/stream.mjpg", auth=wrong).status_code == 401
