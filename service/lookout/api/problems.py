"""Errors as RFC 9457 problem details: one sentence, what helps, and a code that never changes."""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from lookout.errors import Forbidden, LookoutError, NotAuthorised, RequestInvalid, ScopeMissing, TooManyAttempts

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class NotReady(LookoutError):
    """The service runs, but cannot do its work yet, or no longer can."""

    code = "not_ready"
    title = "Not ready"
    status = 503


class NotFound(LookoutError):
    """Nothing is served at this address."""

    code = "not_found"
    title = "There is nothing here"
    status = 404


class RequestTooLarge(LookoutError):
    """A body of settings or commands is larger than any real one."""

    code = "request_too_large"
    title = "The request is too large"
    status = 413


class RequestMalformed(LookoutError):
    """The request is not valid HTTP."""

    code = "request_malformed"
    title = "The request is not valid HTTP"
    status = 400


class HeadTooLarge(LookoutError):
    """The request line and headers are larger than any real ones."""

    code = "head_too_large"
    title = "The request's headers are too large"
    status = 431


class TooManyConnections(LookoutError):
    """There are more connections than the service can serve."""

    code = "too_many_connections"
    title = "Too many connections"
    status = 503


class RequestTimeout(LookoutError):
    """The body did not arrive in time."""

    code = "request_timeout"
    title = "The request took too long to arrive"
    status = 408


class WebSocketNeeded(LookoutError):
    """A WebSocket was requested with plain HTTP."""

    code = "websocket_needed"
    title = "This is a WebSocket"
    status = 426


class Problem(BaseModel):
    """What went wrong and what helps (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:lookout:problem:no_frame",
                "title": "There is no picture yet",
                "status": 503,
                "detail": "The camera has not delivered a picture yet.",
                "code": "no_frame",
                "remedy": "GET /api/state says how the camera is.",
            }
        }
    )

    type: str = Field(description="A URI that names the kind of problem.")
    title: str = Field(description="The kind of problem in a few words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="One sentence on what happened.")
    code: str = Field(description="The kind of problem for programs; codes never change.")
    remedy: str = Field(description="What helps; may be empty.")


def problem(error: LookoutError) -> dict[str, Any]:
    """The JSON object for an error."""
    return {
        "type": f"urn:lookout:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": writable(error.detail),
        "code": error.code,
        "remedy": writable(error.remedy),
    }


def writable(text: str) -> str:
    """Replace lone surrogates, which text from a request may contain: JSON can express them, but UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


# A client that asks for a picture every second while there is none must not fill the log; a full disk deserves a line.
_LOGGED = frozenset({500, 507})
# Seconds after which a retry makes sense.
_RETRY_AFTER = {429: "2", 503: "2"}


def respond(error: LookoutError, headers: Mapping[str, str] | None = None) -> Response:
    """The response to a request that failed."""
    more = dict(headers or {})
    if error.status == 401:
        more["WWW-Authenticate"] = 'Bearer realm="lookout"'
    if error.status in _RETRY_AFTER:
        more["Retry-After"] = _RETRY_AFTER[error.status]
    if error.status == 426:
        more |= {"Upgrade": "websocket", "Connection": "Upgrade"}
    more["Cache-Control"] = "no-store"
    return JSONResponse(problem(error), error.status, more, MEDIA_TYPE)


def request_invalid(error: RequestValidationError, content_type: str | None = None) -> RequestInvalid:
    """Return the first fault of a request as a sentence. content_type: the declared type of the body."""
    first = error.errors()[0]
    place, *path = (str(part) for part in first["loc"])
    if place == "body" and not _is_json(content_type or ""):
        # `curl -d` sends a form's type by default. If that were accepted, pages of other sites could send changes.
        came = f"came as {content_type[:100]}" if content_type else "came without a Content-Type"
        return RequestInvalid(f"The body must be JSON, but {came}.", "Send it with Content-Type: application/json.")
    if first["type"] == "json_invalid":
        reason = str(first.get("ctx", {}).get("error", "it cannot be read")).rstrip(".")
        return RequestInvalid(
            f"The body is not JSON: {reason[:1].lower()}{reason[1:]} (character {path[0] if path else 0}).",
            "GET /openapi.json describes the format.",
        )
    name = ".".join(path)
    where = {"body": "The body", "query": "The parameter", "path": "The path"}.get(place, "The request")
    message = str(first["msg"]).removeprefix("Value error, ")
    named = f'{where} "{name}"' if name else where
    return RequestInvalid(
        f"{named} is not valid: {message[:1].lower()}{message[1:]}.", "GET /openapi.json describes the format."
    )


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


class _Plain(LookoutError):
    """An HTTP status for which there is no error class."""

    def __init__(self, status: int, detail: str, remedy: str = "") -> None:
        super().__init__(detail, remedy)
        phrase = http.HTTPStatus(status).phrase
        self.status, self.title = status, phrase
        self.code = phrase.lower().replace(" ", "_").replace("-", "_")


def _allowed(request: Request) -> str:
    """Return all methods served at a path; the framework lists only those of the first route that matches."""
    routes = request.app.router.routes
    methods = {
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    }
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem."""

    async def known(_: Request, error: Exception) -> Response:
        assert isinstance(error, LookoutError)
        if error.status in _LOGGED:
            log.warning("%s", error)
        return respond(error)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return respond(request_invalid(error, request.headers.get("content-type")))

    async def plain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return respond(NotFound(f"Nothing is served at {request.url.path}.", "GET /openapi.json lists what is."))
        if error.status_code == 400:
            return respond(RequestInvalid("The body cannot be read.", "GET /openapi.json describes the format."))
        if error.status_code == 405:
            allowed = _allowed(request)
            refused = _Plain(405, f"{request.method} is not served here.", f"What is: {allowed}." if allowed else "")
            return respond(refused, {"Allow": allowed})
        return respond(_Plain(error.status_code, str(error.detail)), error.headers)

    async def unexpected(_: Request, error: Exception) -> Response:
        # The server logs the traceback; strangers learn nothing about internals.
        del error
        mistake = LookoutError(
            "Lookout made a mistake; its log has the details.", "Try again; if it persists, report it."
        )
        # This response is created outside the middleware that adds these headers.
        return respond(mistake, {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"})

    app.add_exception_handler(LookoutError, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(Exception, unexpected)


# --- OpenAPI ----------------------------------------------------------------------------------------------------

Responses = dict[int | str, dict[str, Any]]

_REFERENCE = {"$ref": "#/components/schemas/Problem"}
# Examples for errors whose class says too little.
_EXAMPLES = {
    "picture_too_large": "The picture has 20,000 x 20,000 pixels; at most 50,000,000 pixels are accepted.",
    "picture_unsupported": "This is a zip archive, not a picture Lookout can read.",
    "picture_unreadable": "The picture ends too early: part of the file is missing.",
    "decoder_unavailable": "There is too little memory left on this machine to decode the picture.",
    "too_busy": "Too many pictures are being classified at once.",
    "no_frame": "The camera has not delivered a picture yet.",
    "unknown_model": 'There is no model "cat-dog-resnet".',
    "model_rejected": 'The int8 graph of "cats" does not match its card: it gives 4 values, the card lists 3 labels.',
    "model_busy": "Another model is being loaded.",
    "setting_invalid": "camera.fps is -1, but must be a number above 0 and at most 240.",
    "setting_fixed": "server.port cannot be changed from here: it decides how the service is reached.",
    "not_authorised": "No valid token came with the request.",
    "too_many_attempts": "Too many wrong tokens came within a second; this one was not checked.",
    "scope_missing": 'The token "phone" has the scope "view", and this needs "control".',
    "forbidden": "The request comes from a page that is not allowed to make it.",
    "state_folder_unusable": "The disk that holds /var/lib/lookout is full: answers go on, but changes are not kept.",
    "disk_budget_spent": "Lookout has written 200 MiB to disk today; 312 bytes more would exceed "
    "state.max_bytes_per_day (200 MiB).",
    "request_invalid": 'The parameter "width" is not valid: input should be at least 16.',
}


def errors(*kinds: type[LookoutError], also: Responses | None = None) -> Responses:
    """The `responses=` of an endpoint that can fail in these ways; those common to all endpoints are added.

    also: its other responses.
    """
    responses: Responses = dict(also or {})
    every: list[type[LookoutError]] = [*kinds, NotAuthorised, Forbidden, ScopeMissing, TooManyAttempts]
    for kind in every:
        content = {MEDIA_TYPE: {"schema": _REFERENCE, "examples": {}}}
        entry = responses.setdefault(
            kind.status, {"description": http.HTTPStatus(kind.status).phrase, "content": content}
        )
        example = kind(_EXAMPLES.get(kind.code, (kind.__doc__ or "").strip()))
        entry["content"][MEDIA_TYPE]["examples"][kind.code] = {"value": problem(example)}
    return responses
