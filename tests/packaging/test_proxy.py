"""Real proxies before the real service: as docs/proxies.md sets them up, and a fresh install behind a careless one.

nginx comes with the tests; the others are tried where they are installed.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import cv2
import numpy as np
import pytest
import yaml

from tests.packaging.proxies import ALL, NGINX, ROOT, Proxy, stop
from tests.requires import requires
from tests.support.ports import free_port

START_S = 60.0
TOKEN = "a-token-that-a-test-made-up"
_BEARER = {"Authorization": f"Bearer {TOKEN}"}
PROXIES = [
    pytest.param(proxy, id=proxy.name, marks=requires("nginx") if proxy is NGINX else ())
    for proxy in ALL
    if proxy is NGINX or proxy.path
]


def _ask(
    address: str, body: bytes | None = None, method: str | None = None, timeout: float = 5, **headers: str
) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with opener.open(urllib.request.Request(address, body, named, method=method), timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if _ask(address)[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.1)
    raise AssertionError(f"nothing answers at {address}:\n{log.read_text(errors='replace')[-2000:]}")


@contextmanager
def _serving(folder: Path, root_path: str, *flags: str) -> Iterator[int]:
    """The demo; yields its port."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOOKOUT_SERVER")}
    environment |= {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("STATE", "CACHE", "CONFIG")}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "lookout", "demo", "--server.port", str(port), "--server.root_path", root_path]
    with (folder / "log").open("wb") as log:
        service = subprocess.Popen([*command, *flags], cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}{root_path}/readyz", service, folder / "log")
        yield port
    finally:
        stop(service)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A service for which nobody has made a token yet."""
    with _serving(tmp_path_factory.mktemp("fresh"), "") as port:
        yield port


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A service with a token, at the sub-path of the documentation."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "token").write_text(TOKEN)
    allowed = ("--server.token_file", str(folder / "token"), "--server.allowed_hosts", "home.example")
    with _serving(folder, "/lookout", *allowed) as port:
        yield port


@dataclass(frozen=True)
class Site:
    """address: of the dashboard behind the proxy, with a slash at its end."""

    proxy: Proxy
    port: int
    address: str


@contextmanager
def _in_front(proxy: Proxy, folder: Path, service: int, block: str, path: str) -> Iterator[Site]:
    folder.chmod(0o755)
    port = free_port()
    process = proxy.start(folder, port, service, block)
    try:
        _wait_for(f"http://127.0.0.1:{port}{path}readyz", process, folder / "log")
        yield Site(proxy, port, f"http://127.0.0.1:{port}{path}")
    finally:
        stop(process)


@pytest.fixture(scope="module", params=PROXIES)
def careless(request: pytest.FixtureRequest, fresh: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A fresh install behind the shortest configuration."""
    proxy: Proxy = request.param
    with _in_front(proxy, tmp_path_factory.mktemp(proxy.name), fresh, proxy.careless, "/") as site:
        yield site


@pytest.fixture(scope="module", params=PROXIES)
def proxied(request: pytest.FixtureRequest, guarded: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service with a token behind the documented configuration."""
    proxy: Proxy = request.param
    with _in_front(proxy, tmp_path_factory.mktemp(proxy.name), guarded, proxy.documented(), "/lookout/") as site:
        yield site


def test_a_fresh_install_behind_a_careless_proxy_lets_no_stranger_in(careless: Site) -> None:
    for path in ("", "api/state", "api/snapshot.jpg", "api/stream.mjpg", "api/live.sse", "api/settings", "api/docs"):
        assert _ask(careless.address + path)[0] == 401, path
    for method, path, body in (
        ("PUT", "api/paused", b"true"),
        ("PATCH", "api/settings", b"{}"),
        ("POST", "api/classify", b""),
    ):
        assert _ask(careless.address + path, body, method, Content_Type="application/json")[0] == 401, path
    assert "Make a token before you set up a proxy" in json.loads(_ask(f"{careless.address}api/state")[1])["remedy"]


def test_a_stranger_cannot_pass_for_somebody_on_the_machine(careless: Site) -> None:
    if careless.proxy.name == "haproxy" and os.geteuid() != 0:
        pytest.skip("HAProxy says nothing of itself: its account gives it away, and as root it can be given one")
    for host in ("localhost", "127.0.0.1", f"localhost:{careless.port}"):
        status, body = _ask(
            f"{careless.address}api/state", Host=host
        )  # Caddy: an empty 200 for names it has no site of
        assert status in (401, 403) or not body, host
    assert _ask(f"{careless.address}api/state", X_Forwarded_For="127.0.0.1")[0] == 401


def test_traefiks_documented_router_leads_to_the_service() -> None:
    """Debian has no Traefik to run: its file is read, and every name in it must be that of a part of it."""
    text = (ROOT / "docs/proxies.md").read_text("utf-8")
    (block,) = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if block.startswith("http:")]
    http_part = yaml.safe_load(block)["http"]
    (router,) = http_part["routers"].values()
    assert re.fullmatch(r"Host\(`[a-z.]+`\) && PathPrefix\(`/[a-z]+`\)", router["rule"])
    (server,) = http_part["services"][router["service"]]["loadBalancer"]["servers"]
    assert server == {"url": "http://127.0.0.1:8642"}
    assert set(http_part) == {"routers", "services"}  # Traefik passes Host, path and WebSockets on by itself


def test_the_documented_lines_let_nobody_in_without_the_token(proxied: Site) -> None:
    assert _ask(f"{proxied.address}api/state")[0] == 401
    assert _ask(proxied.address)[0] == 401


def test_the_page_and_all_it_names_come_through_the_sub_path(proxied: Site) -> None:
    for entry in (proxied.address, proxied.address.rstrip("/")):
        status, page = _ask(entry, **_BEARER)
        assert status == 200
    named = [name for name in re.findall(r'(?:src|href)="([^"#]+)"', page.decode()) if ":" not in name]
    assert named
    for name in named:
        found = urljoin(proxied.address, name)
        assert found.startswith(proxied.address), f"{name} leaves the sub-path"
        assert _ask(found, **_BEARER)[0] in (200, 503), name  # 503: a snapshot before the first frame


def test_a_browser_logs_in_and_its_cookie_stays_in_the_sub_path(proxied: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxied.port, timeout=5)
    origin = f"http://127.0.0.1:{proxied.port}"
    headers = {"Content-Type": "application/json", "Origin": origin}
    connection.request("POST", "/lookout/api/login", json.dumps({"token": TOKEN}), headers)
    answer = connection.getresponse()
    cookie = answer.headers["Set-Cookie"]
    assert answer.status == 200, answer.read()
    assert "Path=/lookout" in cookie
    assert _ask(f"{proxied.address}api/state", Cookie=cookie.partition(";")[0])[0] == 200
    connection.close()


def test_the_state_comes_through_the_sub_path(proxied: Site) -> None:
    status, body = _ask(f"{proxied.address}api/state", **_BEARER)
    assert (status, json.loads(body)["type"]) == (200, "state")


def test_the_websocket_comes_through_the_sub_path(proxied: Site) -> None:
    from websockets.asyncio.client import connect

    async def first_two() -> list[int]:
        address = proxied.address.replace("http", "ws", 1) + "api/live"
        origin = f"http://127.0.0.1:{proxied.port}"
        async with connect(address, origin=origin, additional_headers=_BEARER, proxy=None) as connection:
            return [json.loads(await asyncio.wait_for(connection.recv(), 5))["sequence"] for _ in range(2)]

    sequences = asyncio.run(first_two())
    assert sequences[0] <= sequences[1]


def test_a_photograph_of_several_megabytes_comes_through(proxied: Site) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1200, 1600, 3), np.uint8)
    picture = cv2.imencode(".png", noise)[1].tobytes()
    assert len(picture) > 5e6
    status, body = _ask(f"{proxied.address}api/classify", picture, timeout=20, **_BEARER)
    assert (status, json.loads(body)["width"]) == (200, 1600)


@pytest.mark.parametrize(("path", "sign"), [("api/live.sse", b"data:"), ("api/stream.mjpg", b"--lookoutframe")])
def test_what_has_no_end_is_not_held_back_by_buffering(proxied: Site, path: str, sign: bytes) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(proxied.address + path, headers=_BEARER)
    with opener.open(request, timeout=5) as answer:
        began = time.monotonic()
        seen = 0
        while seen < 3:
            seen += answer.readline().startswith(sign)
        assert time.monotonic() - began < 5
