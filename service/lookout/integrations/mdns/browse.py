"""Finds the Lookouts that announce themselves in the local network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from zeroconf import ServiceBrowser, ServiceListener, Zeroconf

from lookout.integrations.mdns import SERVICE_TYPE
from lookout.printable import printable

MAX_FOUND = 1000
_ASK_MS = 1500


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """name, version: as announced, made safe to print. host: a numeric address, IPv6 in brackets."""

    name: str
    host: str
    port: int
    scheme: str
    path: str
    version: str

    @property
    def address(self) -> str:
        """The dashboard's URL."""
        return f"{self.scheme}://{self.host}:{self.port}{self.path}"


class _Collector(ServiceListener):
    def __init__(self) -> None:
        self.names: list[str] = []

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        del zc, type_
        if len(self.names) < MAX_FOUND:
            self.names.append(name)

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        pass

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        pass


def find(seconds: float, interfaces: Sequence[str] | None = None) -> list[Found]:
    """Return the Lookouts that answer within this time, sorted by name. Raises OSError if there is no network."""
    network = Zeroconf(interfaces=list(interfaces)) if interfaces else Zeroconf()
    try:
        collector = _Collector()
        browser = ServiceBrowser(network, SERVICE_TYPE, listener=collector)
        time.sleep(seconds)
        browser.cancel()
        found = [_resolve(network, name) for name in collector.names]
        return sorted({one for one in found if one is not None})
    finally:
        network.close()


def _resolve(network: Zeroconf, name: str) -> Found | None:
    info = network.get_service_info(SERVICE_TYPE, name, timeout=_ASK_MS)
    hosts = info.parsed_scoped_addresses() if info is not None else []
    if info is None or not hosts or not info.port:
        return None
    host = next((one for one in hosts if ":" not in one and not one.startswith("127.")), hosts[0])
    said = {key: (value or b"").decode("utf-8", "replace") for key, value in _texts(info.properties).items()}
    path = said.get("path", "/")
    return Found(
        name=printable(said.get("name") or name.removesuffix(f".{SERVICE_TYPE}"), lines=False),
        host=f"[{host}]" if ":" in host else host,
        port=info.port,
        scheme="https" if said.get("scheme") == "https" else "http",
        path=printable(path, lines=False) if path.startswith("/") else "/",
        version=printable(said.get("version", ""), lines=False),
    )


def _texts(properties: dict[bytes, bytes | None]) -> dict[str, bytes | None]:
    return {key.decode("ascii", "replace"): value for key, value in properties.items()}
