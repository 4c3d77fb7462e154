"""Programs that look for mjpg-streamer's or µStreamer's addresses find the stream, with a token each way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import chain

import httpx
import pytest
from lookout.api.streaming.aliases import canonical

from tests.api.conftest import Service, StartService, wait_until
from tests.requires import requires

STREAMS = ["?action=stream", "?action=stream&1700000000", "?action=stream_0", "stream"]
SNAPSHOTS = ["?action=snapshot", "snapshot", "snapshot?t=1"]
# Each is given addresses, and "HEADER ADDRESS" where the token is to be sent in a header of its own.
_OPENCV = """
import cv2, os, sys
for given in sys.argv[1:]:
    header, _, address = given.rpartition("|")
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"headers;{header}\\r\\n" if header else ""
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
    assert all(capture.read()[0] for _ in range(3)), address
"""
_GSTREAMER = """
import sys, gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
for given in sys.argv[1:]:
    header, _, address = given.rpartition("|")
    name, _, value = header.partition(": ")
    more = f'extra-headers="h,{name}=(string)\\\\"{value}\\\\""' if header else ""
    line = f'souphttpsrc location="{address}" {more} ! multipartdemux ! jpegdec ! fakesink num-buffers=3'
    pipeline = Gst.parse_launch(line)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(20 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    assert message is not None and message.type == Gst.MessageType.EOS, (address, message and message.parse_error())
"""


def _ffmpeg(given: list[tuple[str, str]]) -> list[str]:
    options = [[*(["-headers", f"{header}\r\n"] if header else []), "-i", address] for header, address in given]
    wanted = [["-map", str(number)] for number in range(len(given))]
    return ["ffmpeg", "-v", "error", *chain.from_iterable(options + wanted), "-frames:v", "3", "-f", "null", "-"]


def _mpv(given: list[tuple[str, str]]) -> list[str]:
    """Ends with 3 if it could not play one of them."""
    quiet = ["--no-config", "--really-quiet", "--msg-level=all=error", "--vo=null", "--ao=null", "--frames=3"]
    files = [[*([f"--http-header-fields={header}"] if header else []), address] for header, address in given]
    return ["mpv", *quiet, *chain.from_iterable(["--{", *file, "--}"] for file in files)]


def _in_python(program: str, code: str) -> Callable[[list[tuple[str, str]]], list[str]]:
    return lambda given: [program, "-c", code, *("|".join(one) if one[0] else one[1] for one in given)]


READERS = {
    "ffmpeg": _ffmpeg,
    "mpv": _mpv,
    "opencv": _in_python(sys.executable, _OPENCV),
    "gstreamer": _in_python("/usr/bin/python3", _GSTREAMER),
}


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


@pytest.mark.parametrize(
    "reader",
    [
        pytest.param("ffmpeg", marks=requires("ffmpeg")),
        pytest.param("mpv", marks=requires("mpv")),
        "opencv",
        pytest.param("gstreamer", marks=requires("rtsp")),
    ],
)
def test_readers_open_each_address_with_the_token_each_way(guarded: Service, reader: str) -> None:
    """In the address as a password, in a header, and signed in a link; ffmpeg in every combination."""
    token, text = guarded.tokens.create("recorder", "stream")
    host = f"127.0.0.1:{guarded.port}"
    header, link = f"Authorization: Bearer {text}", f"link={guarded.tokens.open_link(token, 600)}"
    paths = ("api/stream.mjpg", "stream", "?action=stream")
    ways = [
        [
            ("", f"http://any:{text}@{host}/{path}"),
            (header, f"http://{host}/{path}"),
            ("", f"http://{host}/{path}{'&' if '?' in path else '?'}{link}"),
        ]
        for path in paths
    ]
    given = (
        list(chain.from_iterable(ways))
        if reader == "ffmpeg"
        else [ways[number][number] for number in range(len(paths))]
    )
    done = subprocess.run(READERS[reader](given), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_else_changes_its_meaning(guarded: Service) -> None:
    assert canonical("POST", "/stream", b"") == "/stream"
    for path, query in (("/", b""), ("/", b"action=command"), ("/", b"action="), ("/lab", b"action=stream")):
        assert canonical("GET", path, query) == path
    with guarded.client() as client:
        assert client.get("?action=command").headers["content-type"].startswith("text/html")
        assert isinstance(client.get("stream/x"), httpx.Response)
        assert client.get("stream/x").status_code == 404
