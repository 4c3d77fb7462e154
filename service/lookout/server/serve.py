"""The process: socket, engine, event loop, signals. Everything that starts and ends together is here."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path

import uvicorn

from lookout.api.app import create_app
from lookout.auth.names import is_loopback
from lookout.auth.origins import proxies
from lookout.auth.tokens import TokenStore
from lookout.engine.control import Control, was_paused
from lookout.engine.housekeeping import Housekeeping
from lookout.engine.worker import Engine, first_state
from lookout.errors import AddressInUse, DiskSlow, LookoutError, SettingInvalid, StateFolderUnusable
from lookout.events.event import ModelUsed
from lookout.events.history import History
from lookout.frame import Pixels
from lookout.healthcheck import check
from lookout.integrations.interface import Parts
from lookout.integrations.running import Integrations
from lookout.registry.catalogue import Catalogue
from lookout.registry.loader import MachineProfile
from lookout.server.http_protocol import BoundedConnection, sweep
from lookout.server.listener import DEFAULT_CAPACITY, BoundedListener, Capacity
from lookout.server.refusals import HEAD_S
from lookout.server.tls import check_tls, renew_certificate
from lookout.server.websocket_protocol import BoundedWebSocket
from lookout.settings.installation import address_for_others
from lookout.settings.layers import LoadedSettings
from lookout.settings.schema import ServerSettings, Settings, StateSettings
from lookout.settings.sources import prepare_state_folder
from lookout.state.hub import Hub
from lookout.storage import Hold, Limits, Storage, sole_use
from lookout.system.threads import start_pool

log = logging.getLogger(__name__)

# Responses in progress get this long to finish; the engine needs a second after that, and a stop takes at most five.
GRACEFUL_S = 2
# Newest wins in the kernel, too: what it queues for a slow reader is old by the time it arrives.
SEND_BUFFER_BYTES = 64 * 1024
NOT_SENT_LOW_WATER_BYTES = 16 * 1024
BACKLOG = 128
# From <linux/in.h> and <linux/in6.h>; Python does not define them.
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78
# Seconds for finding out who has the port.
_LOOK_S = 1.0
# Half of them for reading the machine: reading the settings again may wait for a camera or a model.
_MAX_RELOADS = 2
_HELPERS = 2 * _MAX_RELOADS
# Errors of a full or write-protected card: it can still be read.
_READABLE = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT})
# Errors of a dying card, or of a share whose server is missing.
_UNREADABLE = frozenset({errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN})
# A peer that acknowledges nothing for this long is gone.
GONE_AFTER_MS = 10_000


class NotOurAddress(SettingInvalid):
    """This machine does not have the address it should listen on, or not yet: after a boot the network may come later.

    So it is not an error after which a supervisor should give up.
    """

    exit_code = 1


def serve(loaded: LoadedSettings, *, reload: Callable[[], LoadedSettings], announce: Callable[[str], None]) -> None:
    """Run the service until SIGTERM or SIGINT. Blocks.

    reload: reads the settings again, at SIGHUP. announce: called with the address people open, once it answers.
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
    """hold: on the state folder; None if its disk cannot be read."""
    settings, answers = loaded.settings, hold is not None
    storage = Storage(loaded.state_folder, loaded.cache_folder, limits_of(settings.state))
    tokens = TokenStore(loaded.state_folder, settings.server.token_file, storage)
    refuse_open_door(settings.server, has_token=not answers or bool(tokens.tokens()))
    with contextlib.closing(listen(settings.server, Capacity.here())) as listener:
        if hold is not None:
            hold.note(address_for_others(_bound(listener, settings)))
        hub = Hub(first_state(settings, time.monotonic()))
        profile = MachineProfile.at(loaded.cache_folder, storage)
        paused = was_paused(loaded.state_folder) if answers else None
        # Unknown: closed, since a pause must survive a restart whatever the disk does.
        closed = paused is not False
        catalogue = Catalogue.of(settings, loaded.state_folder)
        engine = Engine(settings, catalogue, hub, profile=profile, paused=closed)
        control = Control(loaded, engine, reload, storage)
        history = History(
            loaded.state_folder, storage, hub, lambda: engine.settings, embed=partial(describe_picture, engine)
        )
        app = create_app(engine, hub, control, tokens, history)
        server = _Server(_config(app, settings.server, listener.capacity))
        housekeeping = Housekeeping(
            engine, hub, profile=profile, trouble=lambda: storage.trouble() or history.trouble()
        )
        storage.start()
        control.forget_overruled()
        tokens.watch(folder_answers=answers)
        try:
            history.start()
            engine.start()
            if paused is None:
                log.warning("The camera stays closed until the disk shows whether it was paused, or somebody opens it.")
            if paused is None or loaded.unread:
                threading.Thread(target=control.catch_up, name="catch up", daemon=True).start()
            parts = Parts(hub, control, storage, history.feed, _address_for_links(listener, settings))
            beside = partial(_run_beside, app.state.services.integrations, parts, app.state.stopping)
            asyncio.run(_run(server, listener, app.state.stopping, engine, control, housekeeping, beside, announce))
        finally:
            if not engine.stop():
                log.warning("The camera loop did not end in time and is abandoned.")
            tokens.close()
            history.stop()
            if storage.close():
                history.store.close()
        log.info("Stopped.")
        if server.stopped_by == signal.SIGINT:
            raise KeyboardInterrupt  # orderly, but the exit status should tell of Ctrl+C


def describe_picture(engine: Engine, pixels: Pixels) -> tuple[ModelUsed, bytes] | None:
    """What the network in use makes of a picture, as float16, and which network; None where it does not tell.

    pixels: uint8, height x width x 3, blue-green-red.
    """
    try:
        classifier, prediction = engine.model.classify(pixels, embedding=True)
    except LookoutError:
        return None
    if prediction.embedding is None:
        return None
    card = classifier.card
    return ModelUsed(card.name, card.version, classifier.precision), prediction.embedding.astype("float16").tobytes()


def _prepare(folder: Path) -> bool:
    """Whether the folder's disk can be read. Raises StateFolderUnusable if the folder is wrong.

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


def limits_of(settings: StateSettings) -> Limits:
    """The budget for what is written to disk."""
    return Limits(per_day=settings.max_bytes_per_day, total=settings.max_bytes)


def refuse_open_door(settings: ServerSettings, *, has_token: bool) -> None:
    """Nobody outside this machine is admitted without a token, unless that is set explicitly. Raises SettingInvalid."""
    if is_loopback(settings.host) or has_token:
        return
    if settings.auth == "none":
        log.warning("server.auth is none: everybody who can reach %s is admitted.", settings.host)
        return
    raise SettingInvalid(
        f"server.host {settings.host} can be reached from other machines, but there is no token.",
        "Make one with `lookout token`, or set server.auth to none to admit everybody.",
    )


def listen(settings: ServerSettings, capacity: Capacity = DEFAULT_CAPACITY) -> BoundedListener:
    """The listening socket. Raises AddressInUse for a taken port, SettingInvalid for a host that is not one of ours."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Declared as TCP, or asyncio would leave Nagle's algorithm on: a response on a kept connection then takes 40 ms.
    try:
        listener = BoundedListener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, capacity)
    except OSError as error:  # IPv6 is switched off
        raise _unusable(settings, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT_LOW_WATER_BYTES)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_AFTER_MS)
        _bind(listener, settings)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _unusable(settings, error) from error
    return listener


def _bind(listener: socket.socket, settings: ServerSettings) -> None:
    """Raises OSError.

    After a boot the network may come later. Under a supervisor the address is then bound ahead of time: exiting, to be
    restarted every other second, would fill the journal and keep the camera closed.
    """
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL or "NOTIFY_SOCKET" not in os.environ:
            raise
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        listener.bind((settings.host, settings.port))
        log.warning(
            "server.host %s is not an address of this machine yet: nobody can reach Lookout until it is. "
            "If that does not change, set it to 127.0.0.1, or 0.0.0.0 for all.",
            settings.host,
        )


def _unusable(settings: ServerSettings, error: OSError) -> LookoutError:
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(
            f"Port {settings.port} on {settings.host} is taken by {_holder(settings)}.",
            f"See which with `ss -ltnp 'sport = :{settings.port}'`, or choose another with --server.port.",
        )
    if error.errno == errno.EACCES:
        return SettingInvalid(
            f"This user may not listen on port {settings.port}.", "Choose a server.port of 1024 or more."
        )
    return NotOurAddress(
        f'server.host "{settings.host}" is not an address of this machine.', "Set it to 127.0.0.1, or 0.0.0.0 for all."
    )


def _holder(settings: ServerSettings) -> str:
    """Which program has the port, as part of a sentence."""
    try:
        answer = check(loopback_address(settings) + "healthz", _LOOK_S)
        return "another Lookout that runs" if json.loads(answer) == {"status": "ok"} else "another program"
    except (OSError, ValueError):
        return "another program"


def address_of(listener: socket.socket, settings: Settings) -> str:
    """The URL for a browser on this machine; if others can reach it, theirs, too."""
    server = _bound(listener, settings)
    here = loopback_address(server, server.root_path)
    if server.host not in ("0.0.0.0", "::") or _is_container():
        return here
    return f"{here} (from elsewhere {address_for_others(server)})"


def _bound(listener: socket.socket, settings: Settings) -> ServerSettings:
    """The settings with the host and port that the listener really has."""
    host, port = listener.getsockname()[:2]
    return settings.server.model_copy(update={"host": host, "port": port})


def _address_for_links(listener: socket.socket, settings: Settings) -> str:
    """The URL for other machines, if they can reach this one; else the local one. Ends in a slash."""
    server = _bound(listener, settings)
    return loopback_address(server, server.root_path) if is_loopback(server.host) else address_for_others(server)


def _is_container() -> bool:
    """A container's host name is unknown outside."""
    return Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or "container" in os.environ


def loopback_address(server: ServerSettings, path: str = "") -> str:
    """The address at which this machine reaches a service with these settings. Ends in a slash."""
    host = "127.0.0.1" if server.host in ("0.0.0.0", "::") else server.host
    return f"{_scheme(server)}://{f'[{host}]' if ':' in host else host}:{server.port}{path}/"


def _scheme(server: ServerSettings) -> str:
    return "https" if server.tls_certificate else "http"


def _config(app: object, settings: ServerSettings, capacity: Capacity = DEFAULT_CAPACITY) -> uvicorn.Config:
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


class _Server(uvicorn.Server):
    """uvicorn, but with our signal handling: it would raise them again at the end, and falsify the exit status."""

    stopped_by: signal.Signals | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if counter % 10 == 0:
            sweep(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)


async def _run(
    server: _Server,
    listener: BoundedListener,
    stopping: asyncio.Event,
    engine: Engine,
    control: Control,
    housekeeping: Housekeeping,
    beside: Callable[[], Coroutine[None, None, None]],
    announce: Callable[[str], None],
) -> None:
    """Serve until a signal. systemd gets READY once requests are answered, with or without a camera."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(start_pool(_HELPERS, "helper"))
    notifier = housekeeping.notifier
    reloads: set[asyncio.Task[None]] = set()

    def stop(number: signal.Signals) -> None:
        server.stopped_by = number
        notifier.stopping("Stopping.")
        engine.close_mailbox()  # the loop waits for its threads, and one of them may be waiting for a camera that hangs
        stopping.set()
        server.should_exit = True

    def reload() -> None:
        if len(reloads) >= _MAX_RELOADS:  # the one that is waiting will read the current file
            return
        task = loop.create_task(_reload(control, housekeeping, server))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, reload)
    if control.loaded.settings.server.tls_certificate:  # a handshake gets as long as a head, not a minute
        loop.create_server = partial(loop.create_server, ssl_handshake_timeout=HEAD_S)  # type: ignore[method-assign]
    listener.is_made = lambda address: any(
        getattr(one, "client", None) == address for one in server.server_state.connections
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    keeping = asyncio.create_task(housekeeping.run())
    watching = asyncio.create_task(beside())
    if server.started:
        notifier.ready(housekeeping.sentence())
        announce(address_of(listener, control.loaded.settings))
    try:
        await serving
    finally:
        stopping.set()  # in case serving ended by itself
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        await watching


async def _run_beside(integrations: Integrations, parts: Parts, stopping: asyncio.Event) -> None:
    """Integrations start once requests are answered, and end while the last responses do."""
    await integrations.start(parts)
    await stopping.wait()
    await integrations.stop()


async def _reload(control: Control, housekeeping: Housekeeping, server: _Server) -> None:
    housekeeping.notifier.reloading()
    try:
        await asyncio.to_thread(control.reload)
        if server.config.ssl is not None:
            await renew_certificate(server.config.ssl, control.loaded.settings.server)
    finally:
        housekeeping.notifier.ready(housekeeping.sentence())
