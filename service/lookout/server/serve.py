"""The process: socket, engine, event loop, signals. Everything that starts and ends together is here."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from lookout.engine.control import Control
from lookout.engine.housekeeping import Housekeeping
from lookout.errors import DiskSlow, StateFolderUnusable
from lookout.integrations.interface import Parts
from lookout.server.addresses import address_for_links, address_of, bound
from lookout.server.binding import listen
from lookout.server.door import may_have_token, refuse_open_door
from lookout.server.listener import BoundedListener, Capacity
from lookout.server.tls import check_tls, renew_certificate
from lookout.server.wiring import ServiceParts, build
from lookout.settings.folders import prepare_state_folder
from lookout.settings.installation import address_for_others
from lookout.settings.layers import LoadedSettings
from lookout.storage import Hold, sole_use
from lookout.system import memory
from lookout.system.threads import start_pool

if TYPE_CHECKING:
    from lookout.server.web_server import WebServer

log = logging.getLogger(__name__)

# Half of the threads are left for reading the machine's figures: a reload may wait for a camera or a model.
_MAX_RELOADS = 2
_HELPERS = 2 * _MAX_RELOADS
# The routes that a first answer does not need are imported this long after it; or this long after the start, if there
# is none, because there is no camera.
_AFTER_ANSWER_S, _AFTER_START_S = 0.5, 5.0
# Errors of a full or write-protected card: it can still be read.
_READABLE = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT})
# Errors of a dying card, or of a share whose server is missing.
_UNREADABLE = frozenset({errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN})


def serve(loaded: LoadedSettings, *, reload: Callable[[], LoadedSettings], announce: Callable[[str], None]) -> None:
    """Run the service until SIGTERM or SIGINT. Blocks.

    reload: reads the settings again, at SIGHUP. announce: called with the dashboard's URL once the service answers.
    Raises AddressInUse, SettingInvalid, StateFolderInUse or StateFolderUnusable before anything has started,
    KeyboardInterrupt after an orderly stop by SIGINT.
    """
    check_tls(loaded.settings.server)
    answers = _prepare(loaded.state_folder)
    with sole_use(loaded.state_folder) if answers else contextlib.nullcontext() as hold:
        _serve(loaded, hold, reload, announce)


def _serve(
    loaded: LoadedSettings,
    hold: Hold | None,
    reload: Callable[[], LoadedSettings],
    announce: Callable[[str], None],
) -> None:
    """Run the service. hold: the lock on the state folder; None if its disk cannot be read."""
    settings, answers = loaded.settings, hold is not None
    parts = build(loaded, reload, folder_answers=answers)
    refuse_open_door(settings.server, has_token=not answers or may_have_token(settings.server, parts.tokens))
    with contextlib.closing(listen(settings.server, Capacity.here())) as listener:
        if hold is not None:
            hold.note(address_for_others(bound(listener, settings)))
        try:
            server = _start(parts, listener, folder_answers=answers)
            asyncio.run(_run(server, listener, parts, announce))
        finally:
            parts.stop()
        log.info("Stopped.")
        if server.stopped_by == signal.SIGINT:
            raise KeyboardInterrupt  # an orderly stop, but the exit status should show Ctrl+C


def _start(parts: ServiceParts, listener: BoundedListener, *, folder_answers: bool) -> WebServer:
    """Start all parts, and return the web server, which is imported meanwhile: a third of all imports.

    Loading a model mostly takes a core that importing does not use.
    """
    with memory.without_collection(), ThreadPoolExecutor(1, "start") as pool:
        starting = pool.submit(parts.start, folder_answers=folder_answers)
        server = _web_server(parts, listener)
        starting.result()
    return server


def _web_server(parts: ServiceParts, listener: BoundedListener) -> WebServer:
    from lookout.server.web_server import WebServer, configure

    return WebServer(configure(parts.app, parts.loaded.settings.server, listener.capacity), parts.services.stopping)


def _prepare(folder: Path) -> bool:
    """Prepare the folder and return whether its disk can be read. Raises StateFolderUnusable if the folder is wrong.

    A broken disk does not prevent the start: after restarting a Pi in the field, people want answers.
    """
    try:
        prepare_state_folder(folder)
    except DiskSlow as error:
        log.warning("%s %s", error.detail, error.remedy)
        return False
    except StateFolderUnusable as error:
        number = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
        if number not in _READABLE | _UNREADABLE:
            raise
        log.warning("%s Lookout runs anyway, but keeps no changes.", error.detail)
        return number in _READABLE
    return True


async def _run(
    server: WebServer, listener: BoundedListener, parts: ServiceParts, announce: Callable[[str], None]
) -> None:
    """Serve until a signal. systemd gets READY once requests are answered, with or without a camera."""
    settings, housekeeping = parts.loaded.settings, parts.housekeeping
    asyncio.get_running_loop().set_default_executor(start_pool(_HELPERS, "helper"))
    _handle_signals(server, parts)
    server.bound_handshakes(listener)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    keeping = asyncio.create_task(housekeeping.run())
    watching = asyncio.create_task(_run_integrations(parts, address_for_links(listener, settings)))
    loading = asyncio.create_task(_load_late_routes(parts))
    loading.add_done_callback(lambda _: _stop_if_failed(loading, parts))
    if server.started:
        housekeeping.notifier.ready(housekeeping.sentence())
        announce(address_of(listener, settings))
    try:
        await serving
    finally:
        parts.services.stopping.set()  # in case serving ended on its own
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        await watching
    await loading  # raises what stopped the service


async def _load_late_routes(parts: ServiceParts) -> None:
    """Load the routes that a first answer does not need, once there was one. Raises what their import raises.

    A request that needs them does not wait for this. But a package that cannot be imported must show itself at the
    start, and a disk that fails later must not take routes with it.
    """
    hub, services = parts.hub, parts.services
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_AFTER_START_S):
            while (state := hub.latest()).prediction is None and not services.stopping.is_set():
                await hub.changed(state.sequence, _AFTER_START_S)
    await services.sleep(_AFTER_ANSWER_S)
    if not services.stopping.is_set():
        await parts.app.state.late_routes.load()


def _stop_if_failed(loading: asyncio.Task[None], parts: ServiceParts) -> None:
    if not loading.cancelled() and loading.exception() is not None:
        parts.services.stopping.set()


def _handle_signals(server: WebServer, parts: ServiceParts) -> None:
    """Stop the service at SIGTERM and SIGINT, and read the settings again at SIGHUP."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def stop(number: signal.Signals) -> None:
        server.stopped_by = number
        parts.housekeeping.notifier.stopping("Stopping.")
        # The loop waits for its threads, and one of them may be waiting for a camera that hangs.
        parts.engine.close_mailbox()
        parts.services.stopping.set()
        server.should_exit = True

    def reload() -> None:
        if len(reloads) >= _MAX_RELOADS:  # the one that is waiting will read the current file
            return
        task = loop.create_task(_reload(parts.control, parts.housekeeping, server))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, reload)


async def _run_integrations(parts: ServiceParts, address: str) -> None:
    """Run the integrations. They start once requests are answered, and end while the last responses are sent."""
    services = parts.services
    history = parts.history
    given = Parts(
        parts.hub,
        parts.control,
        parts.storage,
        history.feed,
        address,
        forecast=lambda: history.forecast() if parts.loaded.settings.events.enabled else None,
        quiet=services.integrations.quiet,
    )
    await services.integrations.start(given)
    await services.stopping.wait()
    await services.integrations.stop()


async def _reload(control: Control, housekeeping: Housekeeping, server: WebServer) -> None:
    housekeeping.notifier.reloading()
    try:
        await asyncio.to_thread(control.reload)
        if server.config.ssl is not None:
            await renew_certificate(server.config.ssl, control.loaded.settings.server)
    finally:
        housekeeping.notifier.ready(housekeeping.sentence())
