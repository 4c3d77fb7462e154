"""The host names of this machine, checked so that another site's page cannot pass for the dashboard.

An attacker can point a host name at this machine's address (DNS rebinding), and a page from there would be of the same
origin. But the browser sends the attacker's name in the Host header, and nobody outside can own names in the domains of
a local network or a private overlay. A numeric address cannot be redirected.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import re
import socket
from collections.abc import Iterable
from pathlib import Path

from lookout.errors import Forbidden

# Domains of home routers, of mDNS, for private use (RFC 8375, ICANN's "internal"), and of Tailscale networks.
_LOCAL_DOMAINS = frozenset(
    {"local", "lan", "home", "home.arpa", "internal", "intranet", "localdomain", "fritz.box", "speedport.ip", "ts.net"}
)
_RESOLVER_FILE = Path("/etc/resolv.conf")
_MAX_SHOWN = 100


class UnknownName(Forbidden):
    """The request addresses this machine by a name that is not one of its own."""

    def __init__(self, name: str) -> None:
        self.name = name[:_MAX_SHOWN]
        super().__init__(
            f'Lookout does not know the name "{self.name}".' if name else "The request has no Host header.",
            f'Open it by its IP address, or add "{self.name}" to server.allowed_hosts and start Lookout again.'
            if name
            else "Send one, as HTTP/1.1 requires: the name or address at which the service is reached.",
        )


class HostNames:
    """The names this machine answers to, and those listed in server.allowed_hosts.

    Its own name counts without a domain and in local domains: pi7, pi7.local, pi7.fritz.box, pi7.tail1234.ts.net, and
    what a name conflict turns it into (pi7-2.local). After renaming the host, the new name counts at once.
    """

    def __init__(self, listed: Iterable[str], resolver_file: Path = _RESOLVER_FILE) -> None:
        self._listed = [_pattern(entry) for entry in listed]
        self._resolver_file = resolver_file

    def check(self, host: str) -> None:
        """Raises UnknownName for a Host header that does not name this machine."""
        name = host_name(host)
        if not (name and (is_ip(name) or self._is_own(name) or any(one.fullmatch(name) for one in self._listed))):
            raise UnknownName(name)

    def _is_own(self, name: str) -> bool:
        own = socket.gethostname().lower().rstrip(".")
        short = own.partition(".")[0]
        if name in ("localhost", own, short):
            return True
        label, _, domain = name.partition(".")
        if re.sub(r"-\d{1,3}$", "", label) != short and label != short:
            return False
        return domain in _LOCAL_DOMAINS or domain.endswith(".ts.net") or domain in self._search_domains()

    def _search_domains(self) -> set[str]:
        """Return the domains that the network assigns to this machine, read anew because they come after the boot."""
        try:
            lines = self._resolver_file.read_text("utf-8", "replace")[:65536].lower().splitlines()
        except OSError:
            return set()
        found = [line.split()[1:] for line in lines if line.startswith(("search ", "domain ", "search\t", "domain\t"))]
        return {domain.rstrip(".") for domains in found for domain in domains if domain.strip(".")}


def _pattern(entry: str) -> re.Pattern[str]:
    """Compile a listed name: "*" matches all, "*.example.org" all names below, any other star part of a label."""
    if entry == "*":
        return re.compile(r".+")
    text = entry.lower().rstrip(".")
    below, text = text.startswith("*."), text.removeprefix("*.")
    with contextlib.suppress(UnicodeError):  # for example because of a star
        text = text.encode("idna").decode()  # as browsers send it
    return re.compile((r"(?:[^.]+\.)+" if below else "") + re.escape(text).replace(r"\*", "[^.]*"))


def host_name(host: str) -> str:
    """Return a Host header without its port, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).rstrip(".")


@functools.lru_cache(maxsize=64)  # called several times per request
def is_loopback(host: str) -> bool:
    """Whether a listening address is reachable only from this machine."""
    return host == "localhost" or (is_ip(host) and ipaddress.ip_address(host).is_loopback)


@functools.lru_cache(maxsize=64)
def is_ip(name: str) -> bool:
    """Whether the name is a numeric IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
