"""What each token opens: its scope, links only to the pictures, and when it was last used."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from lookout.auth.scopes import SCOPES, grants, needed
from lookout.auth.tokens import TokenStore
from lookout.auth.uses import KEEP_EVERY_S, USES_FILE, TokenUses
from lookout.storage import Storage

from tests.api.conftest import Service, StartService, wait_until

READS = ["api/state", "api/models", "api/settings", "api/about", "", "openapi.json", "static/main.js"]
PICTURES = ["api/snapshot.jpg"]


@pytest.fixture(scope="module")
def opened(shared: Service) -> dict[str, dict[str, str]]:
    """A header for each scope."""
    made = {scope: shared.tokens.create(scope, scope)[1] for scope in SCOPES}
    return {scope: {"Authorization": f"Bearer {text}"} for scope, text in made.items()}


def status(client: httpx.Client, method: str, path: str, headers: dict[str, str], **more: object) -> int:
    return client.request(method, path, headers=headers, **more).status_code  # type: ignore[arg-type]


@pytest.mark.parametrize("scope", SCOPES)
def test_each_scope_opens_what_it_is_for_and_no_more(
    client: httpx.Client, opened: dict[str, dict[str, str]], scope: str
) -> None:
    headers = opened[scope]
    sees, controls, administers = (
        scope in group for group in (("view", "control", "admin"), ("control", "admin"), ("admin",))
    )
    for path in READS:
        assert status(client, "GET", path, headers) == (200 if sees else 403), path
    assert status(client, "GET", "api/snapshot.jpg", headers) == (403 if scope == "metrics" else 200)
    assert status(client, "PUT", "api/paused", headers, json=False) == (200 if controls else 403)
    assert status(client, "PATCH", "api/settings", headers, json={}) == (200 if administers else 403)
    assert status(client, "PUT", "api/model", headers, json={}) == (422 if administers else 403)
    assert status(client, "DELETE", "api/what-nobody-thought-of", headers) == (404 if administers else 403)


def test_a_refusal_names_both_scopes_and_the_command(client: httpx.Client, opened: dict[str, dict[str, str]]) -> None:
    problem = client.put("api/paused", json=True, headers=opened["view"]).json()
    assert (problem["status"], problem["code"]) == (403, "scope_missing")
    assert '"view"' in problem["detail"]
    assert problem["remedy"].endswith(" --scope control")


def test_a_login_has_the_scope_of_its_token(shared: Service) -> None:
    _, text = shared.tokens.create("phone", "view")
    with shared.client() as client:
        assert client.post("api/login", json={"token": text}).status_code == 200
        assert client.get("api/login").json()["scope"] == "view"
        assert client.get("api/state").status_code == 200
        assert client.patch("api/settings", json={}).status_code == 403
        assert client.post("api/logout").status_code == 204


@pytest.mark.parametrize("scope", ["metrics", "stream"])
def test_a_token_that_shows_no_dashboard_logs_nobody_in(shared: Service, scope: str) -> None:
    _, text = shared.tokens.create("program", scope)
    with shared.client() as client:
        refused = client.post("api/login", json={"token": text})
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


def test_a_link_opens_the_pictures_and_nothing_else(shared: Service, opened: dict[str, dict[str, str]]) -> None:
    with shared.client() as client:
        made = client.post("api/stream-link", json={"for_s": 600}, headers=opened["view"]).json()
        query = made["stream"].partition("?")[2]
        assert client.get(made["snapshot"]).status_code == 200
        with client.stream("GET", made["stream"]) as response:
            assert response.status_code == 200
        for path in ("api/state", "api/live.sse", "", "api/settings", "metrics"):
            assert client.get(f"{path}?{query}").status_code == 401, path
        assert client.put(f"api/paused?{query}", json=True).status_code == 401
        signed = query.partition("=")[2]
        for forged in (signed[:-1], signed.replace(".", ".9", 1), "", "x" * 9000, "é", f"{signed}&link=x"):
            assert client.get("api/snapshot.jpg", params={"link": forged}).status_code == 401, forged


def test_a_link_is_not_a_login_and_a_login_no_link(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    token, _ = store.create("phone")
    cookie, link = store.open_session(token, now=1000.0), store.open_link(token, 60, now=1000.0)
    assert store.session(cookie, now=1001.0) == store.link(link, now=1001.0) == token
    assert store.session(link, now=1001.0) is None
    assert store.link(cookie, now=1001.0) is None
    assert store.link(link, now=1060.0) is None


def test_a_stream_ends_with_the_token_of_its_link(start: StartService) -> None:
    service = start()
    token, _ = service.tokens.create("octoprint", "stream")
    link = service.tokens.open_link(token, 600)
    with service.client() as client, client.stream("GET", f"api/stream.mjpg?link={link}") as response:
        assert response.status_code == 200
        service.tokens.revoke(token.id)
        for _ in response.iter_raw():  # the client's timeout is the deadline
            pass


def test_where_everybody_may_look_a_link_needs_no_signature(start: StartService) -> None:
    with start({"server.auth": "none"}).client() as client:
        made = client.post("api/stream-link", json={}).json()
        assert made == {"stream": "/api/stream.mjpg", "snapshot": "/api/snapshot.jpg", "expires": None}


def test_tokens_made_before_there_were_scopes_open_everything(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    _, text = store.create("old")
    kept = json.loads((tmp_path / "tokens.json").read_text())
    del kept["tokens"][0]["scope"]
    (tmp_path / "tokens.json").write_text(json.dumps(kept))
    token = TokenStore(tmp_path).verify(text)
    assert token is not None
    assert all(grants(token.scope, need) for need in SCOPES)
    assert not any(grants("of a later release", need) for need in SCOPES)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/metrics", "metrics"),
        ("HEAD", "/api/stream.mjpg", "stream"),
        ("WEBSOCKET", "/api/live", "view"),
        ("POST", "/v2/models/cats/versions/3/infer", "view"),
        ("POST", "/v2/repository/models/cats/load", "admin"),
        ("POST", "/v2/models/a/b/infer", "admin"),
        ("PUT", "/api/snapshot.jpg", "admin"),
    ],
)
def test_what_a_request_needs(method: str, path: str, scope: str) -> None:
    assert needed(method, path) == scope


def test_the_description_says_what_each_operation_needs(
    client: httpx.Client, opened: dict[str, dict[str, str]]
) -> None:
    paths = client.get("openapi.json", headers=opened["view"]).json()["paths"]
    assert paths["/api/paused"]["put"]["x-scope"] == "control"
    assert paths["/api/settings"]["patch"]["x-scope"] == "admin"


def test_the_last_use_is_kept_to_the_hour_and_not_at_each_request(tmp_path: Path) -> None:
    now = [1_000_000.0]
    uses = TokenUses(tmp_path, Storage(tmp_path), clock=lambda: now[0])
    kept = tmp_path / USES_FILE
    uses.note("a")
    uses.keep({"a", "b"})
    assert json.loads(kept.read_text()) == {"a": 1_000_000}
    now[0] += KEEP_EVERY_S - 1
    uses.note("a")
    uses.keep({"a", "b"})
    assert json.loads(kept.read_text()) == {"a": 1_000_000}
    now[0] += 1
    uses.note("b")
    uses.note("a")
    uses.keep({"a", "b"})
    assert json.loads(kept.read_text()) == {"a": 1_003_600, "b": 1_003_600}
    uses.note("gone")
    now[0] += KEEP_EVERY_S
    uses.note("b")
    uses.keep({"b"})
    assert TokenUses(tmp_path, Storage(tmp_path)).read() == {"b": 1_007_200}
    kept.write_text("[1")
    assert TokenUses(tmp_path, Storage(tmp_path)).read() == {}


def test_a_running_service_says_when_a_token_was_used(start: StartService) -> None:
    service = start()
    token, text = service.tokens.create("phone", "view")
    service.tokens.watch()
    try:
        with service.client(headers={"Authorization": f"Bearer {text}"}) as client:
            assert client.get("api/state").status_code == 200
        wait_until(lambda: token.id in TokenStore(service.folder).uses.read())
    finally:
        service.tokens.close()
