"""Exchanging a token for a cookie, or for a link to the pictures: the token is sent once in a body, never in a URL."""

from __future__ import annotations

import time

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookout import timestamps
from lookout.api.context import Services, ServicesDep
from lookout.api.login_schemas import LinkWanted, LoginRequest, LoginResponse, LoginStatus, StreamLink
from lookout.api.middleware.access import LINK, cookie_name
from lookout.api.problems import RequestTimeout, RequestTooLarge, errors
from lookout.auth.scopes import grants
from lookout.auth.tokens import SESSION_S
from lookout.errors import DiskBudgetSpent, NotAuthorised, RequestInvalid, ScopeMissing, StateFolderUnusable, TooBusy

router = APIRouter(tags=["access"])


@router.get(
    "/api/login",
    operation_id="get_login",
    summary="Whether the client is logged in, and how to get a token",
    response_model=LoginStatus,
    responses=errors(StateFolderUnusable),
)
async def login_status(request: Request, app: ServicesDep) -> JSONResponse:
    """For the login page. Needs no token."""
    cookie = request.cookies.get(cookie_name(request))
    token = app.tokens.session(cookie) if cookie else None
    response = LoginStatus(
        logged_in=token is not None,
        token_exists=not app.tokens.is_known_empty(),
        command=request.app.state.token_command,
        scope="" if token is None else token.scope,
    )
    return JSONResponse(response.model_dump(), headers={"Cache-Control": "no-store"})


@router.post(
    "/api/login",
    operation_id="login",
    summary="Log in with a token",
    response_model=LoginResponse,
    responses=errors(RequestInvalid, RequestTooLarge, RequestTimeout, StateFolderUnusable, DiskBudgetSpent, TooBusy),
)
async def login(given: LoginRequest, request: Request, app: ServicesDep) -> Response:
    """Sets a cookie that stands for the token for 90 days, across restarts, until the token is revoked."""
    token = await app.admission.token(given.token.strip(), request.client.host if request.client else "")
    if token is None:
        raise NotAuthorised(
            "There is no such token.",
            f"This command makes one, on the machine that runs Lookout: {request.app.state.token_command}",
        )
    if not grants(token.scope, "view"):
        raise ScopeMissing(
            f'The token "{token.name}" has the scope "{token.scope}", which shows no dashboard.',
            f"Make another one with: {request.app.state.token_command} --scope view",
        )
    response = JSONResponse({"name": token.name, "expires_in_s": SESSION_S})
    response.set_cookie(
        cookie_name(request),
        await app.changes.run(lambda: app.tokens.open_session(token)),
        max_age=SESSION_S,
        path=_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    _allow_in_frames(request, app, response)
    return response


@router.post("/api/logout", operation_id="logout", summary="Log out", status_code=204, responses=errors())
async def logout(request: Request, app: ServicesDep) -> Response:
    """Deletes the cookie. The token stays valid."""
    response = Response(status_code=204)
    response.delete_cookie(cookie_name(request), path=_path(request), httponly=True, samesite="lax")
    _allow_in_frames(request, app, response)
    return response


@router.post(
    "/api/stream-link",
    operation_id="make_stream_link",
    summary="URLs of the pictures that need no token",
    response_model=StreamLink,
    responses=errors(RequestInvalid, RequestTooLarge, RequestTimeout, StateFolderUnusable, DiskBudgetSpent, TooBusy),
)
async def stream_link(wanted: LinkWanted, request: Request, app: ServicesDep) -> JSONResponse:
    """For programs that cannot send a token. The links open the stream and the newest frame, and expire with it."""
    token = request.scope.get("lookout.token")
    query, expires = "", None
    if token is not None:
        text = await app.changes.run(lambda: app.tokens.open_link(token, wanted.for_s))
        query, expires = f"?{LINK}={text}", timestamps.rfc3339(time.time() + wanted.for_s)
    response = StreamLink(stream=f"/api/stream.mjpg{query}", snapshot=f"/api/snapshot.jpg{query}", expires=expires)
    return JSONResponse(response.model_dump(), headers={"Cache-Control": "no-store"})


def _allow_in_frames(request: Request, app: Services, response: Response) -> None:
    """Let browsers send the cookie from a frame in a listed site's page, too, which they do over HTTPS only.

    Partitioned: the login is limited to pages of that site, and no other site's requests carry it. Python's
    http.cookies supports the attribute from 3.14 on.
    """
    if app.control.loaded.settings.server.allowed_frames and request.url.scheme == "https":
        cookie = response.headers["Set-Cookie"].replace("SameSite=lax", "SameSite=None")
        secure = "" if "; Secure" in cookie else "; Secure"
        response.headers["Set-Cookie"] = f"{cookie}{secure}; Partitioned"


def _path(request: Request) -> str:
    """Return the cookie's path, so that it is sent to this service only, not to others behind the same proxy."""
    return request.scope.get("root_path", "") or "/"
