"""The routes that a first answer does not need. They are imported later, or by the first request for one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from fastapi import FastAPI
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from lookout.system import memory


class LateRoutes(BaseRoute):
    """Takes the place of all routes that are still to come: a request for one of them waits for them.

    That includes requests for nothing that exists, for until all routes are there nobody can tell.
    """

    def __init__(self, app: FastAPI, make: Callable[[], list[BaseRoute]]) -> None:
        """make: imports and returns every route, the first ones included; it takes up to seconds."""
        self._app = app
        self._make = make
        self._loading: asyncio.Future[None] | None = None

    def follow(self, first: Sequence[BaseRoute]) -> None:
        """Serve these routes until all are loaded."""
        self._app.router.routes = [*first, self]

    async def load(self) -> None:
        """Load all routes, once. Raises what their import raises; the next call then tries again."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(self._load))
        loading = self._loading
        try:
            await asyncio.shield(loading)
        except Exception:
            if self._loading is loading:
                self._loading = None
            raise

    def _load(self) -> None:
        with memory.without_collection():
            self._app.router.routes = self._make()

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match everything, a part of a path or another method included, so that nothing is refused too early."""
        return (Match.FULL if scope["type"] in ("http", "websocket") else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.load()
        await self._app.router(scope, receive, send)
