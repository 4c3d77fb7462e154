"""What the endpoints share, wired once by the factory."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from fastapi import Depends
from starlette.requests import HTTPConnection

from lookout.api.feature_map_requests import FeatureMapRequests
from lookout.api.inference.statistics import Inferences
from lookout.api.streaming.encoder import Encoder
from lookout.api.streaming.viewers import Viewers
from lookout.api.uploads import Uploads
from lookout.auth.admission import Admission
from lookout.auth.tokens import TokenStore
from lookout.engine.camera_list import CameraList
from lookout.engine.control import Control
from lookout.engine.worker import Engine
from lookout.errors import TooBusy
from lookout.events.history import History
from lookout.integrations.running import Integrations
from lookout.state.brief import MANY_LABELS, brief
from lookout.state.hub import Hub
from lookout.state.state import State
from lookout.state.view import StateView, view
from lookout.system.threads import start_pool

T = TypeVar("T")

# Within this many seconds all watchers of one state get the same text: fifty of them ask at the same moment.
_SAME_TEXT_S = 0.01
# People press buttons; more calls than this waiting at once do not come from a person.
_WAITING = 16


class BoundedExecutor:
    """Threads for blocking work, with a limit on what waits for them."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = start_pool(threads, name)
        self._room = threads + _WAITING

    async def run(self, work: Callable[[], T]) -> T:
        """Raises TooBusy. Work that has started runs to its end, even if its caller goes away."""
        if self._room <= 0:
            raise TooBusy("Too many requests at once.", "Try again in a moment.")
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        self._room -= 1
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, _: object) -> None:
        self._room += 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True)
class Services:
    """The application's parts.

    changes: for changes that the worker carries out, which may take seconds; several threads, so that a second change
    of model is refused at once. pauses: for pauses, which must not wait for other changes. files: for reading from
    disk. diary, edits: for reading and changing events. dashboard: the version of its files.
    """

    engine: Engine
    hub: Hub
    control: Control
    tokens: TokenStore
    admission: Admission
    encoder: Encoder
    uploads: Uploads
    history: History
    dashboard: str = ""
    viewers: Viewers = field(default_factory=Viewers)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    changes: BoundedExecutor = field(default_factory=lambda: BoundedExecutor(4, "changes"))
    pauses: BoundedExecutor = field(default_factory=lambda: BoundedExecutor(2, "pauses"))
    files: BoundedExecutor = field(default_factory=lambda: BoundedExecutor(1, "files"))
    diary: BoundedExecutor = field(default_factory=lambda: BoundedExecutor(3, "events"))
    edits: BoundedExecutor = field(default_factory=lambda: BoundedExecutor(1, "edits"))
    feature_map_requests: FeatureMapRequests = field(default_factory=FeatureMapRequests)
    cameras: CameraList = field(default_factory=CameraList)
    inferences: Inferences = field(default_factory=Inferences)
    integrations: Integrations = field(default_factory=Integrations)
    _last_text: dict[bool, tuple[State, float, str]] = field(default_factory=dict)

    def view(self, state: State | None = None) -> StateView:
        """The view of a state (by default the newest) at this moment."""
        return view(state or self.hub.latest(), time.monotonic(), time.time(), self.hub.system)

    def text(self, state: State, *, after_whole: bool = False) -> str:
        """The view as JSON. after_whole: for a watcher who was sent a whole one since this model is in use."""
        now = time.monotonic()
        short = after_whole and state.model is not None and len(state.model.labels) > MANY_LABELS
        last = self._last_text.get(short)
        if last is None or last[0] is not state or now - last[1] > _SAME_TEXT_S:
            view = self.view(state)
            text = json.dumps(brief(view) if short else view, ensure_ascii=False, separators=(",", ":"))
            self._last_text[short] = last = (state, now, text)
        return last[2]

    async def sleep(self, seconds: float) -> None:
        """For this many seconds, but no longer than the service runs."""
        if seconds > 0 and not self.stopping.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self.stopping.wait()
            except TimeoutError:
                pass

    def close(self) -> None:
        self.encoder.close()
        self.uploads.close()
        self.changes.close()
        self.pauses.close()
        self.files.close()
        self.diary.close()
        self.edits.close()
        self.feature_map_requests.close()


async def services(connection: HTTPConnection) -> Services:
    """Async, because the framework would call a plain function on another thread for every request."""
    found = connection.app.state.services
    assert isinstance(found, Services)
    return found


ServicesDep = Annotated[Services, Depends(services)]
