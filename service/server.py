"""The process: socket, engine, event loop, signals. Everything that starts and ends together is here."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from service.api.app import create_app
from service.catalogue import Catalogue
from service.engine import Engine, first_state
from service.errors import AddressInUse, LookoutError, SettingInvalid
from service.hub import Hub
from service.settings import ServerSettings, Settings

log = logging.getLogger(__name__)

# Viewers' endless responses get this long to end; systemd allows ten seconds in all.
GRACEFUL_S = 3
# Newest wins below us too: what the kernel has queued for a slow reader is old by the time it arrives.
SEND_BUFFER_BYTES = 64 * 1024
NOT_SENT_LOW_WATER_BYTES = 16 * 1024
BACKLOG = 128


def serve(settings: Settings, *, announce: Callable[[str], None], paused: bool = False) -> None:
    """Run the service until SIGTERM or SIGINT. Blocks.

    announce: told the address people open, once it answers.
    Raises AddressInUse or SettingInvalid before anything has started.
    """
    with contextlib.closing(listen(settings.server)) as listener:
        hub = Hub(first_state(settings, time.monotonic()))
        engine = Engine(settings, Catalogue.of(settings), hub, paused=paused)
        app = create_app(engine, hub, settings)
        server = _Server(_config(app, settings.server))
        engine.start()
        try:
            asyncio.run(_run(server, listener, app.state.stopping, lambda: announce(address_of(listener, settings))))
        finally:
            if not engine.stop():
                log.warning("The camera loop did not end in time and is abandoned.")
        log.info("Stopped.")


def listen(settings: ServerSettings) -> socket.socket:
    """The listening socket. Raises AddressInUse for a taken port, SettingInvalid for a host that is none of ours."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT_LOW_WATER_BYTES)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _unusable(settings, error) from error
    return listener


def _unusable(settings: ServerSettings, error: OSError) -> LookoutError:
    import errno

    if error.errno == errno.EADDRINUSE:
        return AddressInUse(
            f"Port {settings.port} on {settings.host} is taken by another program.",
            f"See which with `ss -ltnp 'sport = :{settings.port}'`, or choose another with --server.port.",
        )
    if error.errno == errno.EACCES:
        return SettingInvalid(
            f"This user may not listen on port {settings.port}.", "Choose a server.port of 1024 or more."
        )
    return SettingInvalid(
        f'server.host "{settings.host}" is no address of this machine.', "Set it to 127.0.0.1, or 0.0.0.0 for all."
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address_of(listener: socket.socket, settings: Settings) -> str:
    """What people type into a browser on this machine."""
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    scheme = "https" if settings.server.tls_certificate else "http"
    return f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{port}{settings.server.root_path}/"


def _config(app: object, settings: ServerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        server_header=False,
        root_path=settings.root_path,
        proxy_headers=True,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=GRACEFUL_S,
        ssl_certfile=_text(settings.tls_certificate),
        ssl_keyfile=_text(settings.tls_key),
        ws_max_size=64 * 1024,  # clients send acknowledgements, nothing larger
        ws_per_message_deflate=False,  # pictures are compressed already, states are small
    )


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


class _Server(uvicorn.Server):
    """uvicorn, but signals are ours: it would raise them again after stopping, and the exit status would lie."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _run(server: _Server, listener: socket.socket, stopping: asyncio.Event, ready: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopping.set()
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        ready()
    await serving
