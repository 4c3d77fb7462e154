"""uvicorn as this service runs it: its configuration, and the few parts of it that are overridden."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import uvicorn

from lookout.auth.origins import proxies
from lookout.server.binding import BACKLOG
from lookout.server.http_protocol import BoundedConnection, sweep
from lookout.server.listener import DEFAULT_CAPACITY, BoundedListener, Capacity
from lookout.server.refusals import HEAD_S
from lookout.server.websocket_protocol import BoundedWebSocket
from lookout.settings.schema import ServerSettings

# How often connections are swept and the Date header is renewed.
TICK_S = 1.0
# Responses in progress get this long to finish; the engine needs a second after that, and a stop takes at most five.
GRACEFUL_S = 2


def configure(app: object, settings: ServerSettings, capacity: Capacity = DEFAULT_CAPACITY) -> uvicorn.Config:
    """Return uvicorn's configuration, with Lookout's protocols and lower limits than uvicorn's, for small machines."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        server_header=False,
        http=partial(BoundedConnection, capacity=capacity),  # type: ignore[arg-type]
        ws=BoundedWebSocket,
        backlog=BACKLOG,  # at most this many are accepted before the surplus is closed
        root_path=settings.root_path,
        proxy_headers=True,
        forwarded_allow_ips=proxies(settings.trusted_proxies),
        timeout_graceful_shutdown=GRACEFUL_S,
        ssl_certfile=_text(settings.tls_certificate),
        ssl_keyfile=_text(settings.tls_key),
        ws_max_size=64 * 1024,  # clients send acknowledgements, nothing larger
        ws_per_message_deflate=False,  # pictures are compressed already, states are small
    )


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


class WebServer(uvicorn.Server):
    """uvicorn's server without its signal handling, which would raise signals again and falsify the exit status.

    stopping: ends the server once it is set, as `should_exit` does, but at once.
    """

    stopped_by: signal.Signals | None = None

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def bound_handshakes(self, listener: BoundedListener) -> None:
        """Give a TLS handshake as long as a head, not a minute, and let it give way to established connections."""
        loop = asyncio.get_running_loop()
        if self.config.ssl_certfile:
            loop.create_server = partial(loop.create_server, ssl_handshake_timeout=HEAD_S)  # type: ignore[method-assign]
        listener.is_made = lambda address: any(
            getattr(one, "client", None) == address for one in self.server_state.connections
        )

    async def main_loop(self) -> None:
        """Run until the server is to stop. uvicorn's own loop wakes the processor ten times a second to ask that."""
        while not (await self.on_tick(0) or self._stopping.is_set()):  # at 0, uvicorn renews the Date header
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_S)

    async def on_tick(self, counter: int) -> bool:
        """Called by `main_loop`."""
        sweep(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)
