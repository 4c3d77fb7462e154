"""The URLs of a running service: for this machine, for other machines, and for links that it sends."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from lookout.auth.names import is_loopback
from lookout.settings.installation import address_for_others
from lookout.settings.schema import ServerSettings, Settings


def address_of(listener: socket.socket, settings: Settings) -> str:
    """Return the URL for a browser on this machine and, if other machines can reach the service, theirs too."""
    server = bound(listener, settings)
    here = loopback_address(server, server.root_path)
    if server.host not in ("0.0.0.0", "::") or _is_container():
        return here
    return f"{here} (from elsewhere {address_for_others(server)})"


def bound(listener: socket.socket, settings: Settings) -> ServerSettings:
    """Return the server's settings with the listener's actual host and port."""
    host, port = listener.getsockname()[:2]
    return settings.server.model_copy(update={"host": host, "port": port})


def address_for_links(listener: socket.socket, settings: Settings) -> str:
    """Return the URL for other machines if they can reach this one, otherwise the local one. Ends in a slash."""
    server = bound(listener, settings)
    return loopback_address(server, server.root_path) if is_loopback(server.host) else address_for_others(server)


def _is_container() -> bool:
    """Return whether this is a container, whose host name is unknown outside."""
    return Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or "container" in os.environ


def loopback_address(server: ServerSettings, path: str = "") -> str:
    """Return the URL at which this machine reaches a service with these settings. Ends in a slash."""
    host = "127.0.0.1" if server.host in ("0.0.0.0", "::") else server.host
    return f"{_scheme(server)}://{f'[{host}]' if ':' in host else host}:{server.port}{path}/"


def _scheme(server: ServerSettings) -> str:
    return "https" if server.tls_certificate else "http"
