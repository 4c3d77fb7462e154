"""Most routes are imported after the first answer: nothing a client sees may depend on whether they are there yet."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from lookout.api import all_routes
from lookout.api.late_routes import LateRoutes
from lookout.server import serve
from starlette.routing import BaseRoute, Match
from websockets.sync.client import connect

from tests.api.conftest import HandCamera, Service, StartService, wait_until

LATE = {
    ("GET", "openapi.json"): 200,
    ("GET", "api/docs"): 200,
    ("GET", "api/models"): 200,
    ("GET", "api/settings"): 200,
    ("GET", "api/events"): 409,
    ("GET", "api/integrations"): 200,
    ("GET", "metrics"): 503,
    ("HEAD", "api/models"): 200,
    ("PUT", "api/paused"): 415,
    ("POST", "api/models"): 405,
    ("POST", "api/state"): 405,
    ("DELETE", "healthz"): 405,
    ("POST", "static/main.js"): 405,
    ("GET", "nothing/here"): 404,
    ("POST", "nothing/here"): 404,
    ("GET", "v2"): 404,
}
KEPT = ("content-type", "allow", "cache-control", "www-authenticate")


def is_loaded(service: Service) -> bool:
    return not any(isinstance(route, LateRoutes) for route in service.app.router.routes)


def load_like_the_service(service: Service) -> None:
    loading = serve._load_late_routes(service._parts)
    asyncio.run_coroutine_threadsafe(loading, service._loop).result(30)


def what_came(response: httpx.Response) -> tuple[Any, ...]:
    return response.status_code, response.text, {name: response.headers.get(name) for name in KEPT}


@pytest.mark.parametrize(("method", "path"), LATE)
def test_the_first_request_is_answered_like_any_other(start: StartService, method: str, path: str) -> None:
    service = start()
    with service.client() as client:
        assert not is_loaded(service)
        first = client.request(method, path)
        assert is_loaded(service)
        assert what_came(first) == what_came(client.request(method, path))


def test_what_a_first_answer_needs_loads_nothing(start: StartService) -> None:
    service = start()
    wait_until(lambda: service.state()["answer"]["label"] == "cat")
    with service.client() as client:
        for path in ("", "lab", "login", "static/main.js", "api/state", "api/snapshot.jpg", "healthz", "readyz"):
            assert client.get(path, follow_redirects=True).status_code == 200, path
            assert client.head(path, follow_redirects=True).status_code == 200, path
    with connect(f"{service.url.replace('http', 'ws')}api/live") as socket:
        assert json.loads(socket.recv(timeout=10))["type"] == "state"
    assert not is_loaded(service)


def test_a_stranger_loads_nothing(start: StartService) -> None:
    service = start({"server.auth": "token"})
    service.tokens.create("door", "admin")
    with service.client() as client:
        assert client.get("api/models").status_code == 401
    assert not is_loaded(service)


def test_a_websocket_to_nowhere_is_refused_at_once(start: StartService) -> None:
    service = start()
    answers = []
    for _ in range(2):
        with connect(f"{service.url.replace('http', 'ws')}nowhere") as socket:
            answers.append(socket.recv(timeout=10))
        assert is_loaded(service)
    assert "There is no WebSocket at /nowhere." in str(answers[0])
    assert answers[0] == answers[1]


def test_many_first_requests_import_once(start: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    make = all_routes.all_routes

    def counted(*arguments: Any, **options: Any) -> Any:
        made.append(1)
        return make(*arguments, **options)

    monkeypatch.setattr(all_routes, "all_routes", counted)
    service = start()
    with service.client() as client, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.get("api/models").status_code, range(24)))
    assert answers == [200] * 24
    assert made == [1]


def test_routes_that_cannot_be_imported_are_tried_again(start: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    service = start()
    with monkeypatch.context() as broken:
        broken.setattr(all_routes, "all_routes", lambda *_, **__: (_ for _ in ()).throw(ImportError("gone")))
        with service.client() as client:
            assert client.get("api/models").status_code == 500
        assert service.state()["status"] != "failed"
    with service.client() as client:
        assert client.get("api/models").status_code == 200


def test_the_first_routes_are_those_that_would_be_chosen_among_all(start: StartService) -> None:
    """Otherwise a request would be answered in another way once all routes are there."""
    service = start({"server.inference": "true"})
    first = service.app.router.routes
    with service.client() as client:
        paths = [*client.get("openapi.json").json()["paths"], "/", "/lab", "/login", "/api/docs", "/static/a/b.js"]
    every = service.app.router.routes
    assert len(every) > len(first)
    early = 0
    for path, method in itertools.product(paths, ("GET", "POST", "PUT", "PATCH", "DELETE")):
        chosen = choice(first, path, method)
        if not isinstance(chosen, LateRoutes):
            early += 1
            assert identity(chosen) == identity(choice(every, path, method)), (method, path)
    assert early > 10


def choice(routes: list[BaseRoute], path: str, method: str) -> BaseRoute | None:
    path = re.sub(r"\{[^}]*\}", "1", path)
    scope = {"type": "http", "path": path, "method": method, "root_path": "", "headers": []}
    return next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)


def identity(route: BaseRoute | None) -> object:
    return getattr(route, "original_router", None) or getattr(route, "path", None)


def test_the_service_loads_them_itself_after_its_first_answer(start: StartService) -> None:
    service = start()
    load_like_the_service(service)
    assert service.state()["answer"]["label"] == "cat"
    assert is_loaded(service)


def test_without_a_camera_it_loads_them_all_the_same(start: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_AFTER_START_S", 0.2)
    camera = HandCamera()
    camera.absent.set()
    service = start(camera=camera)
    load_like_the_service(service)
    assert is_loaded(service)


def test_a_package_that_is_missing_ends_the_start_with_its_name(tmp_path: Path) -> None:
    """Although the service answers by then, for half of its API would be missing."""
    code = (
        "import sys; sys.modules['lookout.api.routes.inspect'] = None; sys.modules['gzip'] = None\n"
        "sys.argv = ['lookout', 'demo', '--port', '0']\n"
        "from lookout.__main__ import main; main()"
    )
    folders = {name: str(tmp_path) for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | folders, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "import of gzip halted" in done.stderr or "gzip" in done.stderr
