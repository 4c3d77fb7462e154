"""The pages for people: the dashboard, the door, the list of what the API offers, and their files."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

# What a page or a module loads. Both only use plain relative addresses.
_LOADED_BY_PAGE = re.compile(r"""(?:src|href)="static/([\w.-]+)\"""")
_IMPORTED = re.compile(r"""(?:import|from)\s*\(?\s*["']\./([\w.-]+)["']""")


class Files(StaticFiles):
    """Files that browsers ask after each time: after an update nobody sees the old page with the new service."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def login_files(folder: Path) -> set[str]:
    """Paths of everything the login page loads, module by module. They hold no secret; all else needs a token."""
    page = folder / "login.html"
    waiting = set(_LOADED_BY_PAGE.findall(page.read_text("utf-8"))) if page.is_file() else set()
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        found.add(name)
        module = folder / name
        if module.suffix == ".js" and module.is_file():
            waiting |= set(_IMPORTED.findall(module.read_text("utf-8"))) - found
    return {f"/static/{name}" for name in found}


def install(app: FastAPI, folder: Path) -> None:
    """Serve the pages from the folder of the dashboard."""
    files = Files(directory=folder)

    async def dashboard(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    async def login(request: Request) -> Response:
        response = await files.get_response("login.html", request.scope)
        if response.status_code == 200:  # not when the browser has it already
            response.status_code = request.scope.get("lookout.status", 200)
        response.headers["Cache-Control"] = "no-store"
        return response

    async def api(request: Request) -> Response:
        del request
        return HTMLResponse(api_page(app.openapi()))

    app.router.routes += [
        Route("/", dashboard, include_in_schema=False),
        Route("/login", login, include_in_schema=False),
        Route("/api/docs", api, include_in_schema=False),
        Mount("/static", files, name="static"),
    ]


def api_page(openapi: dict[str, Any]) -> str:
    """The API as a plain list, made of its own description; nothing is loaded from elsewhere."""
    rows = []
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            summary = html.escape(operation.get("summary", ""))
            text = html.escape(operation.get("description", ""))
            rows.append(f"<dt><code>{method.upper()} {html.escape(path)}</code></dt><dd><b>{summary}.</b> {text}</dd>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Lookout: API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="../static/icon.svg" type="image/svg+xml">'
        '<script src="../static/theme.js"></script><link rel="stylesheet" href="../static/style.css"></head>'
        '<body><main class="api-list"><h1>Lookout: API</h1>'
        '<p>In full, for programs: <a href="../openapi.json">openapi.json</a>. '
        '<code>GET /api/live</code> is a WebSocket. <a href="../">Back</a></p>'
        f"<dl>{''.join(rows)}</dl></main></body></html>"
    )
