"""Announces the service in the local network, so that `lookout find` and other mDNS browsers list it."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from urllib.parse import urlsplit

import psutil
from zeroconf import ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from lookout import __version__
from lookout.errors import LookoutError
from lookout.integrations.interface import IntegrationStatus, Parts
from lookout.integrations.mdns import SERVICE_TYPE

log = logging.getLogger(__name__)

MAX_PAUSE_S = 60.0
# A DNS label has at most 63 bytes, and zeroconf may append a number if the name is taken.
_MAX_LABEL_BYTES = 58
_LOOPBACK = ("127.", "::1", "localhost")


class NotAnnounced(LookoutError):
    """The service cannot be announced in the local network."""

    code = "not_announced"
    title = "Lookout cannot be announced in the network"
    status = 503


class OnlyLocal(NotAnnounced):
    """The service should be announced, but the network cannot reach it."""

    code = "only_local"
    title = "Only this machine can reach Lookout"


class Mdns:
    """Keeps the announcement up; retries while there is no network."""

    name = "mdns"

    def __init__(self, parts: Parts, interfaces: list[str] | None = None) -> None:
        """interfaces: addresses of the network interfaces to use; None: all."""
        self._interfaces = interfaces
        self._info = _service_info(parts)
        self._is_local = (urlsplit(parts.address).hostname or "").startswith(_LOOPBACK)
        self._status = IntegrationStatus("starting", time.monotonic())
        self._task: asyncio.Task[None] | None = None

    def status(self) -> IntegrationStatus:
        return self._status

    async def start(self) -> None:
        if self._is_local and self._interfaces is None:
            self._failed(
                OnlyLocal(
                    "Only this machine can reach Lookout.", 'Set server.host to "0.0.0.0", or server.announce off.'
                )
            )
            return
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pause_s = 1.0
        while True:
            try:
                await self._announce()
            except Exception as error:  # an error of the sockets or of zeroconf: the service goes on
                why = f"It cannot be announced: {error or type(error).__name__}."
                self._failed(NotAnnounced(why, "It is tried again by itself."))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

    async def _announce(self) -> None:
        """Announce the service until cancelled; closing sends the goodbye packet."""
        self._info.addresses = [_packed(address) for address in self._interfaces or _addresses()]
        network = AsyncZeroconf(interfaces=self._interfaces) if self._interfaces else AsyncZeroconf()
        try:
            await (await network.async_register_service(self._info, allow_name_change=True))
            self._status = IntegrationStatus("ok", time.monotonic())
            await asyncio.Event().wait()
        finally:
            await network.async_close()

    def _failed(self, error: NotAnnounced) -> None:
        before = self._status
        if before.detail != error.detail:
            log.warning("%s", error)
        since = before.since if before.status == "failed" else time.monotonic()
        self._status = IntegrationStatus.failed(error, since)


def _service_info(parts: Parts) -> ServiceInfo:
    address = urlsplit(parts.address)
    host = socket.gethostname().partition(".")[0] or "lookout"
    name = parts.control.loaded.settings.server.name or f"Lookout {host}"
    port = address.port or (443 if address.scheme == "https" else 80)
    # Host and port make the label unique, so that two devices of the same name need not detect the conflict in time.
    label = f"{host} {port} {name}".replace(".", " ").encode()[:_MAX_LABEL_BYTES].decode("utf-8", "ignore").strip()
    return ServiceInfo(
        SERVICE_TYPE,
        f"{label}.{SERVICE_TYPE}",
        port=port,
        server=f"{host}.local.",
        properties={"name": name, "version": __version__, "scheme": address.scheme, "path": address.path or "/"},
    )


def _addresses() -> list[str]:
    """Return this machine's addresses, without loopback and link-local ones."""
    found = [entry for entries in psutil.net_if_addrs().values() for entry in entries]
    plain = [entry.address for entry in found if entry.family in (socket.AF_INET, socket.AF_INET6)]
    return [one for one in plain if not one.startswith(("127.", "::1", "fe80:"))]


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
