"""The container's health check: right about a service that is well, one that is not, and one that speaks TLS."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from lookout import healthcheck

from tests.requires import requires


class Healthz(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(status: int, certificate: Path | None = None) -> Iterator[int]:
    """Its port."""
    server = HTTPServer(("127.0.0.1", 0), type("Answering", (Healthz,), {"status": status}))
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def check(port: int, **more: str) -> tuple[int, str]:
    """Exit status and words, in the environment of a container."""
    done = subprocess.run(
        [sys.executable, "-m", "lookout.healthcheck"],
        env={"LOOKOUT_SERVER__PORT": str(port), "http_proxy": "http://127.0.0.1:9/", **more},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stderr.strip()


def test_who_is_well_passes() -> None:
    with serving(200) as port:
        assert check(port) == (0, "")


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, "http://127.0.0.1:8642/healthz"),
        ({"LOOKOUT_SERVER__HOST": "0.0.0.0", "LOOKOUT_SERVER__PORT": ""}, "http://127.0.0.1:8642/healthz"),
        ({"LOOKOUT_SERVER__HOST": "192.0.2.2", "LOOKOUT_SERVER__PORT": "9"}, "http://192.0.2.2:9/healthz"),
        ({"LOOKOUT_SERVER__HOST": "::"}, "http://[::1]:8642/healthz"),
    ],
)
def test_it_asks_where_the_service_listens(environ: dict[str, str], asked: str) -> None:
    assert healthcheck.address(environ) == asked


def test_who_is_not_well_or_not_there_fails_with_a_sentence() -> None:
    with serving(503) as port:
        assert check(port) == (1, "The service is not healthy: HTTP Error 503: Service Unavailable")
    code, words = check(port)
    assert code == 1
    assert "refused" in words


@requires("openssl")
def test_under_tls_it_asks_with_tls_whatever_name_the_certificate_has(tmp_path: Path) -> None:
    key, certificate, both = tmp_path / "key", tmp_path / "certificate", tmp_path / "both"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=cats.example"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    with serving(200, both) as port:
        assert check(port, LOOKOUT_SERVER__TLS_CERTIFICATE=str(both)) == (0, "")
        assert check(port)[0] == 1
