"""Which names this machine answers to: a page of a stranger must not pass for one of ours.

A stranger can point a name of his own at this machine's address (DNS rebinding), and his page would then be of our own
origin. But he cannot make the browser say another name, and names in domains that only a local network or a private
overlay hands out are not his. An IP literal has no name to point elsewhere.
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

# Domains of home routers, of mDNS, for private use (RFC 8375, ICANN's "internal"), and of Tailscale's networks.
_LOCAL_DOMAINS = frozenset(
    {"local", "lan", "home", "home.arpa", "internal", "intranet", "localdomain", "fritz.box", "speedport.ip", "ts.net"}
)
_RESOLVER_FILE = Path("/etc/resolv.conf")
_MAX_SHOWN = 100


class UnknownName(Forbidden):
    """The request calls this machine by a name that is none of its own."""

    def __init__(self, name: str) -> None:
        self.name = name[:_MAX_SHOWN]
        super().__init__(
            f'Lookout does not know the name "{self.name}".' if name else "The request has no Host header.",
            f'Open it by its IP address, or add "{self.name}" to server.allowed_hosts and start Lookout again.'
            if name
            else "Send one, as HTTP/1.1 asks for: the name or address that the service is reached by.",
        )


class HostNames:
    """The names this machine answers to, and those that server.allowed_hosts lists.

    Its own name counts by itself and in local domains: pi7, pi7.local, pi7.fritz.box, pi7.tail1234.ts.net, and what a
    clash of names on the network makes of it (pi7-2.local). A host that is renamed is known by its new name at once.
    """

    def __init__(self, listed: Iterable[str], resolver_file: Path = _RESOLVER_FILE) -> None:
        self._listed = [_pattern(entry) for entry in listed]
        self._resolver_file = resolver_file

    def check(self, host: str) -> None:
        """Raises UnknownName for a Host header that is none of ours."""
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
        """The domains in which the network says that this machine is. They come with the network, not with the boot."""
        try:
            lines = self._resolver_file.read_text("utf-8", "replace")[:65536].lower().splitlines()
        except OSError:
            return set()
        found = [line.split()[1:] for line in lines if line.startswith(("search ", "domain ", "search\t", "domain\t"))]
        return {domain.rstrip(".") for domains in found for domain in domains if domain.strip(".")}


def _pattern(entry: str) -> re.Pattern[str]:
    """A listed name: "*" for all, "*.example.org" for all names below, a star elsewhere for a part of a label."""
    if entry == "*":
        return re.compile(r".+")
    text = entry.lower().rstrip(".")
    below, text = text.startswith("*."), text.removeprefix("*.")
    with contextlib.suppress(UnicodeError):  # such as a star
        text = text.encode("idna").decode()  # as browsers say it
    return re.compile((r"(?:[^.]+\.)+" if below else "") + re.escape(text).replace(r"\*", "[^.]*"))


def host_name(host: str) -> str:
    """A Host header without its port, lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).rstrip(".")


@functools.lru_cache(maxsize=64)  # asked several times for each request
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listening address."""
    return host == "localhost" or (is_ip(host) and ipaddress.ip_address(host).is_loopback)


@functools.lru_cache(maxsize=64)
def is_ip(name: str) -> bool:
    """Whether it is an IP address, in figures."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
