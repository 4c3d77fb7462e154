"""Which requests are accepted at all, by the page that they come from and by their route."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers

from lookout.auth.names import host_name, is_loopback
from lookout.errors import Forbidden

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# Prefixes of headers that only proxies add; tunnels and content delivery networks have their own.
_PROXY_HEADERS = (
    "x-forwarded-",
    "forwarded",
    "via",
    "x-real-ip",
    "x-original-",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-proxy",
    "x-envoy-",
    "true-client-ip",
    "cf-",
    "cdn-loop",
    "tailscale-",
)


def comes_directly(host: str, headers: Headers, http_version: str) -> bool:
    """Whether nothing about a request from a loopback address suggests that a proxy or tunnel forwarded it.

    host: its Host header. Programs on this machine use localhost or a loopback address. By default, nginx rewrites the
    Host header to such an address and adds no header, but (before 1.29.7) it speaks HTTP/1.0.
    """
    if http_version == "1.0" or not is_loopback(host_name(host)):
        return False
    return not any(name.startswith(_PROXY_HEADERS) for name in headers)


def proxies(trusted: Iterable[str]) -> list[str]:
    """Return the trusted proxies, IPv4 ones also as an IPv6 socket that serves both (server.host "::") sees them."""
    listed = list(trusted)
    return listed + [mapped for mapped in map(_mapped, listed) if mapped]


def _mapped(proxy: str) -> str:
    """Return ::ffff:127.0.0.1 for 127.0.0.1, likewise for networks; otherwise an empty text."""
    try:
        network = ipaddress.IPv4Network(proxy, strict=False)
    except ValueError:
        return ""
    bits = "" if network.prefixlen == network.max_prefixlen else f"/{96 + network.prefixlen}"
    return f"::ffff:{network.network_address}{bits}"


def check_origin(method: str, headers: Headers, hosts: Iterable[str], allowed: Iterable[str]) -> None:
    """Raises Forbidden for a write, or a WebSocket (method "WEBSOCKET"), from another site's page.

    hosts: the names of this service in the request. Programs send no Origin and pass.
    """
    if method not in _WRITES and method != "WEBSOCKET":
        return
    origin = headers.get("origin")
    if origin is None:
        if headers.get("sec-fetch-site") == "cross-site":
            raise _foreign("another site")
        return
    # A page cannot set this header. Proxies that shorten the Host header (nginx's $host drops the port) forward it.
    if headers.get("sec-fetch-site") == "same-origin":
        return
    scheme, _, site = origin.lower().partition("://")
    if site and site in {_without_default_port(host.lower(), scheme) for host in hosts}:
        return
    if origin.lower().rstrip("/") in {entry.lower().rstrip("/") for entry in allowed}:
        return
    raise _foreign(origin)


def _without_default_port(host: str, scheme: str) -> str:
    """Return the host as browsers write it in Origin; a proxy's "$host:$server_port" always includes the port."""
    return host.removesuffix({"http": ":80", "https": ":443"}.get(scheme, "\0"))


def _foreign(origin: str) -> Forbidden:
    return Forbidden(
        f"The request comes from a page of {origin}, which may not make it.",
        "Open the dashboard at its own address, or list the page's origin in server.allowed_origins.",
    )
