"""Pictures handed in: right answers for good ones, one sentence for bad ones, and the service stays up."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import httpx
import numpy as np
import pytest
from lookout.api import uploads
from lookout.api.routes import classify as classify_route
from lookout.api.schemas import ClassifyResponse

from tests.api.conftest import GREEN, GREY, RED, Service, StartService, plain, wait_until
from tests.api.pictures_made import encoded, jpeg, png_claiming, quarters, with_exif, zip_archive
from tests.faults.bombs import endless


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["detail"].endswith(".")
    return response.status_code, problem["code"]


@pytest.mark.parametrize(("color", "label"), [(RED, "cat"), (GREEN, "dog"), (GREY, "neither")])
@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif"])
def test_a_picture_gets_its_answer(
    client: httpx.Client, extension: str, color: tuple[int, int, int], label: str
) -> None:
    answer = client.post("api/classify", content=encoded(plain(color, 160, 120), extension)).json()
    ClassifyResponse.model_validate(answer)
    assert answer["top"][0]["label"] == label
    assert answer["probabilities"][label] == answer["top"][0]["probability"] > 0.8
    assert abs(sum(answer["probabilities"].values()) - 1) < 0.001
    assert (answer["width"], answer["height"]) == (160, 120)
    assert answer["model"] == {"name": "colours", "version": "1", "precision": "int8"}
    assert answer["seen"] == {"x": 0.125, "y": 0, "width": 0.75, "height": 1}
    assert set(answer["timing_ms"]) == {"decode", "preprocess", "inference", "postprocess"}
    assert "embedding" not in answer
    assert "explanation" not in answer


def test_the_size_reported_is_the_originals_whatever_was_decoded(client: httpx.Client) -> None:
    answer = client.post("api/classify", content=jpeg(2000, 1500)).json()
    assert (answer["width"], answer["height"]) == (2000, 1500)


def test_a_picture_held_sideways_is_seen_upright(client: httpx.Client) -> None:
    upright = np.full((300, 200, 3), 128, np.uint8)
    upright[:100] = RED  # above the centre square, so cut away once the picture stands upright
    sideways = np.rot90(upright, 1)
    answer = client.post("api/classify", content=with_exif(encoded(np.ascontiguousarray(sideways), ".jpg"), 6)).json()
    assert (answer["width"], answer["height"]) == (200, 300)
    assert answer["seen"]["width"] == 1
    assert answer["seen"]["height"] < 1


def test_only_as_many_labels_as_asked_for(client: httpx.Client) -> None:
    answer = client.post("api/classify?top=1", content=encoded(quarters(), ".png")).json()
    assert len(answer["top"]) == 1
    assert len(answer["probabilities"]) == 3


def test_an_embedding_on_request(client: httpx.Client) -> None:
    answer = client.post("api/classify?embedding=true", content=encoded(plain(RED), ".png")).json()
    assert answer["embedding"] == [255, 0, 0]


def test_an_explanation_shows_where_the_label_is(client: httpx.Client) -> None:
    pixels = plain(GREY, 128, 128)
    pixels[:64, :64] = RED
    pixels[64:, 64:] = (0, 0, 192)
    answer = client.post("api/classify?explain=true", content=encoded(pixels, ".png")).json()
    explanation = answer["explanation"]
    assert explanation["label"] == answer["top"][0]["label"] == "cat"
    assert explanation["cells"] == 4
    head, _, data = explanation["png"].partition(",")
    assert head == "data:image/png;base64"
    cells = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert cells is not None
    assert cells.tolist() == [[255, 128], [128, 192]]


def test_several_pictures_come_back_in_their_order(client: httpx.Client) -> None:
    files = [
        ("pictures", (f"{index}.png", encoded(plain(color), ".png"), "image/png"))
        for index, color in enumerate((RED, GREEN, GREY, RED))
    ]
    answers = client.post("api/classify", files=files, data={"note": "ignored"}).json()
    assert [answer["top"][0]["label"] for answer in answers] == ["cat", "dog", "neither", "cat"]


def test_one_picture_in_a_form_is_a_list_of_one(client: httpx.Client) -> None:
    answers = client.post("api/classify", files={"file": ("a.png", encoded(plain(RED), ".png"))}).json()
    assert [answer["top"][0]["label"] for answer in answers] == ["cat"]


def test_a_bad_picture_among_several_has_its_problem_in_its_place(client: httpx.Client) -> None:
    good, bad = encoded(plain(RED), ".png"), jpeg()[:500]
    files = [("p", ("bad.jpg", bad)), ("p", ("good.png", good)), ("p", ("notes.txt", b"milk, bread"))]
    response = client.post("api/classify", files=files)
    assert response.status_code == 200
    first, second, third = response.json()
    assert (first["name"], first["error"]["code"]) == ("bad.jpg", "picture_unreadable")
    assert second["top"][0]["label"] == "cat"
    assert (third["name"], third["error"]["code"]) == ("notes.txt", "picture_unsupported")


def test_a_form_of_only_bad_pictures_is_refused_and_the_first_is_named(client: httpx.Client) -> None:
    files = [("p", ("bad.jpg", jpeg()[:500])), ("p", ("notes.txt", b"milk, bread"))]
    response = client.post("api/classify", files=files)
    assert code(response) == (422, "picture_unreadable")
    assert response.json()["detail"].startswith("bad.jpg: ")


BAD = {
    "a truncated JPEG": (jpeg()[:-3000], 422, "picture_unreadable"),
    "a JPEG cut in its header": (jpeg()[:100], 422, "picture_unreadable"),
    "20,000 x 20,000": (png_claiming(20_000, 20_000), 413, "picture_too_large"),
    "a zip": (zip_archive(), 415, "picture_unsupported"),
    "an empty body": (b"", 415, "picture_unsupported"),
    "a text": (b"I am a cat.", 415, "picture_unsupported"),
    "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "picture_unsupported"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_gets_one_sentence_and_the_service_stays_up(client: httpx.Client, what: str) -> None:
    data, status, expected = BAD[what]
    response = client.post("api/classify", content=data, headers={"Content-Type": "image/jpeg"})
    assert code(response) == (status, expected)
    assert client.post("api/classify", content=encoded(plain(RED), ".png")).status_code == 200
    assert client.get("healthz").status_code == 200


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "multipart/form-data"}, b"x"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"no parts"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b--\r\n"),
        (
            {"Content-Type": "multipart/form-data; boundary=b"},
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\ntext\r\n--b--\r\n',
        ),
    ],
)
def test_a_form_without_a_picture_is_refused(client: httpx.Client, headers: dict[str, str], body: bytes) -> None:
    response = client.post("api/classify", content=body, headers=headers)
    assert code(response) == (422, "request_invalid")
    assert response.json()["remedy"].startswith("Send each picture as a file of the form")


@pytest.mark.parametrize("charset", ["idna", "undefined", "hex", "x-unknown", "utf-16", "\u00e9", "punycode"])
def test_the_charset_of_a_form_does_not_matter(client: httpx.Client, charset: str) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="p\xff"; filename="\xffa.png"\r\n\r\n'
    body += encoded(plain(RED), ".png") + b"\r\n--b--\r\n"
    kind = f"multipart/form-data; boundary=b; charset={charset}".encode("latin-1")
    answer = client.post("api/classify", content=body, headers={"Content-Type": kind})  # type: ignore[dict-item]
    assert answer.status_code == 200
    assert answer.json()[0]["top"][0]["label"] == "cat"


def test_a_form_that_takes_too_long_in_all_is_ended(start: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify_route, "FORM_S", 0.0)
    service = start()
    with service.client() as client:
        response = client.post("api/classify", files={"file": ("a.png", encoded(plain(RED), ".png"))})
    assert response.status_code == 408
    assert "fewer at once" in response.json()["remedy"]


def test_what_a_machine_without_room_answers_is_mended_by_itself(
    start: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    service, picture = start(), encoded(plain(RED), ".png")
    with service.client() as client:
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", refuse)
            assert code(client.post("api/classify", content=picture)) == (503, "decoder_unavailable")
        assert client.post("api/classify", content=picture).status_code == 200


def test_a_stop_does_not_wait_for_a_picture(start: StartService) -> None:
    service = start()
    with service.client() as client, ThreadPoolExecutor(2) as pool:
        assert client.post("api/classify", content=encoded(plain(RED), ".png")).status_code == 200
        sent = [pool.submit(client.post, "api/classify", content=endless()) for _ in range(2)]
        time.sleep(0.5)
        assert service.stop() < 5
        for future in sent:
            with contextlib.suppress(httpx.HTTPError):
                assert future.result().status_code == 503


@pytest.mark.parametrize("query", ["top=0", "top=x", "explain=maybe", "top=101"])
def test_wrong_parameters_are_named(client: httpx.Client, query: str) -> None:
    response = client.post(f"api/classify?{query}", content=encoded(plain(RED), ".png"))
    assert code(response) == (422, "request_invalid")
    assert query.partition("=")[0] in response.json()["detail"]


@pytest.mark.parametrize("name", ["others", "nonesuch", "../colours"])
def test_only_the_model_in_use_can_be_asked(client: httpx.Client, name: str) -> None:
    picture = encoded(plain(RED), ".png")
    assert code(client.post("api/classify", params={"model": name}, content=picture)) == (404, "unknown_model")
    assert client.post("api/classify?model=colours", content=picture).status_code == 200


def test_too_many_bytes_are_refused_when_they_are_announced(start: StartService) -> None:
    service = start({"upload.max_bytes": "20000"})
    with socket.create_connection(("127.0.0.1", service.port), 5) as connection:
        connection.sendall(b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20001\r\n\r\n")
        assert b"413" in connection.recv(4096)  # and no body was waited for


def test_too_many_bytes_are_refused_while_they_stream_in(start: StartService) -> None:
    service = start({"upload.max_bytes": "20000"})
    with socket.create_connection(("127.0.0.1", service.port), 5) as connection:
        connection.sendall(b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(21):
            connection.sendall(b"3e8\r\n" + bytes(1000) + b"\r\n")
        answer = connection.recv(4096)  # though the body goes on
    assert answer.startswith(b"HTTP/1.1 413")
    with service.client() as client:
        assert client.post("api/classify", content=iter([jpeg(64, 48)])).status_code == 200
    assert not service.services.uploads._free.locked()


def test_pixels_beyond_the_limit_are_refused(start: StartService) -> None:
    service = start({"upload.max_pixels": "10000"})
    with service.client() as client:
        assert client.post("api/classify", content=encoded(plain(RED, 100, 100), ".png")).status_code == 200
        response = client.post("api/classify", content=encoded(plain(RED, 101, 100), ".png"))
    assert code(response) == (413, "picture_too_large")


class _Held:
    """Holds classifications back until it is let go."""

    def __init__(self, service: Service) -> None:
        self.go, self.inside = threading.Event(), 0
        original = service.engine.model.classify

        def slow(*args, **more):
            self.inside += 1
            assert self.go.wait(20)
            return original(*args, **more)

        service.engine.model.classify = slow  # type: ignore[method-assign]


def test_beyond_the_pool_some_wait_and_the_rest_come_back_later(
    start: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_WAITING", 2)
    monkeypatch.setattr(uploads, "WAIT_S", 2.0)
    service = start({"upload.max_concurrent": "2"})
    held, picture = _Held(service), encoded(plain(RED), ".png")

    def post(_: int) -> httpx.Response:
        with service.client() as client:
            return client.post("api/classify", content=picture)

    with ThreadPoolExecutor(8) as pool:
        first = [pool.submit(post, index) for index in range(2 + uploads.AHEAD)]
        wait_until(lambda: held.inside == 2 and service.services.uploads._free.locked())
        waiting = [pool.submit(post, index) for index in range(2)]
        wait_until(lambda: service.services.uploads._waiting == 2)
        started = time.monotonic()
        refused = [post(index) for index in range(3)]
        assert time.monotonic() - started < 2 * len(refused)  # at once, not after the wait of each
        for response in refused:
            assert code(response) == (429, "too_busy")
            assert int(response.headers["retry-after"]) > 0
        late = [future.result() for future in waiting]
        assert [code(response) for response in late] == [(429, "too_busy")] * 2
        held.go.set()
        assert {future.result().status_code for future in first} == {200}
        assert post(0).status_code == 200


def test_a_waiting_request_gets_the_next_free_place(start: StartService) -> None:
    service = start({"upload.max_concurrent": "1"})
    held, picture = _Held(service), encoded(plain(RED), ".png")

    def post() -> int:
        with service.client() as client:
            return client.post("api/classify", content=picture).status_code

    with ThreadPoolExecutor(4) as pool:
        first = [pool.submit(post) for _ in range(1 + uploads.AHEAD)]
        wait_until(service.services.uploads._free.locked)
        second = pool.submit(post)
        wait_until(lambda: service.services.uploads._waiting == 1)
        wait_until(lambda: held.inside == 1)
        held.go.set()
        assert [future.result() for future in (*first, second)] == [200] * (2 + uploads.AHEAD)


def test_the_next_body_comes_in_while_the_pool_works(start: StartService) -> None:
    service = start({"upload.max_concurrent": "1"})
    held = _Held(service)
    with ThreadPoolExecutor(1) as pool, service.client() as client:
        first = pool.submit(client.post, "api/classify", content=encoded(plain(RED), ".png"))
        wait_until(lambda: held.inside == 1)
        with _announced(service) as connection:
            connection.settimeout(5)
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
        held.go.set()
        assert first.result().status_code == 200


def test_the_body_of_a_waiting_request_is_not_read(start: StartService) -> None:
    service = start({"upload.max_concurrent": "1"})
    held = _Held(service)

    def post(_: int) -> int:
        with service.client() as client:
            return client.post("api/classify", content=encoded(plain(RED), ".png")).status_code

    with ThreadPoolExecutor(2) as pool:
        first = [pool.submit(post, index) for index in range(1 + uploads.AHEAD)]
        wait_until(lambda: held.inside == 1 and service.services.uploads._free.locked())
        with _announced(service) as connection:
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(100)  # not even asked to send it
            held.go.set()
            connection.settimeout(5)
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
        assert [future.result() for future in first] == [200] * len(first)
    wait_until(lambda: not service.services.uploads._free.locked())  # though the sender left half-way


def _announced(service: Service) -> socket.socket:
    """A connection that says that it will send a picture when it is asked to."""
    connection = socket.create_connection(("127.0.0.1", service.port), 5)
    connection.sendall(
        b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    )
    return connection


def test_a_body_that_trickles_in_loses_its_place(start: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "CHUNK_S", 0.2)
    service = start()
    with socket.create_connection(("127.0.0.1", service.port), 5) as connection:
        connection.sendall(b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")


def test_without_a_running_model_the_reason_is_reported(start: StartService) -> None:
    service = start({"model.name": "misfit"})
    with service.client() as client:
        response = client.post("api/classify", content=encoded(plain(RED), ".png"))
        assert code(response) == (422, "model_rejected")
        assert "3 values" in response.json()["detail"]
        assert code(client.get("readyz")) == (503, "not_ready")
        assert client.get("healthz").status_code == 200
        assert client.get("api/state").json()["status"] == "failed"
