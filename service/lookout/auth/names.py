"""Which names this machine answers to: a stranger's page must not pass for one of ours.

A stranger can point a host name at this machine's address (DNS rebinding), and a page from there would then be of our
own origin. But the browser sends the stranger's name, and names in domains that only a local network or a private
overlay hands out do not belong to strangers. An IP literal has no name to redirect.
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

    Its own name counts by itself and in local domains: pi7, pi7.local, pi7.fritz.box, pi7.tail1234.ts.net, and what
    a name clash on the network turns it into (pi7-2.local). After renaming the host, its new name counts at once.
    """

    def __init__(self, listed: Iterable[str], resolver_file: Path = _RESOLVER_FILE) -> None:
        self._listed = [_pattern(entry) for entry in listed]
        self._resolver_file = resolver_file

    def check(self, host: str) -> None:
        """Raises UnknownName for a Host header that is not one of ours."""
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
        """The domains that the network assigns to this machine. They come with the network, not at boot."""
        try:
            lines = self._resolver_file.read_text("utf-8", "replace")[:65536].lower().splitlines()
        except OSError:
            return set()
        found = [line.split()[1:] for line in lines if line.startswith(("search ", "domain ", "search\t", "domain\t"))]
        return {domain.rstrip(".") for domains in found for domain in domains if domain.strip(".")}


def _pattern(entry: str) -> re.Pattern[str]:
    """A listed name: "*" for all, "*.example.org" for all names below, a star elsewhere for part of a label."""
    if entry == "*":
        return re.compile(r".+")
    text = entry.lower().rstrip(".")
    below, text = text.startswith("*."), text.removeprefix("*.")
    with contextlib.suppress(UnicodeError):  # such as a star
        text = text.encode("idna").decode()  # as browsers send it
    return re.compile((r"(?:[^.]+\.)+" if below else "") + re.escape(text).replace(r"\*", "[^.]*"))


def host_name(host: str) -> str:
    """A Host header without its port, lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).rstrip(".")


@functools.lru_cache(maxsize=64)  # called several times per request
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listening address."""
    return host == "localhost" or (is_ip(host) and ipaddress.ip_address(host).is_loopback)


@functools.lru_cache(maxsize=64)
def is_ip(name: str) -> bool:
    """Whether it is a numeric IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
