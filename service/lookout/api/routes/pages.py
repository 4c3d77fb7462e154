"""The pages for people: the dashboard, the lab, the login page, the list of API endpoints, and their files."""

from __future__ import annotations

import html
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from lookout.api.assets import Assets


def routes(assets: Assets) -> list[BaseRoute]:
    """Return the routes of the pages and their files."""

    async def dashboard(request: Request) -> Response:
        return assets.response("index.html", request.headers)

    async def lab(request: Request) -> Response:
        return assets.response("lab/index.html", request.headers)

    async def login(request: Request) -> Response:
        response = assets.response("login.html", request.headers)
        if response.status_code == 200:  # not if the browser has it already
            response.status_code = request.scope.get("lookout.status", 200)
        response.headers["Cache-Control"] = "no-store"
        return response

    async def file(request: Request) -> Response:
        return assets.response(request.path_params["path"], request.headers)

    return [
        Route("/", dashboard, include_in_schema=False),
        Route("/lab", lab, include_in_schema=False),
        Route("/login", login, include_in_schema=False),
        Route("/static/{path:path}", file, include_in_schema=False),
    ]


def api_list(app: FastAPI, assets: Assets) -> Route:
    """Return the route of the list of endpoints."""

    async def api(request: Request) -> Response:
        del request
        return HTMLResponse(api_page(app.openapi(), assets))

    return Route("/api/docs", api, include_in_schema=False)


def api_page(openapi: dict[str, Any], assets: Assets) -> str:
    """Return the API as a plain list, generated from its description; nothing is loaded from elsewhere."""
    rows = []
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            summary = html.escape(operation.get("summary", ""))
            text = html.escape(operation.get("description", ""))
            rows.append(f"<dt><code>{method.upper()} {html.escape(path)}</code></dt><dd><b>{summary}.</b> {text}</dd>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Lookout: API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="../{assets.address("icon.svg")}" type="image/svg+xml">'
        f'<script src="../{assets.address("early.js")}"></script>'
        f'<link rel="stylesheet" href="../{assets.address("style.css")}">'
        f'<link rel="stylesheet" href="../{assets.address("login.css")}"></head>'
        '<body><main class="api-list"><h1>Lookout: API</h1>'
        '<p>For programs: <a href="../openapi.json">openapi.json</a>. '
        '<code>GET /api/live</code> is a WebSocket. <a href="../">Back</a></p>'
        f"<dl>{''.join(rows)}</dl></main></body></html>"
    )
