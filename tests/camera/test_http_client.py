"""The one way to ask web servers: logins, redirects, certificates, deadlines, bounded answers."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from urllib.request import parse_http_list, parse_keqv_list

import pytest
from lookout.camera.sources import connection
from lookout.camera.sources.http_client import HttpClient
from lookout.deadline import Deadline
from lookout.errors import CameraAbsent, CameraDenied, CameraError, CameraSilent, CameraUnsupported

from tests.camera import servers
from tests.requires import requires
from tests.support.ports import free_port

PASSWORD = "s:cr/t?%"
SPELT = "s%3Acr%2Ft%3F%25"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def got(address: str, seconds: float = 3.0) -> bytes:
    client = HttpClient(address)
    response = client.get(Deadline.after(seconds))
    data = response.read_all(1000, Deadline.after(seconds))
    client.keep(response)
    client.close()
    return data


def locked(challenge: bytes, algorithm: str = "md5", *, qop: bool = True) -> servers.Handler:
    """A server that wants the digest of ann's password, reckoned as RFC 7616 has it."""

    def digest(*parts: str) -> str:
        return hashlib.new(algorithm, ":".join(parts).encode()).hexdigest()

    def right(request: bytes) -> bool:
        found = re.search(rb"Authorization: Digest (.*)\r\n", request)
        if found is None:
            return False
        given = parse_keqv_list(parse_http_list(found[1].decode()))
        first, second = digest("ann", given["realm"], PASSWORD), digest("GET", given["uri"])
        middle = (given["nc"], given["cnonce"], given["qop"]) if qop else ()
        return given["response"] == digest(first, given["nonce"], *middle, second)

    def handle(line: socket.socket, _: threading.Event, request: bytes) -> None:
        line.sendall(OK if right(request) else b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n" + challenge + b"\r\n")

    return servers.each_request(handle)


@pytest.mark.parametrize(
    ("challenge", "algorithm", "qop"),
    [
        (b'WWW-Authenticate: Digest realm="a, \\"b\\"", nonce="n1", qop="auth"\r\n', "md5", True),
        (b'WWW-Authenticate: Digest realm="cam", nonce="n1"\r\n', "md5", False),
        (b'WWW-Authenticate: Digest realm="c", nonce="n", qop="auth,auth-int", algorithm=SHA-256\r\n', "sha256", True),
        (
            b'WWW-Authenticate: Digest realm="c", nonce="n", qop="auth", algorithm=MD5\r\n'
            b'WWW-Authenticate: Digest realm="c", nonce="n", qop="auth", algorithm=SHA-256, opaque="x"\r\n',
            "sha256",
            True,
        ),
        (b'WWW-Authenticate: Basic realm="c", Digest realm="c", nonce="n", qop="auth"\r\n', "md5", True),
    ],
)
def test_digest_logins_are_answered_the_strongest_first(challenge: bytes, algorithm: str, qop: bool) -> None:
    """OctoPrint/OctoPrint#4931, home-assistant#28166: a camera with digest was "401" for classify."""
    with servers.serving(locked(challenge, algorithm, qop=qop)) as server:
        assert got(f"http://ann:{SPELT}@127.0.0.1:{server.port}/snap.cgi?channel=1") == b"hello"
        assert all(PASSWORD.encode() not in request for request in server.requests)


def test_a_wrong_password_is_tried_once_and_said() -> None:
    with servers.serving(locked(b'WWW-Authenticate: Digest realm="c", nonce="n", qop="auth"\r\n')) as server:
        with pytest.raises(CameraDenied, match="refuses the user name or password") as raised:
            got(f"http://ann:wrong-word@127.0.0.1:{server.port}/")
        assert "wrong-word" not in str(raised.value)
        assert sum(b"Authorization" in request for request in server.requests) == 1


def test_a_login_nobody_knows_here_is_named() -> None:
    challenge = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nWWW-Authenticate: NTLM\r\nWWW-Authenticate: Negotiate\r\n\r\n"
    with (
        servers.answering(challenge) as server,
        pytest.raises(CameraDenied, match=r"in an unknown way \(ntlm, negotiate\)"),
    ):
        got(f"http://ann:{SPELT}@127.0.0.1:{server.port}/")


def test_one_connection_serves_many_requests_and_the_login_is_asked_for_once() -> None:
    with servers.serving(locked(b'WWW-Authenticate: Digest realm="c", nonce="n", qop="auth"\r\n')) as server:
        client = HttpClient(f"http://ann:{SPELT}@127.0.0.1:{server.port}/")
        for _ in range(5):
            response = client.get(Deadline.after(3))
            assert response.read_all(100, Deadline.after(3)) == b"hello"
            client.keep(response)
        client.close()
        assert len(server.requests) == 6
        assert server.connections <= 2


def test_a_redirect_elsewhere_takes_no_password_along() -> None:
    with servers.answering(OK) as other:
        moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/x\r\nContent-Length: 0\r\n\r\n" % other.port
        basic = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="c"\r\nContent-Length: 0\r\n\r\n'

        def handle(line: socket.socket, _: threading.Event, request: bytes) -> None:
            line.sendall(moved if b"Authorization: Basic" in request else basic)

        with servers.serving(servers.each_request(handle)) as server:
            assert got(f"http://ann:{SPELT}@127.0.0.1:{server.port}/") == b"hello"
        assert b"Authorization" not in b"".join(other.requests)


def test_a_redirect_to_a_locked_place_elsewhere_is_reported_and_one_at_home_logs_in() -> None:
    with servers.answering(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n\r\n") as other:
        moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/x\r\n\r\n" % other.port
        with servers.answering(moved) as server, pytest.raises(CameraDenied, match="and gets none"):
            got(f"http://ann:{SPELT}@127.0.0.1:{server.port}/")
        assert b"Authorization" not in b"".join(other.requests)

    def handle(line: socket.socket, _: threading.Event, request: bytes) -> None:
        if request.startswith(b"GET /new"):
            line.sendall(OK if b"Authorization" in request else b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        else:
            line.sendall(b"HTTP/1.1 301 Gone\r\nLocation: /new?x=1\r\nContent-Length: 0\r\n\r\n")

    with servers.serving(servers.each_request(handle)) as server:
        assert got(f"http://ann:{SPELT}@127.0.0.1:{server.port}/old") == b"hello"


@pytest.mark.parametrize("target", [b"/", b"/a", b"rtsp://cam/live", b"http://[", b"\x1b[2J", b"//", b"javascript:1"])
def test_redirects_that_lead_nowhere_get_a_sentence(target: bytes) -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % target
    with servers.answering(answer) as server, pytest.raises(CameraUnsupported) as raised:
        got(f"http://127.0.0.1:{server.port}/")
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.0 200 OK\n\nhello", b"hello"),
        (b"ICY 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"hello"),
        (b"HTTP/1.1 200\r\nbroken line\r\nContent-Length: x\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", b"hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhello", b"hello"),
        (b"\xff\xd8 at once", b"\xff\xd8 at once"),
    ],
)
def test_little_is_asked_of_an_answer(answer: bytes, body: bytes) -> None:
    with servers.answering(answer) as server:
        assert got(f"http://127.0.0.1:{server.port}/") == body


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"RTSP/1.0 400 Bad\r\n\r\n", b"HTTP/1.1 " * 9000])
def test_what_is_not_http_is_reported(answer: bytes) -> None:
    with servers.answering(answer) as server, pytest.raises(CameraUnsupported, match="does not speak HTTP"):
        got(f"http://127.0.0.1:{server.port}/")


@pytest.mark.parametrize("piece", [b"", b"x", b"HTTP/1.1 200 OK\r\nX: y\r\n"])
def test_silence_and_dripping_end_by_the_deadline(piece: bytes) -> None:
    def drip(line: socket.socket, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            line.sendall(piece)

    with servers.serving(drip) as server:
        begun = time.monotonic()
        with pytest.raises((CameraSilent, CameraUnsupported)):
            got(f"http://127.0.0.1:{server.port}/", 0.5)
        assert time.monotonic() - begun < 3


def test_an_endless_answer_is_cut() -> None:
    def flood(line: socket.socket, stop: threading.Event) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stop.is_set():
            line.sendall(b"x" * 4096)

    with servers.serving(flood) as server:
        assert len(got(f"http://127.0.0.1:{server.port}/")) == 1001


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a camera with a certificate of its own making."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-keyout", str(folder / "key"), "-out", str(folder / "crt")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=camera"]
    subprocess.run([*command, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")

    def handle(line: socket.socket, _: threading.Event) -> None:
        with context.wrap_socket(line, server_side=True) as safe:
            safe.recv(4096)
            safe.sendall(OK)

    with servers.serving(handle, reads=False) as server:
        yield server.port


@requires("openssl")
def test_a_cameras_own_certificate_is_accepted_at_home_and_said(certified: int) -> None:
    client = HttpClient(f"https://127.0.0.1:{certified}/")
    response = client.get(Deadline.after(5))
    assert response.read_all(100, Deadline.after(5)) == b"hello"
    response.close()
    assert client.doubts == [
        "The certificate of 127.0.0.1 is signed by the camera itself, so what it sends may come from somebody else."
    ]


@requires("openssl")
def test_across_the_internet_it_is_refused_in_plain_words(certified: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_is_public", lambda _: True)
    with pytest.raises(CameraUnsupported, match="is signed by the camera itself") as raised:
        HttpClient(f"https://127.0.0.1:{certified}/").get(Deadline.after(5))
    assert "SSL" not in str(raised.value)
    client = HttpClient(f"https://127.0.0.1:{certified}/", any_certificate=True)
    response = client.get(Deadline.after(5))
    response.close()
    assert response.status == 200


def test_a_plain_server_at_a_tls_address_is_reported() -> None:
    with servers.answering(OK) as server, pytest.raises(CameraError, match="does not speak TLS"):
        got(f"https://127.0.0.1:{server.port}/")


def test_the_second_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    with servers.answering(OK) as server:
        closed, kind = free_port(), socket.SOCK_STREAM

        def both(*_: object, **__: object) -> list[object]:
            return [entry for port in (closed, server.port) for entry in real("127.0.0.1", port, type=kind)]

        monkeypatch.setattr(connection.socket, "getaddrinfo", both)
        assert got(f"http://camera.lan:{server.port}/") == b"hello"
    monkeypatch.undo()
    with pytest.raises(CameraAbsent, match="Nothing listens"):
        got(f"http://127.0.0.1:{closed}/")
