"""The listening socket, and one sentence for each reason why there is none."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket

from lookout.errors import AddressInUse, LookoutError, SettingInvalid
from lookout.healthcheck import check
from lookout.server.addresses import loopback_address
from lookout.server.listener import DEFAULT_CAPACITY, BoundedListener, Capacity
from lookout.settings.schema import ServerSettings

log = logging.getLogger(__name__)

# Small on purpose: data that the kernel queues for a slow reader is old by the time it arrives.
SEND_BUFFER_BYTES = 64 * 1024
NOT_SENT_LOW_WATER_BYTES = 16 * 1024
BACKLOG = 128
# From <linux/in.h> and <linux/in6.h>; Python does not define them.
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78
# Timeout in seconds for finding out which program has the port.
_LOOK_S = 1.0
# A peer that acknowledges nothing for this long is gone.
GONE_AFTER_MS = 10_000


class NotOurAddress(SettingInvalid):
    """The address to listen on is not one of this machine's, or not yet: after a boot, the network may come up later.

    It is therefore not an error after which a supervisor should give up.
    """

    exit_code = 1


def listen(settings: ServerSettings, capacity: Capacity = DEFAULT_CAPACITY) -> BoundedListener:
    """Return the listening socket. Raises AddressInUse if the port is taken, SettingInvalid for an unusable host."""
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
    """Bind the socket. Raises OSError.

    After a boot, the network may come up later. Under a supervisor, the address is then bound ahead of time: to exit
    and be restarted every other second would fill the journal and keep the camera closed.
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
    """Return which program has the port, as part of a sentence."""
    try:
        answer = check(loopback_address(settings) + "healthz", _LOOK_S)
        return "another Lookout that runs" if json.loads(answer) == {"status": "ok"} else "another program"
    except (OSError, ValueError):
        return "another program"
