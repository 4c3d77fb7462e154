"""The nginx lines of README.md, tried with a real nginx in front of the real service."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import cv2
import numpy as np
import pytest

from tests.requires import requires

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0

_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_buffer_size 16m;  # its workers may not enter the folders of tests
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _get(address: str | urllib.request.Request, timeout: float = 5) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if _get(address)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"nothing answers at {address}:\n{log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the dashboard behind nginx, at a sub-path."""
    folder = tmp_path_factory.mktemp("proxy")
    folder.chmod(0o755)
    port, front = _free_port(), _free_port()
    block = re.search(r"```nginx\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block, "README.md has no nginx lines"
    location = block[1].replace("127.0.0.1:8642", f"127.0.0.1:{port}")
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=front, location=location))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOOKOUT_SERVER")}
    environment |= {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("STATE", "CACHE", "CONFIG")}
    environment["PYTHONPATH"] = str(ROOT)
    flags = ["--server.port", str(port), "--server.root_path", "/lookout"]
    with (folder / "log").open("wb") as log:
        service = subprocess.Popen(
            [sys.executable, "-m", "lookout", "demo", *flags], cwd=folder, env=environment, stdout=log, stderr=log
        )
        nginx = subprocess.Popen(
            [shutil.which("nginx") or "/usr/sbin/nginx", "-p", folder, "-c", folder / "nginx.conf"],
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(f"http://127.0.0.1:{front}/lookout/readyz", service, folder / "log")
        yield f"http://127.0.0.1:{front}/lookout/"
    finally:
        for process in (nginx, service):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


@requires("nginx")
def test_the_page_and_all_it_names_come_through_the_sub_path(proxied: str) -> None:
    status, page = _get(proxied)
    assert status == 200
    named = [name for name in re.findall(r'(?:src|href)="([^"#]+)"', page.decode()) if ":" not in name]
    assert named
    for name in named:
        assert urljoin(proxied, name).startswith(proxied), f"{name} leaves the sub-path"
        assert _get(urljoin(proxied, name))[0] in (200, 503), name  # 503: a snapshot before the first frame


@requires("nginx")
def test_the_state_comes_through_the_sub_path(proxied: str) -> None:
    status, body = _get(f"{proxied}api/state")
    assert (status, json.loads(body)["type"]) == (200, "state")


@requires("nginx")
def test_the_websocket_comes_through_the_sub_path(proxied: str) -> None:
    from websockets.asyncio.client import connect

    async def first_two() -> list[int]:
        address = proxied.replace("http", "ws", 1) + "api/live"
        async with connect(address, origin=_origin(proxied), proxy=None) as connection:
            return [json.loads(await asyncio.wait_for(connection.recv(), 5))["sequence"] for _ in range(2)]

    sequences = asyncio.run(first_two())
    assert sequences[0] <= sequences[1]


@requires("nginx")
def test_a_photograph_of_several_megabytes_comes_through(proxied: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1200, 1600, 3), np.uint8)
    picture = cv2.imencode(".png", noise)[1].tobytes()
    assert len(picture) > 5e6
    status, body = _get(urllib.request.Request(f"{proxied}api/classify", picture))
    assert (status, json.loads(body)["width"]) == (200, 1600)


@requires("nginx")
def test_states_are_not_held_back_by_buffering(proxied: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{proxied}api/live.sse", timeout=5) as answer:
        began = time.monotonic()
        events = 0
        while events < 3:
            events += answer.readline().startswith(b"data:")
        assert time.monotonic() - began < 5


def _origin(address: str) -> str:
    return "/".join(address.split("/")[:3])
