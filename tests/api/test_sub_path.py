"""Behind a proxy under a sub-path, whether the proxy strips it or not; and through a real one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.api.conftest import Service, StartService, wait_until
from tests.requires import requires
from tests.support.ports import free_port


@pytest.fixture
def below(start: StartService) -> Service:
    service = start({"server.root_path": "/lookout"})
    wait_until(lambda: service.state()["status"] == "ok")
    return service


@pytest.mark.parametrize("prefix", ["", "lookout/"])
def test_every_kind_of_address_works_stripped_and_whole(below: Service, prefix: str) -> None:
    with below.client() as client:
        for path in ("", "static/main.js", "api/state", "api/snapshot.jpg", "healthz", "login", "api/docs"):
            assert client.get(prefix + path).status_code == 200, path
        assert client.get(f"{prefix}api/nothing").status_code == 404
        assert client.put(f"{prefix}api/paused", json=False).status_code == 200
        assert client.get(f"{prefix}openapi.json").json()["servers"] == [{"url": "/lookout"}]


@pytest.mark.parametrize("prefix", ["", "lookout/"])
async def test_the_socket_works_stripped_and_whole(below: Service, prefix: str) -> None:
    async with connect(f"ws://127.0.0.1:{below.port}/{prefix}api/live") as connection:
        assert json.loads(await connection.recv())["type"] == "state"


async def test_a_socket_at_the_bare_sub_path_is_refused_in_words_and_not_in_the_log(
    below: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(f"ws://127.0.0.1:{below.port}/lookout") as connection:
        problem = json.loads(await connection.recv())
    assert problem["status"] == 404
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_the_sub_path_without_its_slash_leads_to_the_page(below: Service) -> None:
    with below.client() as client:
        response = client.get("lookout")
    assert (response.status_code, response.headers["location"]) == (307, "/lookout/")


@pytest.mark.parametrize("prefix", ["", "lookout/"])
def test_the_cookie_is_only_for_the_sub_path(below: Service, prefix: str) -> None:
    _, token = below.tokens.create("test")
    with below.client() as client:
        assert client.get(f"{prefix}api/state").status_code == 401
        assert client.get(prefix).status_code == 401
        cookie = client.post(f"{prefix}api/login", json={"token": token}).headers["set-cookie"]
    assert "Path=/lookout;" in cookie + ";"


@pytest.mark.parametrize("path", ["lookouts/api/state", "lookout/lookout/lookout/api/state", "other/api/state"])
def test_similar_paths_are_not_taken_for_it(below: Service, path: str) -> None:
    with below.client() as client:
        assert client.get(path).status_code == 404


CONFIG = """
daemon off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 20m;
    location /lookout/ {{
      proxy_pass http://127.0.0.1:{upstream}{slash};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $http_connection;
    }}
  }}
}}
"""


@pytest.fixture(params=["/", ""], ids=["stripping", "not stripping"])
def proxied(request: pytest.FixtureRequest, below: Service, tmp_path: Path) -> Iterator[str]:
    """The address of the service behind nginx."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    port, config = free_port(), folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, upstream=below.port, slash=request.param))
    command = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin") or "nginx"
    process = subprocess.Popen([command, "-c", str(config)], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/lookout/"
    try:
        wait_until(lambda: _answers(url))
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}healthz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


@requires("nginx")
async def test_through_nginx_everything_arrives_and_nothing_is_held_back(proxied: str, below: Service) -> None:
    own = proxied.removesuffix("/lookout/")
    token = {"Authorization": f"Bearer {below.tokens.create('test')[1]}"}
    address = proxied.replace("http", "ws") + "api/live?picture=64"
    async with connect(address, origin=own, additional_headers=token) as connection:
        kinds = {type(await connection.recv()) for _ in range(6)}
    assert kinds == {str, bytes}
    async with httpx.AsyncClient(base_url=proxied, headers={"Origin": own, **token}) as client:
        assert (await client.put("api/paused", json=False)).status_code == 200
        async with client.stream("GET", "api/stream.mjpg?width=64") as response:
            chunks = response.aiter_raw()
            for _ in range(4):
                assert await anext(chunks)  # a buffering proxy would wait for 4 kB and more
        async with client.stream("GET", "api/live.sse") as response:
            assert await anext(response.aiter_raw())
        page = await client.get("")
        assert page.status_code == 200
        assert re.search(r'href="static/[0-9a-f]{12}/style.css"', page.text)
