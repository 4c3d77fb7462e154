"""`/openapi.json`: the description of the API, generated and serialised once."""

from __future__ import annotations

import gzip
import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lookout.api import problems
from lookout.api.compression import takes_gzip
from lookout.auth.scopes import needed


def route(app: FastAPI) -> Route:
    """Return the route of the description. It does not change while the service runs, so it is serialised once."""
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    written: dict[str, tuple[bytes, bytes]] = {}

    async def description(request: Request) -> Response:
        prefix = str(request.scope.get("root_path", "")).rstrip("/")
        if prefix not in written:
            written.clear()  # usually one proxy stands in front; only the latest variant is kept
            plain = json.dumps(_behind(prefix, app.openapi()), separators=(",", ":"), ensure_ascii=False).encode()
            written[prefix] = plain, gzip.compress(plain, mtime=0)
        plain, packed = written[prefix]
        headers = {"Vary": "Accept-Encoding"}
        if not takes_gzip(request.headers):
            return Response(plain, headers=headers, media_type="application/json")
        return Response(packed, headers=headers | {"Content-Encoding": "gzip"}, media_type="application/json")

    return Route("/openapi.json", description, include_in_schema=False)


def _behind(prefix: str, described: dict[str, Any]) -> dict[str, Any]:
    return {**described, "servers": [{"url": prefix}]} if prefix else described


def _described(app: FastAPI) -> dict[str, Any]:
    """The description of the API, with the one form of all errors and the ways to send a token."""
    if app.openapi_schema is None:
        described = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        components = described.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = problems.Problem.model_json_schema()
        components["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer", "description": "As printed by `lookout token`."},
            "password": {"type": "http", "scheme": "basic", "description": "Any user; the token is the password."},
        }
        described["security"] = [{"token": []}, {"password": []}]
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                operation["x-scope"] = needed(method.upper(), path)
        for path in ("/healthz", "/healthz/camera", "/readyz", "/api/login"):
            for operation in described["paths"][path].values():
                operation["security"] = []
        app.openapi_schema = described
    return app.openapi_schema
