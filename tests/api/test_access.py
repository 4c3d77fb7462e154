"""Who gets in: tokens, logins, names and origins; and what every answer says about itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import subprocess
from typing import Any

import httpx
import pytest
from lookout.auth.names import HostNames, is_loopback
from lookout.auth.origins import proxies
from lookout.auth.tokens import TokenStore
from lookout.errors import Forbidden
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.api.conftest import RED, Service, StartService, plain, wait_until
from tests.api.pictures_made import encoded
from tests.requires import requires
from tests.support.languages import LANGUAGES
from tests.support.ports import free_port
from tests.support.waiting import until

OPEN = ["healthz", "readyz", "login"]
CLOSED = [
    ("GET", "api/state"),
    ("GET", "api/live.sse"),
    ("GET", "api/snapshot.jpg"),
    ("GET", "api/stream.mjpg"),
    ("GET", "api/models"),
    ("GET", "api/settings"),
    ("GET", "api/about"),
    ("GET", "api/docs"),
    ("GET", "openapi.json"),
    ("GET", "static/main.js"),
    ("GET", "nothing"),
    ("POST", "api/classify"),
    ("PATCH", "api/settings"),
    ("PUT", "api/paused"),
    ("PUT", "api/model"),
    ("POST", "api/logout"),
]


@pytest.fixture
def guarded(start: StartService) -> tuple[Service, str]:
    service = start()
    _, token = service.tokens.create("test")
    return service, token


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_on_the_machine_itself_it_is_open_until_somebody_makes_a_token(start: StartService) -> None:
    service = start()
    with service.client() as client:
        assert client.get("api/state").status_code == 200
        service.tokens.create("test")
        assert client.get("api/state").status_code == 401


def test_programs_that_know_only_user_and_password_give_the_token_as_password(guarded: tuple[Service, str]) -> None:
    """As Home Assistant's MJPEG camera does."""
    service, token = guarded
    with service.client() as client:
        wait_until(lambda: client.get("api/snapshot.jpg", auth=("any", token)).status_code == 200)
        assert client.get("api/state", auth=("", token)).status_code == 200
        for wrong in (("any", "wrong"), (token, ""), (token, token[:-1])):
            refused = client.get("api/state", auth=wrong)
            assert refused.status_code == 401
        for rubbish in ("Basic", "Basic %%%", "Basic /w==", f"Basic {token}"):
            assert client.get("api/state", headers={"Authorization": rubbish}).status_code == 401, rubbish


def test_auth_none_is_open_though_there_is_a_token(start: StartService) -> None:
    service = start({"server.auth": "none"})
    service.tokens.create("test")
    with service.client() as client:
        assert client.get("api/state").status_code == 200


def test_reachable_from_outside_it_never_opens_by_itself(start: StartService) -> None:
    service = start({"server.host": "0.0.0.0"})
    with service.client() as client:
        assert client.get("api/state").status_code == 401


def test_without_a_token_only_the_door_and_the_pulse_answer(guarded: tuple[Service, str]) -> None:
    service, _ = guarded
    with service.client() as client:
        for path in OPEN:
            assert client.get(path).status_code == 200, path
        for method, path in CLOSED:
            response = client.request(method, path)
            assert response.status_code == 401, path
            assert response.json()["code"] == "not_authorised"
            assert 'Bearer realm="lookout"' in response.headers.get_list("www-authenticate")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_token_opens(guarded: tuple[Service, str], scheme: str) -> None:
    service, token = guarded
    with service.client() as client:
        assert client.get("api/state", headers={"Authorization": f"{scheme} {token}"}).status_code == 200


@pytest.mark.parametrize("header", ["Bearer", "Bearer wrong", "Basic dXNlcjpwYXNz", "", "Bearer \xff"])
def test_anything_else_does_not(guarded: tuple[Service, str], header: str) -> None:
    service, _ = guarded
    with service.client() as client:
        assert client.get("api/state", headers={"Authorization": header.encode("latin-1")}).status_code == 401


def test_a_token_in_the_address_counts_for_nothing(guarded: tuple[Service, str]) -> None:
    service, token = guarded
    with service.client() as client:
        assert client.get("api/state", params={"token": token, "access_token": token}).status_code == 401


def test_a_person_without_a_token_sees_the_door_with_everything_on_it(guarded: tuple[Service, str]) -> None:
    service, _ = guarded
    with service.client() as client:
        page = client.get("")
        assert page.status_code == 401
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["cache-control"] == "no-store"
        assert 'id="token"' in page.text
        for name in (
            "login.js",
            "style.css",
            "early.js",
            "icon.svg",
            "api.js",
            "i18n.js",
            "dom.js",
            *(f"{kind}.{language}.js" for kind in ("login", "texts") for language in LANGUAGES),
        ):
            assert client.get(f"static/{name}").status_code == 200, name


def log_in(client: httpx.Client, token: str) -> httpx.Response:
    return client.post("api/login", json={"token": token})


def test_the_door_trades_a_token_for_a_cookie(guarded: tuple[Service, str]) -> None:
    service, token = guarded
    with service.client() as client:
        assert log_in(client, "wrong").status_code == 401
        assert not client.cookies
        response = log_in(client, f" {token} ")
        assert response.status_code == 200
        assert response.json()["name"] == "test"
        cookie = response.headers["set-cookie"]
        assert cookie.startswith(f"lookout_{service.port}=")
        for word in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=7776000"):
            assert word in cookie
        assert "Secure" not in cookie
        assert token not in cookie
        assert client.get("api/state").status_code == 200
        assert client.get("").status_code == 200
        assert client.post("api/logout").status_code == 204
        assert client.get("api/state").status_code == 401


def test_behind_tls_the_cookie_is_only_for_tls(guarded: tuple[Service, str]) -> None:
    service, token = guarded
    with service.client(headers={"X-Forwarded-Proto": "https"}) as client:
        assert "Secure" in log_in(client, token).headers["set-cookie"]


def test_a_login_outlives_a_restart_and_ends_when_the_token_is_revoked(start: StartService) -> None:
    service = start({"server.port": str(free_port())})
    made, token = service.tokens.create("test")
    with service.client() as client:
        log_in(client, token)
        assert client.get("api/state").status_code == 200
        service.stop()
        service.start()
        assert client.get("api/state").status_code == 200
        service.tokens.revoke(made.id)
        service.tokens.create("another, so that it is not open to all")
        assert client.get("api/state").status_code == 401


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"token": 3}', b'{"token": "x", "more": 1}', b"\xff", b"{"])
def test_a_login_of_another_form_is_refused(guarded: tuple[Service, str], body: bytes) -> None:
    service, _ = guarded
    with service.client() as client:
        response = client.post("api/login", content=body, headers={"Content-Type": "application/json"})
        assert (response.status_code, response.json()["code"]) == (422, "request_invalid")


def test_the_token_is_never_repeated_nor_logged(guarded: tuple[Service, str], caplog: pytest.LogCaptureFixture) -> None:
    service, token = guarded
    caplog.set_level(logging.DEBUG)
    with service.client() as client:
        answers = [
            log_in(client, token),
            client.post("api/login", json={"token": token, "x": 1}),
            client.get("api/state", headers=bearer(token)),
        ]
    assert all(token not in answer.text for answer in answers)
    assert token not in "".join(record.getMessage() for record in caplog.records if record.name != "httpcore.http11")


def test_a_token_whose_name_is_not_utf_8_opens_the_door_like_any_other(guarded: tuple[Service, str]) -> None:
    service, _ = guarded
    _, text = service.tokens.create("caf\udce9")
    with service.client() as client:
        assert client.post("api/login", json={"token": text}).json()["name"] == "caf?"


def test_a_token_revoked_while_watching_ends_the_stream(guarded: tuple[Service, str]) -> None:
    service, token = guarded
    made = service.tokens.tokens()[0]
    wait_until(lambda: service.hub.latest().frame is not None)
    with service.client(headers=bearer(token)) as client, client.stream("GET", "api/stream.mjpg") as response:
        found = response.iter_raw()
        next(found)
        service.tokens.revoke(made.id)
        service.tokens.create("another")
        for _ in found:
            pass


@pytest.mark.parametrize("path", ["api/stream.mjpg", "api/live.sse"])
def test_tokens_that_cannot_be_read_end_a_stream_in_order(
    guarded: tuple[Service, str], caplog: pytest.LogCaptureFixture, path: str
) -> None:
    service, token = guarded
    wait_until(lambda: service.hub.latest().frame is not None)
    with service.client(headers=bearer(token)) as client, client.stream("GET", path) as response:
        found = response.iter_raw()
        next(found)
        (service.folder / "tokens.json").write_text("{")
        for _ in found:
            pass
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# --- WebSockets --------------------------------------------------------------------------------------------------


async def _refusal(service: Service, path: str = "api/live", **more: Any) -> tuple[dict[str, Any], int | None]:
    """What is said to a browser's client: it offers a subprotocol, and reads nothing unless that is confirmed."""
    address = f"ws://127.0.0.1:{service.port}/{path}"
    async with connect(address, subprotocols=[Subprotocol("lookout.v1")], **more) as connection:
        assert connection.subprotocol == "lookout.v1"
        problem = json.loads(await asyncio.wait_for(connection.recv(), 5))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(connection.recv(), 5)
        return problem, connection.close_code


async def test_a_socket_without_a_token_gets_a_reason_and_is_closed(guarded: tuple[Service, str]) -> None:
    problem, close_code = await _refusal(guarded[0])
    assert (problem["code"], close_code) == ("not_authorised", 4401)


async def test_a_socket_of_a_foreign_page_gets_a_reason_and_is_closed(guarded: tuple[Service, str]) -> None:
    service, token = guarded
    problem, close_code = await _refusal(service, origin="https://evil.example", additional_headers=bearer(token))
    assert (problem["code"], close_code) == ("forbidden", 4403)


async def test_a_socket_at_an_address_without_one_gets_a_reason_and_is_closed(guarded: tuple[Service, str]) -> None:
    service, token = guarded
    problem, close_code = await _refusal(service, "api/state", additional_headers=bearer(token))
    assert (problem["code"], close_code) == ("not_found", 1008)


async def test_a_socket_with_a_token_or_a_cookie_gets_states_until_it_is_revoked(guarded: tuple[Service, str]) -> None:
    service, token = guarded
    made = service.tokens.tokens()[0]
    cookie = f"lookout_{service.port}={service.tokens.open_session(made)}"
    own = f"http://127.0.0.1:{service.port}"
    for headers in (bearer(token), {"Cookie": cookie}):
        async with connect(
            f"ws://127.0.0.1:{service.port}/api/live", origin=own, additional_headers=headers
        ) as socket_:
            assert json.loads(await socket_.recv())["type"] == "state"
    async with connect(f"ws://127.0.0.1:{service.port}/api/live", additional_headers=bearer(token)) as socket_:
        await socket_.recv()
        service.tokens.revoke(made.id)
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(5):
                async for _ in socket_:
                    pass
        assert socket_.close_code == 4401


# --- names and origins -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8642", "[::1]:80", "192.168.7.7", "LOCALHOST."])
def test_addresses_and_own_names_are_answered(host: str) -> None:
    HostNames([]).check(host)
    HostNames([]).check(socket.gethostname())
    HostNames([]).check(f"{socket.gethostname().partition('.')[0]}.local:1")


@pytest.mark.parametrize("host", ["evil.example", "", "localhost.evil.example", "127.0.0.1.evil.example", "[evil]"])
def test_other_names_are_not(host: str) -> None:
    with pytest.raises(Forbidden):
        HostNames(["cam.example"]).check(host)


def test_listed_names_are_answered() -> None:
    HostNames(["cam.example"]).check("Cam.Example:443")
    HostNames(["*"]).check("anything")


def test_what_only_this_machine_can_reach() -> None:
    assert [host for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "pi") if not is_loopback(host)] == [
        "0.0.0.0",
        "pi",
    ]


@pytest.mark.parametrize("path", ["api/state", "", "healthz", "static/main.js", "api/login"])
def test_a_rebound_name_gets_nothing(client: httpx.Client, path: str) -> None:
    response = client.get(path, headers={"Host": "rebound.evil.example"})
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_of_two_host_headers_each_must_be_one_of_ours(start: StartService) -> None:
    """A proxy in between may go by the other one."""
    service = start()
    for hosts in (("localhost", "rebound.evil.example"), ("rebound.evil.example", "localhost")):
        lines = ["GET /api/state HTTP/1.1", *(f"Host: {host}" for host in hosts), "Connection: close", "", ""]
        with socket.create_connection(("127.0.0.1", service.port), timeout=5) as connection:
            connection.sendall("\r\n".join(lines).encode())
            assert b" 403 " in connection.recv(4096).partition(b"\r\n")[0], hosts


def test_a_rebound_page_cannot_pass_for_a_proxy(client: httpx.Client) -> None:
    headers = {"Host": "rebound.evil.example", "X-Forwarded-Host": "localhost"}
    assert client.get("api/state", headers=headers).status_code == 403


WRITES = [("PUT", "api/paused", b"false"), ("PATCH", "api/settings", b"{}"), ("POST", "api/classify", None)]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_foreign_page_writes_nothing(
    client: httpx.Client, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> None:
    response = client.request(method, path, content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_scripts_and_the_own_page_write(
    shared: Service, client: httpx.Client, method: str, path: str, body: bytes | None
) -> None:
    content = body if body is not None else encoded(plain(RED), ".png")
    own = {"Origin": f"http://127.0.0.1:{shared.port}", "Sec-Fetch-Site": "same-origin"}
    for headers in ({}, own, {"Sec-Fetch-Site": "none"}):
        headers = {"Content-Type": "application/json", **headers}
        assert client.request(method, path, content=content, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost", "Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"},
        {"Host": "localhost:443", "Origin": "https://localhost"},
        {"Host": "localhost:80", "Origin": "http://localhost"},
    ],
)
def test_the_own_page_writes_through_a_proxy_that_changes_the_port(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    assert client.put("api/paused", json=False, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost", "Origin": "http://localhost:8080"},
        {"Host": "localhost", "Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-site"},
        {"Host": "localhost:443", "Origin": "http://localhost"},
        {"Host": "localhost:80", "Origin": "https://localhost"},
    ],
)
def test_a_page_of_another_port_does_not(client: httpx.Client, headers: dict[str, str]) -> None:
    assert client.put("api/paused", json=False, headers=headers).status_code == 403


def test_reading_needs_no_origin_of_ours_but_other_pages_cannot_see_the_answer(client: httpx.Client) -> None:
    response = client.get("api/state", headers={"Origin": "https://evil.example"})
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("listed", ["https://home.example", "https://Home.example/"])
def test_a_listed_page_may_write_and_read(start: StartService, listed: str) -> None:
    page = "https://home.example"
    service = start({"server.allowed_origins": listed})
    with service.client(headers={"Origin": page}) as client:
        asked = client.options("api/paused", headers={"Access-Control-Request-Method": "PUT"})
        assert asked.headers["access-control-allow-origin"] == page
        response = client.put("api/paused", json=False)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == page
        other = client.put("api/paused", json=False, headers={"Origin": "https://evil.example"})
        assert other.status_code == 403


FORWARDED = [
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Server", "home.example"),
    ("X-Real-IP", "203.0.113.9"),
    ("Forwarded", "for=203.0.113.9"),
    ("Via", "1.1 home.example"),
    ("CF-Connecting-IP", "203.0.113.9"),
    ("Tailscale-User-Login", "somebody@example.org"),
]


@pytest.mark.parametrize("trusted", ["127.0.0.1", "192.0.2.1"])
def test_before_the_first_token_nobody_gets_in_through_a_proxy(start: StartService, trusted: str) -> None:
    service = start({"server.trusted_proxies": trusted})
    with service.client() as client:
        for header in FORWARDED:
            assert client.get("api/state", headers=[header]).status_code == 401, header
            assert client.put("api/paused", json=False, headers=[header]).status_code == 401, header
        assert client.get("api/state").status_code == 200
        _, token = service.tokens.create("test")
        assert client.get("api/state", headers=[FORWARDED[0], *bearer(token).items()]).status_code == 200


def test_before_the_first_token_only_a_loopback_name_gets_in(start: StartService) -> None:
    """A proxy that says nothing of itself passes the name on that its client called it by."""
    service = start({"server.allowed_hosts": "cam.example"})
    with service.client() as client:
        for name in ("localhost", "LOCALHOST:80", "127.0.0.1", f"127.0.0.1:{service.port}", "[::1]:8642"):
            assert client.get("api/state", headers={"Host": name}).status_code == 200, name
        for name in ("cam.example", "192.168.1.20", f"192.168.1.20:{service.port}", socket.gethostname()):
            refused = client.get("api/state", headers={"Host": name})
            assert (refused.status_code, refused.json()["code"]) == (401, "not_authorised"), name
            assert "Make a token before you set up a proxy" in refused.json()["remedy"]
        service.tokens.create("test")
        assert "No valid token" in client.get("api/state").json()["detail"]


def test_before_the_first_token_what_an_unconfigured_nginx_asks_for_is_refused(start: StartService) -> None:
    """Its `proxy_pass` writes the Host header anew and adds none of its own, but speaks HTTP/1.0."""
    service = start()
    with socket.create_connection(("127.0.0.1", service.port), timeout=5) as connection:
        connection.sendall(b"GET /api/state HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert b" 401 " in connection.recv(4096).partition(b"\r\n")[0]


@requires("root", "curl")
def test_before_the_first_token_other_services_accounts_get_nothing(start: StartService) -> None:
    """A web server's account, whatever it says: its clients choose the Host header (HAProxy passes it on as it is)."""
    service = start()
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", f"{service.url}api/state"]
    for user, status in ((33, "401"), (65534, "401"), (1000, "200"), (0, "200")):
        done = subprocess.run(command, user=user, capture_output=True, text=True, timeout=30, cwd="/", check=False)
        assert done.stdout == status, (user, done.stderr)


def test_a_token_can_be_asked_for_on_the_machine_itself_from_the_start(start: StartService) -> None:
    service = start({"server.auth": "always"})
    with service.client() as client:
        assert client.get("api/state").status_code == 401
        _, token = service.tokens.create("test")
        assert client.get("api/state", headers=bearer(token)).status_code == 200


@requires("dual-stack")
def test_the_other_loopback_address_is_this_machine_too(start: StartService) -> None:
    service = start({"server.host": "::1"})
    with httpx.Client(base_url=service.url.replace("127.0.0.1", "[::1]")) as client:
        assert client.get("api/state", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 401
        assert client.get("api/state").status_code == 200


def test_who_watched_before_the_first_token_was_made_is_not_let_watch_on(start: StartService) -> None:
    service = start()
    with service.client() as client, client.stream("GET", "api/live.sse") as stream:
        lines = stream.iter_lines()
        assert any(line.startswith("data:") for line in lines)
        service.tokens.create("test")
        list(lines)  # it ends


def test_a_trusted_proxy_says_by_which_name_it_was_called(start: StartService) -> None:
    service = start({"server.allowed_hosts": "cam.example", "server.auth": "none"})
    forwarded = {"X-Forwarded-Host": "cam.example", "X-Forwarded-For": "203.0.113.9", "Origin": "https://cam.example"}
    with service.client() as client:
        assert client.put("api/paused", json=False, headers=forwarded).status_code == 200
        unknown = {**forwarded, "X-Forwarded-Host": "other.example", "Origin": "https://other.example"}
        assert client.put("api/paused", json=False, headers=unknown).status_code == 403


@requires("dual-stack")
def test_a_proxy_is_known_where_one_socket_serves_both_kinds_of_address(start: StartService) -> None:
    service = start({"server.host": "::", "server.allowed_hosts": "cam.example"})
    _, token = service.tokens.create("test")
    forwarded = {"X-Forwarded-Host": "cam.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    with service.client(headers=forwarded | {"Origin": "https://cam.example"}) as client:
        answer = client.post("api/login", json={"token": token})
        assert answer.status_code == 200
        assert "Secure" in answer.headers["set-cookie"]


def test_proxies_are_listed_in_both_forms() -> None:
    listed = ["127.0.0.1", "10.0.0.0/8", "::1", "proxy.example", "*"]
    assert proxies(listed) == [*listed, "::ffff:127.0.0.1", "::ffff:10.0.0.0/104"]


def test_a_stranger_is_not_a_proxy(start: StartService) -> None:
    service = start({"server.allowed_hosts": "cam.example", "server.trusted_proxies": "192.0.2.1"})
    forwarded = {"X-Forwarded-Host": "cam.example", "Origin": "https://cam.example"}
    with service.client() as client:
        assert client.put("api/paused", json=False, headers=forwarded).status_code == 403


@pytest.mark.parametrize("path", ["", "api/state", "static/main.js", "nothing", "api/snapshot.jpg?width=1"])
def test_every_answer_carries_its_guards(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["frame-ancestors"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_no_cache_keeps_what_the_api_answers(client: httpx.Client) -> None:
    paths = client.get("openapi.json").json()["paths"]
    asked = [path for path, methods in paths.items() if "get" in methods and "{" not in path]
    assert {"/api/events", "/api/live.sse", "/api/settings", "/api/snapshot.jpg"} <= set(asked)
    kept = {}
    for path in asked:
        with client.stream("GET", path) as answer:
            if answer.headers["cache-control"] != "no-store":
                kept[path] = answer.headers["cache-control"]
    assert kept == {}


def test_listed_sites_may_embed_the_dashboard(start: StartService) -> None:
    service = start({"server.allowed_frames": "https://home.example"})
    with service.client() as client:
        assert "frame-ancestors 'self' https://home.example" in client.get("").headers["content-security-policy"]


def test_a_damaged_token_file_lets_nobody_in_and_says_so(guarded: tuple[Service, str]) -> None:
    service, token = guarded
    (service.folder / "tokens.json").write_text("{")
    with service.client(headers=bearer(token)) as client:  # the file is looked at a few times a second
        until(lambda: client.get("api/state").status_code == 507, what="a damaged file goes unnoticed")
        assert client.get("api/state").json()["code"] == "state_folder_unusable"


def test_a_token_made_by_another_process_opens_the_door_at_once_although_files_are_looked_at_seldom(
    guarded: tuple[Service, str],
) -> None:
    service, _ = guarded
    service.tokens.watch()
    try:
        with service.client() as client:
            for _ in range(5):
                _, made = TokenStore(service.folder).create("made elsewhere")
                assert client.get("api/state", headers=bearer(made)).status_code == 200
                assert client.get("api/state", headers=bearer(made + "x")).status_code == 401
                assert client.post("api/login", json={"token": made}).status_code == 200
                client.cookies.clear()
    finally:
        service.tokens.close()
