"""Programs that look for mjpg-streamer's or µStreamer's addresses find the stream, with a token each way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from lookout.api.streaming.aliases import canonical

from tests.api.conftest import Service, StartService, wait_until
from tests.requires import requires

STREAMS = ["?action=stream", "?action=stream&1700000000", "?action=stream_0", "stream"]
SNAPSHOTS = ["?action=snapshot", "snapshot", "snapshot?t=1"]
_OPENCV = """
import cv2, sys
for address in sys.argv[1:]:
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
    assert all(capture.read()[0] for _ in range(3)), address
"""


@pytest.fixture
def guarded(start: StartService) -> Service:
    service = start()
    wait_until(lambda: service.hub.latest().frame is not None)
    return service


def test_each_way_to_show_a_token_opens_them(guarded: Service) -> None:
    token, text = guarded.tokens.create("octoprint", "stream")
    link = f"link={guarded.tokens.open_link(token, 600)}"
    with guarded.client() as client:
        for path in SNAPSHOTS:
            refused = client.get(path)
            assert refused.status_code == 401, path
            # As ffmpeg and wget need it, to show the password of http://any:TOKEN@host/
            assert any(line.startswith("Basic") for line in refused.headers.get_list("www-authenticate")), path
            assert client.get(path, headers={"User-Agent": "Mozilla/5.0"}).status_code == 401
            signed = f"{path}{'&' if '?' in path else '?'}{link}"
            for found in (client.get(path, auth=("any", text)), client.get(signed)):
                assert (found.status_code, found.headers["content-type"]) == (200, "image/jpeg"), path
            assert client.head(path, auth=("any", text)).status_code == 200
        for path in STREAMS:
            with client.stream("GET", path, auth=("any", text)) as response:
                assert response.headers["content-type"].startswith("multipart/x-mixed-replace"), path
        assert client.get(f"?{link}", headers={"Accept": "text/html"}).status_code == 401  # the dashboard needs more
        assert client.get(f"state?{link}").status_code == 401


def test_ustreamers_state(guarded: Service) -> None:
    with guarded.client() as client:
        reported = client.get("state").json()
        assert reported["ok"] is True
        assert reported["result"]["source"]["resolution"] == {"width": 320, "height": 240}
        wait_until(lambda: client.get("state").json()["result"]["source"]["online"])


@requires("ffmpeg")
def test_ffmpeg_and_opencv_read_them(guarded: Service, tmp_path: Path) -> None:
    _, text = guarded.tokens.create("recorder", "stream")
    root = f"http://any:{text}@127.0.0.1:{guarded.port}/"
    for number, path in enumerate(("?action=stream", "stream")):
        out = str(tmp_path / f"{number}-%d.jpg")
        command = ["ffmpeg", "-v", "error", "-i", f"{root}{path}", "-frames:v", "2", out]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.jpg"))) == 4
    command = [sys.executable, "-c", _OPENCV, f"{root}?action=stream", f"{root}stream"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_else_changes_its_meaning(guarded: Service) -> None:
    assert canonical("POST", "/stream", b"") == "/stream"
    for path, query in (("/", b""), ("/", b"action=command"), ("/", b"action="), ("/lab", b"action=stream")):
        assert canonical("GET", path, query) == path
    with guarded.client() as client:
        assert client.get("?action=command").headers["content-type"].startswith("text/html")
        assert isinstance(client.get("stream/x"), httpx.Response)
        assert client.get("stream/x").status_code == 404
