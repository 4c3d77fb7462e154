"""Who may do what, before any endpoint runs: host names, origins, tokens; and the security headers of responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookout.api.middleware.credentials import challenges, shown_token
from lookout.api.middleware.name_page import name_page, wants_page
from lookout.api.problems import problem, respond
from lookout.api.streaming.aliases import canonical
from lookout.auth.admission import Admission
from lookout.auth.names import HostNames, UnknownName, is_loopback
from lookout.auth.origins import check_origin, comes_directly, proxies
from lookout.auth.scopes import PICTURES, grants, needed
from lookout.auth.scopes import Scope as Needed
from lookout.auth.tokens import Token, TokenStore
from lookout.errors import LookoutError, NotAuthorised, ScopeMissing
from lookout.settings.schema import ServerSettings
from lookout.system.peer import is_another_service, uid_at

NO_TOKEN, FOREIGN_ORIGIN = 4401, 4403
_TRY_LATER = 1013
# The query parameter that stands for a token and opens only the pictures.
LINK = "link"
SUBPROTOCOL = "lookout.v1"
# Reading these needs no token: health checks have none, and the login page must load without one.
_OPEN = frozenset(
    {"/healthz", "/healthz/camera", "/readyz", "/login", "/api/login", "/v2/health/live", "/v2/health/ready"}
    # These show nothing without the signed link of a notice, which they check themselves.
    | {"/notice", "/notice/picture.jpg"}
)
# Without a token, these show the login page instead.
_PAGES = frozenset({"/", "/lab"})


def cookie_name(connection: HTTPConnection) -> str:
    """Return the cookie's name, which contains the port because cookies are shared by all ports of a host."""
    server = connection.scope.get("server")
    return f"lookout_{server[1] if server else 0}"


def still_admitted(connection: HTTPConnection) -> bool:
    """Return whether a streaming response may go on: its token may have been revoked since."""
    check: Callable[[], bool] | None = connection.scope.get("lookout.admitted")
    return check is None or check()


def route_path(scope: Scope) -> str:
    """Return the path without the sub-path, whether or not the proxy strips it (the server prepends it once)."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    for _ in range(2):
        if root and (path == root or path.startswith(root + "/")):
            path = path[len(root) :]
    return path


class Access:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        settings: ServerSettings,
        tokens: TokenStore,
        admission: Admission,
        command: str,
        open_files: Iterable[str] = (),
        local_paths: Iterable[str] = (),
    ) -> None:
        """command: makes a token on this machine. open_files: paths of the files that the login page loads.

        local_paths: paths that need no token for requests from this machine.
        """
        self._app = app
        self._settings = settings
        self._tokens = tokens
        self._admission = admission
        self._command = command
        self._names = HostNames(settings.allowed_hosts)
        self._proxies = proxies(settings.trusted_proxies)
        self._open = _OPEN | frozenset(open_files)
        self._local_paths = frozenset(local_paths)
        self._headers = security_headers(settings)
        self._picture_headers = self._headers | {"Cross-Origin-Resource-Policy": settings.allowed_images}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = route_path(scope)
        if path == "" and scope["type"] == "websocket":
            path = "/"  # not a WebSocket endpoint: refused in the way that its client understands
        if path == "":
            await RedirectResponse(scope["root_path"] + "/", 307)(scope, receive, send)
            return
        if scope["type"] == "http":
            path = canonical(scope["method"], path, scope["query_string"])
        scope["path"] = scope.get("root_path", "") + path
        connection = HTTPConnection(scope)
        try:
            await self._check(connection, path)
        except LookoutError as error:
            await self._refuse(error, path, scope, receive, self._with_headers(send, path))
        else:
            await self._app(scope, receive, self._with_headers(send, path))

    async def _check(self, connection: HTTPConnection, path: str) -> None:
        """Check the host, the origin and the token. Raises Forbidden, NotAuthorised or ScopeMissing."""
        # Of several Host headers, others may see another than we do: each must be one of ours.
        hosts = [*(connection.headers.getlist("host") or [""]), *self._forwarded_host(connection)]
        for host in hosts:
            self._names.check(host)
        method = str(connection.scope.get("method", "WEBSOCKET"))
        check_origin(method, connection.headers, hosts, self._settings.allowed_origins)
        if path in self._open:
            return
        if self._settings.auth == "none":
            return
        if self._is_local(connection) and not self._tokens.tokens() and not self._is_of_another_service(connection):
            # Until somebody makes the first token.
            connection.scope["lookout.admitted"] = lambda: not self._tokens.tokens()
            return
        if path in self._local_paths and method in ("GET", "HEAD") and self._is_direct(connection):
            return
        need = needed(method, path)
        token = await self._token_of(connection)
        if token is None and need == "stream" and self._admit_by_link(connection):
            return
        if token is None:
            raise self._not_authorised()
        self._tokens.uses.note(token.id)
        if not grants(token.scope, need):
            raise _too_narrow(token, need, self._command)
        token_id = token.id
        connection.scope["lookout.token"] = token
        connection.scope["lookout.admitted"] = lambda: any(one.id == token_id for one in self._tokens.tokens())

    def _admit_by_link(self, connection: HTTPConnection) -> bool:
        """Admit the request if its URL contains a signed link, for as long as the link and its token are valid."""
        text = connection.query_params.get(LINK, "")
        token = self._tokens.link(text) if text else None
        if token is None or not grants(token.scope, "stream"):
            return False
        self._tokens.uses.note(token.id)
        connection.scope["lookout.admitted"] = lambda: self._tokens.link(text) is not None
        return True

    def _forwarded_host(self, connection: HTTPConnection) -> list[str]:
        """Return the name by which a trusted proxy was addressed, if it sends one. Checked like the Host header."""
        name = connection.headers.get("x-forwarded-host", "").partition(",")[0].strip()
        # The server has already replaced a trusted proxy's address by the viewer's, whose port it does not know.
        client = connection.client
        trusted = client is not None and (client.host in self._proxies or client.port == 0)
        return [name] if name and trusted else []

    def _is_local(self, connection: HTTPConnection) -> bool:
        """Return whether the request seems to be made on and for this machine, not through a proxy or tunnel."""
        client = connection.client
        if self._settings.auth != "token" or client is None or not is_loopback(self._settings.host):
            return False
        return self._is_direct(connection)

    @staticmethod
    def _is_direct(connection: HTTPConnection) -> bool:
        """Return whether the request seems to come from this machine itself."""
        client = connection.client
        if client is None or not is_loopback(client.host):
            return False
        version = str(connection.scope.get("http_version", ""))
        return comes_directly(connection.headers.get("host", ""), connection.headers, version)

    @staticmethod
    def _is_of_another_service(connection: HTTPConnection) -> bool:
        """Return whether the client runs under another service's account.

        A proxy need not identify itself, and its clients choose the Host header; but its user account is known.
        """
        client, server = connection.client, connection.scope.get("server")
        return bool(
            client and server and is_another_service(uid_at((client.host, client.port), (server[0], server[1])))
        )

    def _not_authorised(self) -> NotAuthorised:
        if not self._tokens.is_known_empty():
            return NotAuthorised(
                "No valid token came with the request.", "Log in, or send Authorization: Bearer TOKEN."
            )
        return NotAuthorised(
            "Nobody has made a token yet, and this request does not come from this machine itself."
            if self._settings.auth == "token"
            else "Nobody has made a token yet, and server.auth requires one from everybody.",
            f"Make a token before you set up a proxy: {self._command}",
        )

    async def _token_of(self, connection: HTTPConnection) -> Token | None:
        """Return the token of the cookie, or else of the Authorization header. Raises TooManyAttempts."""
        cookie = connection.cookies.get(cookie_name(connection))
        if cookie and (token := self._tokens.session(cookie)):
            return token
        shown = shown_token(connection.headers.get("authorization", ""))
        if not shown:
            return None
        return await self._admission.token(shown, connection.client.host if connection.client else "")

    async def _refuse(self, error: LookoutError, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            code = {403: FOREIGN_ORIGIN, 429: _TRY_LATER}.get(error.status, NO_TOKEN)
            await refuse_socket(error, code, scope, receive, send)
        elif path in _PAGES and isinstance(error, NotAuthorised) and scope["method"] in ("GET", "HEAD"):
            # A person gets the login page, not an error: browsers show the page of a 401 like any other.
            scope["path"] = scope.get("root_path", "") + "/login"
            scope["lookout.status"] = 401
            await self._app(scope, receive, send)
        elif isinstance(error, UnknownName) and error.name and wants_page(scope):
            await name_page(error, scope)(scope, receive, send)
        else:
            response = respond(error)
            if error.status == 401:
                del response.headers["WWW-Authenticate"]
                for challenge in challenges(scope["method"], path, Headers(scope=scope)):
                    response.headers.append("WWW-Authenticate", challenge)
            await response(scope, receive, send)

    def _with_headers(self, send: Send, path: str) -> Send:
        added = self._picture_headers if path in PICTURES else self._headers

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        return sending


def _too_narrow(token: Token, need: Needed, command: str) -> ScopeMissing:
    return ScopeMissing(
        f'The token "{token.name}" has the scope "{token.scope}", and this needs "{need}".',
        f"Make another one with: {command} --scope {need}",
    )


def subprotocol(scope: Scope) -> str | None:
    """Return Lookout's subprotocol if the client offers it: a browser whose offer is not accepted reads nothing."""
    return SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", []) else None


async def refuse_socket(error: LookoutError, code: int, scope: Scope, receive: Receive, send: Send) -> None:
    """Accept the connection, send the reason, and close: a browser hides from a page why a handshake was refused."""
    if (await receive())["type"] != "websocket.connect":
        return
    await send({"type": "websocket.accept", "subprotocol": subprotocol(scope)})
    await send({"type": "websocket.send", "text": json.dumps(problem(error))})
    await send({"type": "websocket.close", "code": code, "reason": error.code})


def security_headers(settings: ServerSettings) -> dict[str, str]:
    """Return the headers by which pages load nothing from other origins, are not embedded there, and leak no URLs.

    And by which no cache keeps what an endpoint did not say about: answers are of now, and many are private.
    """
    frames = " ".join(["'self'", *settings.allowed_frames])
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": frames,
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
