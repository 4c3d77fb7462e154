"""The newest frame as a picture and as a stream: never old without saying so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import cv2
import httpx
import numpy as np
import pytest
from lookout.api.streaming import viewers
from lookout.geometry import Rect
from numpy.typing import NDArray

from tests.api.conftest import RED, HandCamera, Service, StartService, wait_until


def decoded(data: bytes) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels, np.uint8)


def parts(response: httpx.Response) -> Iterator[tuple[dict[str, str], bytes]]:
    """The parts of a multipart/x-mixed-replace answer, by their Content-Length only."""
    boundary = b"--" + response.headers["content-type"].partition("boundary=")[2].encode()
    buffer, chunks = b"", response.iter_raw()
    while True:
        while b"\r\n\r\n" not in buffer:
            buffer += next(chunks)
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        start, *lines = head.strip(b"\r\n").split(b"\r\n")
        assert start == boundary
        headers = dict(line.decode().lower().split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        while len(buffer) < length + len(boundary) + 4:
            buffer += next(chunks)
        yield headers, buffer[:length]
        assert buffer[length : length + 2] == b"\r\n"
        buffer = buffer[length + 2 :]


def test_a_snapshot_is_the_newest_frame(client: httpx.Client) -> None:
    response = client.get("api/snapshot.jpg")
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["cache-control"] == "no-store"
    assert "x-lookout-stale" not in response.headers
    assert abs(time.time() - float(response.headers["x-timestamp"])) < 3
    assert decoded(response.content).shape == (240, 320, 3)
    assert np.abs(decoded(response.content)[120, 160].astype(int) - RED).max() < 6


def test_a_snapshot_is_scaled_down_and_never_up(client: httpx.Client) -> None:
    assert decoded(client.get("api/snapshot.jpg?width=100").content).shape == (75, 100, 3)
    assert decoded(client.get("api/snapshot.jpg?width=4000").content).shape == (240, 320, 3)


def test_the_network_sees_only_the_region(client: httpx.Client) -> None:
    # 320 x 240 cropped to a square, less the pixels that do not divide by the whole factor of the reduction.
    assert decoded(client.get("api/snapshot.jpg?region=true").content).shape == (240, 240, 3)


def test_an_annotated_snapshot_differs_where_words_are_drawn(client: httpx.Client) -> None:
    marked = decoded(client.get("api/snapshot.jpg?annotate=true").content)
    plainly = decoded(client.get("api/snapshot.jpg").content)
    assert marked.shape == plainly.shape
    assert np.abs(marked.astype(int) - plainly.astype(int))[180:].max() > 100


def test_an_unchanged_picture_costs_no_body(start: StartService) -> None:
    service = start({"camera.stale_after_s": "60"})
    wait_until(lambda: service.state()["status"] == "ok")
    service.camera.stall.set()
    wait_until(lambda: service.hub.latest().frame is not None)
    with service.client() as client:
        time.sleep(0.3)  # a frame that was on its way has come by then
        tag = client.get("api/snapshot.jpg").headers["etag"]
        again = client.get("api/snapshot.jpg", headers={"If-None-Match": f'"other", W/{tag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        for other in ("?width=50", "?region=true", "?annotate=true"):
            assert client.get(f"api/snapshot.jpg{other}", headers={"If-None-Match": tag}).status_code == 200
        assert client.get("api/snapshot.jpg", headers={"If-None-Match": "*"}).status_code == 304


def test_a_new_frame_has_a_new_tag(shared: Service, client: httpx.Client) -> None:
    tag = client.get("api/snapshot.jpg").headers["etag"]
    frame = shared.hub.latest().frame
    wait_until(lambda: shared.hub.latest().frame is not frame)
    assert client.get("api/snapshot.jpg", headers={"If-None-Match": tag}).status_code == 200


def test_a_snapshot_of_a_silent_camera_says_that_it_is_stale(start: StartService) -> None:
    service = start({"camera.stale_after_s": "0.3"})
    wait_until(lambda: service.state()["status"] == "ok")
    service.camera.stall.set()
    wait_until(lambda: service.state()["status"] == "stale")
    with service.client() as client:
        response = client.get("api/snapshot.jpg")
    assert response.status_code == 200
    assert response.headers["x-lookout-stale"] == "1"


def only_time_goes_on(service: Service, stale_after_s: float) -> None:
    """Stop the worker: what it published last is of this very moment, and nothing is published any more."""
    reported = service.hub.latest()
    assert service.engine.stop()
    assert reported.frame is not None
    assert reported.prediction is not None
    now = time.monotonic()
    frame, prediction = replace(reported.frame, captured_at=now), replace(reported.prediction, captured_at=now)
    service.hub.publish(replace(reported, frame=frame, prediction=prediction, stale_after_s=stale_after_s))


def test_an_annotated_snapshot_stops_saying_what_is_no_longer_current(start: StartService) -> None:
    service = start()
    wait_until(lambda: service.state()["status"] == "ok")
    with service.client() as client:
        only_time_goes_on(service, stale_after_s=2)
        before = client.get("api/snapshot.jpg?annotate=true")
        assert service.state()["answer"]["current"]
        wait_until(lambda: not service.state()["answer"]["current"])
        after = client.get("api/snapshot.jpg?annotate=true", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.content != before.content


def test_another_part_of_the_same_frame_has_another_tag(start: StartService) -> None:
    service = start()
    wait_until(lambda: service.state()["status"] == "ok")
    with service.client() as client:
        only_time_goes_on(service, stale_after_s=60)
        whole = client.get("api/snapshot.jpg?region=true")
        service.hub.publish(replace(service.hub.latest(), region_seen=Rect(0.5, 0.5, 0.5, 0.5)))
        part = client.get("api/snapshot.jpg?region=true", headers={"If-None-Match": whole.headers["etag"]})
    assert part.status_code == 200
    assert decoded(part.content).shape == (120, 160, 3)


def test_without_a_camera_the_snapshot_is_a_sentence(start: StartService) -> None:
    service = start(camera=_absent())
    wait_until(lambda: service.state()["status"] == "absent")
    with service.client() as client:
        response = client.get("api/snapshot.jpg")
    assert response.status_code == 503
    assert response.json()["code"] == "no_frame"
    assert response.json()["detail"] == "There is no camera here."
    assert response.json()["remedy"] == "Plug one in."
    assert "retry-after" in response.headers


def test_a_paused_camera_shows_nothing_to_anybody(start: StartService) -> None:
    service = start()
    wait_until(lambda: service.state()["status"] == "ok")
    with service.client() as client:
        client.put("api/paused", json=True)
        assert client.get("api/snapshot.jpg").json()["detail"] == "The camera is paused."
        with client.stream("GET", "api/stream.mjpg") as response:
            headers, jpeg = next(parts(response))
    assert headers["x-lookout-stale"] == "1"
    assert decoded(jpeg)[:, :, 2].mean() < 40  # nothing red: nothing of the last picture


def _absent() -> HandCamera:
    camera = HandCamera()
    camera.absent.set()
    return camera


def test_each_part_of_the_stream_is_one_whole_picture(client: httpx.Client) -> None:
    with client.stream("GET", "api/stream.mjpg?width=80&fps=60") as response:
        assert response.headers["content-type"].startswith("multipart/x-mixed-replace;boundary=")
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        stamps = []
        for headers, jpeg in parts(response):
            assert headers["content-type"] == "image/jpeg"
            assert "x-lookout-stale" not in headers
            assert decoded(jpeg).shape == (60, 80, 3)
            stamps.append(float(headers["x-timestamp"]))
            if len(stamps) == 5:
                break
    assert stamps == sorted(set(stamps))


def test_opencv_reads_the_stream_as_a_video(shared: Service) -> None:
    video = cv2.VideoCapture(
        f"{shared.url}api/stream.mjpg",
        cv2.CAP_FFMPEG,
        [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 5000],
    )
    try:
        for _ in range(4):
            ok, pixels = video.read()
            assert ok
            assert pixels.shape == (240, 320, 3)
            assert pixels[120, 160].argmax() == 2
    finally:
        video.release()
    wait_until(lambda: shared.services.viewers.counts()["stream"] == 0)


def test_the_rate_asked_for_is_kept(client: httpx.Client) -> None:
    with client.stream("GET", "api/stream.mjpg?fps=4") as response:
        found = parts(response)
        next(found)
        started = time.monotonic()
        for _ in range(3):
            next(found)
    assert time.monotonic() - started > 0.6


def test_a_stale_stream_shows_words_once_a_second_and_then_the_camera_again(start: StartService) -> None:
    service = start({"camera.stale_after_s": "0.3"})
    wait_until(lambda: service.state()["status"] == "ok")
    with service.client() as client, client.stream("GET", "api/stream.mjpg?fps=60") as response:
        found = parts(response)
        assert "x-lookout-stale" not in next(found)[0]
        service.camera.stall.set()
        stalled = time.monotonic()
        while "x-lookout-stale" not in (part := next(found))[0]:
            pass
        assert time.monotonic() - stalled < 2
        middle = decoded(part[1])[60, 160].astype(int)
        assert middle.max() < 60, "the last picture must not pass for a live one"
        assert middle.max() - middle.min() < 10
        assert decoded(part[1]).max() > 200  # the words
        started = time.monotonic()
        assert "x-lookout-stale" in next(found)[0]
        assert 0.7 < time.monotonic() - started < 3
        service.camera.stall.clear()
        while "x-lookout-stale" in next(found)[0]:
            assert time.monotonic() - stalled < 15


def test_a_slow_viewer_too_sees_words_once_the_picture_is_stale(start: StartService) -> None:
    service = start()
    wait_until(lambda: service.state()["status"] == "ok")
    only_time_goes_on(service, stale_after_s=1.5)
    with service.client() as client, client.stream("GET", "api/stream.mjpg?fps=0.2") as response:
        started, found = time.monotonic(), parts(response)
        assert "x-lookout-stale" not in next(found)[0]
        assert "x-lookout-stale" in next(found)[0]
    assert time.monotonic() - started < 4  # its next turn comes after 5 s


def test_a_stale_stream_ends_for_those_who_ask_for_it(start: StartService) -> None:
    service = start({"camera.stale_after_s": "0.3"})
    wait_until(lambda: service.state()["status"] == "ok")
    with service.client() as client, client.stream("GET", "api/stream.mjpg?on_stale=end") as response:
        service.camera.stall.set()
        body = b"".join(response.iter_raw())
    assert body.count(b"image/jpeg") >= 1
    assert b"X-Lookout-Stale" not in body


def test_a_viewer_who_leaves_is_not_counted_any_more(shared: Service, client: httpx.Client) -> None:
    with client.stream("GET", "api/stream.mjpg") as response:
        found = parts(response)
        next(found)
        assert shared.services.viewers.counts()["stream"] == 1
        assert client.get("api/about").json()["viewers"]["stream"] == 1
    wait_until(lambda: shared.services.viewers.counts()["stream"] == 0)


def test_one_viewer_too_many_gets_a_sentence(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(viewers.LIMITS, "stream", 0)
    response = client.get("api/stream.mjpg")
    assert response.status_code == 429
    assert response.json()["code"] == "too_busy"


def test_twenty_viewers_share_each_encoding(start: StartService) -> None:
    service = start()
    wait_until(lambda: service.state()["status"] == "ok")
    first = service.hub.latest().frame
    with service.client() as client:
        streams = [client.stream("GET", "api/stream.mjpg?fps=60") for _ in range(20)]
        readers = [parts(stream.__enter__()) for stream in streams]
        for _ in range(5):
            for reader in readers:
                next(reader)
        last = service.hub.latest().frame
        for stream in streams:
            stream.__exit__(None, None, None)
    assert first is not None
    assert last is not None
    assert service.services.encoder.encoded <= last.sequence - first.sequence + 12


@pytest.mark.parametrize("query", ["snapshot.jpg?width=1", "snapshot.jpg?width=99999", "stream.mjpg?fps=0"])
def test_sizes_and_rates_out_of_range_are_refused(client: httpx.Client, query: str) -> None:
    response = client.get(f"api/{query}")
    assert response.status_code == 422
    assert response.json()["code"] == "request_invalid"
