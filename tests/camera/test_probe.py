"""The probe: why a stream does not open, in one sentence, by the deadline."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from lookout.camera import create
from lookout.camera.interface import CameraOptions
from lookout.camera.sources import connection
from lookout.camera.sources.probe import reason
from lookout.deadline import Deadline
from lookout.errors import CameraAbsent, CameraDenied, CameraError, CameraSilent, CameraUnsupported

from tests.camera import servers
from tests.support.ports import free_port


def why(address: str) -> CameraError:
    """RTSP is probed after FFmpeg has failed, HTTP is spoken by ourselves."""
    if address.startswith("rtsp"):
        return reason(address, Deadline.after(2))
    camera = create(address, CameraOptions(), isolated=False)
    with pytest.raises(CameraError) as raised:
        camera.open(Deadline.after(3))
    return raised.value


def test_a_login_that_ffmpeg_does_not_know_is_not_a_wrong_password() -> None:
    answer = b'RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: NTLM realm="cam"\r\n\r\n'
    with servers.answering(answer) as server:
        error = reason(f"rtsp://cat:m1aow-m1aow@127.0.0.1:{server.port}/x", Deadline.after(2))
    assert type(error) is CameraDenied
    assert "in an unknown way (ntlm)" in error.detail


@pytest.mark.parametrize(
    ("scheme", "answer", "kind", "words"),
    [
        ("rtsp", b"RTSP/1.0 401 Unauthorized\r\n\r\n", CameraDenied, "asks for a user name"),
        ("rtsp", b"RTSP/1.0 404 Not Found\r\n\r\n", CameraAbsent, "knows no such path"),
        ("rtsp", b"RTSP/1.0 503 Service Unavailable\r\n\r\n", CameraError, "error 503"),
        ("rtsp", b"RTSP/1.0 200 OK\r\n\r\nv=0\r\n", CameraUnsupported, "no video that can be decoded"),
        ("rtsp", b"HTTP/1.1 400 Bad Request\r\n\r\n", CameraUnsupported, "does not speak RTSP"),
        ("rtsp", b"SSH-2.0-OpenSSH_9.2\r\n", CameraUnsupported, "does not speak RTSP"),
        ("rtsp", b"", CameraUnsupported, "does not speak RTSP"),
        ("http", b"HTTP/1.1 401 Unauthorized\r\n\r\n", CameraDenied, "asks for a user name"),
        ("http", b"HTTP/1.1 403 Forbidden\r\n\r\n", CameraDenied, "asks for a user name"),
        ("http", b"HTTP/1.1 404 Not Found\r\n\r\n", CameraAbsent, "knows no such path"),
        ("http", b"HTTP/1.1 500 Oh\r\n\r\n", CameraError, "error 500"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n", CameraUnsupported, "The picture is empty"),
        ("http", b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n", CameraUnsupported, "is a web page"),
        ("http", b"HTTP/1.1 200 OK\r\n\r\n", CameraUnsupported, "no video that can be decoded"),
        ("https", b"HTTP/1.1 200 OK\r\n\r\n", CameraUnsupported, "does not speak TLS"),
    ],
)
def test_each_answer_has_its_sentence(scheme: str, answer: bytes, kind: type[CameraError], words: str) -> None:
    with servers.answering(answer) as server:
        error = why(f"{scheme}://127.0.0.1:{server.port}/x")
    assert type(error) is kind
    assert words in error.detail
    assert error.remedy


def test_a_wrong_password_differs_from_a_missing_one_and_is_not_sent_again() -> None:
    with servers.answering(b"RTSP/1.0 401 Unauthorized\r\n\r\n") as server:
        error = reason(f"rtsp://cat:m1aow-m1aow@127.0.0.1:{server.port}/x", Deadline.after(2))
        assert b"m1aow" not in server.requests[0]
    assert "refuses the user name or password" in error.detail
    assert "m1aow" not in str(error)


def test_nothing_listening_is_absent() -> None:
    error = reason(f"rtsp://127.0.0.1:{free_port()}/x", Deadline.after(2))
    assert type(error) is CameraAbsent
    assert "Nothing listens" in error.detail


def test_silence_is_reported_by_the_deadline() -> None:
    with servers.silent() as server:
        begun = time.monotonic()
        error = reason(f"http://127.0.0.1:{server.port}/x", Deadline.after(0.6))
        assert time.monotonic() - begun < 2.5
    assert type(error) is CameraSilent


def test_one_byte_at_a_time_does_not_outlast_the_deadline() -> None:
    def drip(connection: socket.socket, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            connection.sendall(b"x")

    with servers.serving(drip) as server:
        begun = time.monotonic()
        error = reason(f"http://127.0.0.1:{server.port}/x", Deadline.after(0.6))
        assert time.monotonic() - begun < 2.5
    assert isinstance(error, CameraError)


def test_an_endless_answer_is_cut() -> None:
    def flood(connection: socket.socket, stop: threading.Event) -> None:
        while not stop.is_set():
            connection.sendall(b"x" * 4096)

    with servers.serving(flood) as server:
        assert type(reason(f"http://127.0.0.1:{server.port}/x", Deadline.after(2))) is CameraUnsupported


def test_an_unknown_host_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(connection.socket, "getaddrinfo", unknown)
    error = reason("rtsp://no-such-camera.local/x", Deadline.after(2))
    assert type(error) is CameraAbsent
    assert "no-such-camera.local is not known" in error.detail


def test_a_name_server_that_does_not_answer_is_reported_by_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def never(*_: object, **__: object) -> None:
        release.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(connection.socket, "getaddrinfo", never)
    begun = time.monotonic()
    error = reason("rtsp://camera.local/x", Deadline.after(0.6))
    release.set()
    assert time.monotonic() - begun < 2.5
    assert type(error) is CameraSilent
    assert "name server" in error.detail


def test_an_unreachable_network_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(connection.socket.socket, "connect", unreachable)
    error = reason("rtsp://192.0.2.1/x", Deadline.after(1))
    assert type(error) is CameraAbsent
    assert "No route to host" in error.detail
