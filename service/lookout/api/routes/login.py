"""Trading a token for a cookie: the token goes over in a body once, never in an address."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookout.api.context import Provided
from lookout.api.middleware.access import cookie_name
from lookout.api.problems import RequestTimeout, RequestTooLarge, errors
from lookout.api.schemas import LoggedIn, Login
from lookout.auth.tokens import SESSION_S
from lookout.errors import DiskBudgetSpent, NotAuthorised, RequestInvalid, StateFolderUnusable, TooBusy

router = APIRouter(tags=["access"])


@router.post(
    "/api/login",
    operation_id="login",
    summary="Log in with a token",
    response_model=LoggedIn,
    responses=errors(RequestInvalid, RequestTooLarge, RequestTimeout, StateFolderUnusable, DiskBudgetSpent, TooBusy),
)
async def login(given: Login, request: Request, app: Provided) -> Response:
    """Sets a cookie that stands for the token for 90 days, over restarts, and until the token is revoked."""
    token = await app.admission.token(given.token.strip(), request.client.host if request.client else "")
    if token is None:
        raise NotAuthorised(
            "There is no such token.", "`lookout token` prints one, on the machine the service runs on."
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
    return response


@router.post("/api/logout", operation_id="logout", summary="Forget the login", status_code=204, responses=errors())
async def logout(request: Request) -> Response:
    """Takes the cookie back. The token stays valid."""
    response = Response(status_code=204)
    response.delete_cookie(cookie_name(request), path=_path(request), httponly=True, samesite="lax")
    return response


def _path(request: Request) -> str:
    """The cookie is sent to this service alone, not to others behind the same proxy."""
    return request.scope.get("root_path", "") or "/"
