"""Who may do what, before any endpoint runs: names, origins, tokens; and the headers every answer carries."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterable

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookout.api.problems import problem, respond
from lookout.auth.origins import check_host, check_origin, comes_directly, host_names, is_loopback, proxies
from lookout.auth.tokens import Token, TokenStore
from lookout.errors import Forbidden, LookoutError, NotAuthorised
from lookout.settings.schema import ServerSettings
from lookout.system.peer import is_another_service, uid_at

NO_TOKEN, FOREIGN_ORIGIN = 4401, 4403
SUBPROTOCOL = "lookout.v1"
# A token that was made a moment ago is known after this; whoever shows a wrong one waits as long.
_JUST_MADE_S = 0.5
# Reading these needs no token: health checks have none, and one must be able to log in.
_OPEN = frozenset({"/healthz", "/readyz", "/login", "/api/login"})


def cookie_name(connection: HTTPConnection) -> str:
    """Cookies are shared by all ports of a host, so the name carries ours."""
    server = connection.scope.get("server")
    return f"lookout_{server[1] if server else 0}"


def still_admitted(connection: HTTPConnection) -> bool:
    """Whether an endless answer may go on: its token may have been revoked meanwhile."""
    check: Callable[[], bool] | None = connection.scope.get("lookout.admitted")
    return check is None or check()


async def looked_again(tokens: TokenStore) -> None:
    """Wait until the files have been looked at: another process may have made a token since they last were."""
    if not tokens.watched:
        return
    wanted, deadline = tokens.look_soon(), time.monotonic() + _JUST_MADE_S
    while tokens.looks < wanted and time.monotonic() < deadline:
        await asyncio.sleep(0.02)


def route_path(scope: Scope) -> str:
    """The path without the sub-path, whether or not the proxy strips it (the server has put it in front once)."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    for _ in range(2):
        if root and (path == root or path.startswith(root + "/")):
            path = path[len(root) :]
    return path


class Access:
    """ASGI middleware around the whole application."""

    def __init__(
        self, app: ASGIApp, settings: ServerSettings, tokens: TokenStore, open_files: Iterable[str] = ()
    ) -> None:
        """open_files: paths of what the login page loads."""
        self._app = app
        self._settings = settings
        self._tokens = tokens
        self._names = host_names(settings.allowed_hosts)
        self._proxies = proxies(settings.trusted_proxies)
        self._open = _OPEN | frozenset(open_files)
        self._headers = security_headers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = route_path(scope)
        if path == "" and scope["type"] == "websocket":
            path = "/"  # which is no address of one: refused in the way that its client understands
        if path == "":
            await RedirectResponse(scope["root_path"] + "/", 307)(scope, receive, send)
            return
        scope["path"] = scope.get("root_path", "") + path
        connection = HTTPConnection(scope)
        try:
            await self._check(connection, path)
        except LookoutError as error:
            await self._refuse(error, path, scope, receive, self._with_headers(send))
        else:
            await self._app(scope, receive, self._with_headers(send))

    async def _check(self, connection: HTTPConnection, path: str) -> None:
        """Raises Forbidden or NotAuthorised."""
        hosts = [connection.headers.get("host", ""), *self._forwarded_host(connection)]
        for host in hosts:
            check_host(host, self._names)
        method = str(connection.scope.get("method", "WEBSOCKET"))
        check_origin(method, connection.headers, hosts, self._settings.allowed_origins)
        if path in self._open:
            return
        if self._settings.auth == "none":
            return
        is_local = self._is_local(connection)
        if is_local and not self._tokens.tokens():
            # Until somebody makes the first token.
            connection.scope["lookout.admitted"] = lambda: not self._tokens.tokens()
            return
        token = self._token_of(connection) or await self._just_made(connection)
        if token is None:
            raise self._not_authorised(is_local)
        token_id = token.id
        connection.scope["lookout.token"] = token
        connection.scope["lookout.admitted"] = lambda: any(one.id == token_id for one in self._tokens.tokens())

    def _forwarded_host(self, connection: HTTPConnection) -> list[str]:
        """The name a trusted proxy was called by, if it says one. It has to pass the same check as the other."""
        name = connection.headers.get("x-forwarded-host", "").partition(",")[0].strip()
        # The server has already put the viewer's address in the place of a trusted proxy's; it knows no port of it.
        client = connection.client
        trusted = client is not None and (client.host in self._proxies or client.port == 0)
        return [name] if name and trusted else []

    def _is_local(self, connection: HTTPConnection) -> bool:
        """Whether the request was made on this machine, for this machine.

        A proxy or tunnel in front opens the machine to others, whether or not it says so, and the Host header is what
        its clients like. So the account that its connection belongs to is looked at as well.
        """
        client, server = connection.client, connection.scope.get("server")
        if self._settings.auth != "token" or client is None or server is None:
            return False
        if not (is_loopback(self._settings.host) and is_loopback(client.host)):
            return False
        version = str(connection.scope.get("http_version", ""))
        if not comes_directly(connection.headers.get("host", ""), connection.headers, version):
            return False
        return not is_another_service(uid_at((client.host, client.port), (server[0], server[1])))

    def _not_authorised(self, is_local: bool) -> NotAuthorised:
        if is_local or not self._tokens.is_known_empty():
            return NotAuthorised(
                "No valid token came with the request.", "Log in, or send Authorization: Bearer TOKEN."
            )
        return NotAuthorised(
            "Nobody has made a token yet, and without one only this machine itself is let in.",
            "Make a token before any proxy: lookout token.",
        )

    async def _just_made(self, connection: HTTPConnection) -> Token | None:
        if "authorization" not in connection.headers:
            return None
        await looked_again(self._tokens)
        return self._token_of(connection)

    def _token_of(self, connection: HTTPConnection) -> Token | None:
        shown = _shown_token(connection.headers.get("authorization", ""))
        if shown and (token := self._tokens.verify(shown)):
            return token
        cookie = connection.cookies.get(cookie_name(connection))
        return self._tokens.session(cookie) if cookie else None

    async def _refuse(self, error: LookoutError, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            code = FOREIGN_ORIGIN if isinstance(error, Forbidden) else NO_TOKEN
            await refuse_socket(error, code, scope, receive, send)
        elif path == "/" and isinstance(error, NotAuthorised) and scope["method"] in ("GET", "HEAD"):
            # A person: the door instead of a riddle. Browsers show the page of a 401 like any other.
            scope["path"] = scope.get("root_path", "") + "/login"
            scope["lookout.status"] = 401
            await self._app(scope, receive, send)
        else:
            await respond(error)(scope, receive, send)

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        return sending


def _shown_token(authorization: str) -> str:
    """The token of an Authorization header, empty where there is none.

    Programs that know only user and password, as most that show streams do, have it as the password of any user. We
    do not ask for that form: browsers would put up a dialogue of their own.
    """
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(text.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def subprotocol(scope: Scope) -> str | None:
    """Ours, if the client offers it. A browser that offers one and hears of none ends the connection unread."""
    return SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", []) else None


async def refuse_socket(error: LookoutError, code: int, scope: Scope, receive: Receive, send: Send) -> None:
    """A browser tells a page nothing of a refused handshake: so accept, say why, close."""
    if (await receive())["type"] != "websocket.connect":
        return
    await send({"type": "websocket.accept", "subprotocol": subprotocol(scope)})
    await send({"type": "websocket.send", "text": json.dumps(problem(error))})
    await send({"type": "websocket.close", "code": code, "reason": error.code})


def security_headers(settings: ServerSettings) -> dict[str, str]:
    """Nothing is loaded from elsewhere, nobody else embeds or reads us, no address of ours leaks."""
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
    }
