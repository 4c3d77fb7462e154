"""What the resources share, wired once by the factory and handed to every endpoint."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from fastapi import Depends
from starlette.requests import HTTPConnection

from service.api.jpeg import Encoder
from service.api.uploads import Uploads
from service.api.viewers import Viewers
from service.control import Control
from service.engine import Engine
from service.hub import Hub
from service.state import State, StateView, view
from service.tokens import TokenStore

T = TypeVar("T")

# Within this many seconds all watchers of one state get the same text: fifty of them ask at the same moment.
_SAME_TEXT_S = 0.01


@dataclass(slots=True)
class Services:
    """One application's parts. `changes` is the one thread on which settings are changed and files are read."""

    engine: Engine
    hub: Hub
    control: Control
    tokens: TokenStore
    encoder: Encoder
    uploads: Uploads
    viewers: Viewers = field(default_factory=Viewers)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    changes: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "changes"))
    _told: tuple[State, float, str] | None = None

    def view(self, state: State | None = None) -> StateView:
        """What is told of a state (the newest, if none is given) at this moment."""
        return view(state or self.hub.latest(), time.monotonic(), time.time(), self.hub.system)

    def text(self, state: State) -> str:
        """The same as JSON."""
        now = time.monotonic()
        if self._told is None or self._told[0] is not state or now - self._told[1] > _SAME_TEXT_S:
            text = json.dumps(self.view(state), ensure_ascii=False, separators=(",", ":"))
            self._told = (state, now, text)
        return self._told[2]

    async def on_changes_thread(self, work: Callable[[], T]) -> T:
        """Run what blocks (files, the worker's answer) beside the loop; such things happen one after the other."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self.changes, work))

    async def pause(self, seconds: float) -> None:
        """Sleep, but not longer than the service lives."""
        if seconds > 0 and not self.stopping.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self.stopping.wait()
            except TimeoutError:
                pass

    def close(self) -> None:
        self.encoder.close()
        self.uploads.close()
        self.changes.shutdown(wait=False, cancel_futures=True)


def services(connection: HTTPConnection) -> Services:
    found = connection.app.state.services
    assert isinstance(found, Services)
    return found


Provided = Annotated[Services, Depends(services)]
