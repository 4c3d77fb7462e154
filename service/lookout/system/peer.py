"""The user whose program is at the other end of a local connection."""

from __future__ import annotations

import os
import socket
import struct

# From linux/sock_diag.h, linux/inet_diag.h and linux/netlink.h.
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_ALL_STATES = 0xFFFFFFFF
_NO_COOKIE = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI")
_UID_AT = 80  # after the header, four bytes of state, the socket's identity, and three counters
# The kernel responds within microseconds; if not, it does not support the query.
_ANSWER_S = 0.05

# login.defs and systemd.exec(5): accounts of people start here ...
_FIRST_PERSON = 1000
# ... and these are dynamic users of systemd services, and "nobody".
_DYNAMIC = range(61184, 65535)

Endpoint = tuple[str, int]


def uid_at(client: Endpoint, server: Endpoint) -> int | None:
    """Return the id of the user who owns the socket connected from `client` to `server`, both on this machine.

    client, server: address and port. None if the kernel does not report it. One query about one socket, however many
    are open, takes tens of microseconds.
    """
    try:
        question = _question(client, server)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as channel:
            channel.settimeout(_ANSWER_S)
            channel.send(question)
            answer = channel.recv(4096)
    except (OSError, ValueError, struct.error):
        return None
    if len(answer) < _UID_AT + 4 or _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    return int(struct.unpack_from("=I", answer, _UID_AT)[0])


def _question(client: Endpoint, server: Endpoint) -> bytes:
    family = socket.AF_INET6 if ":" in client[0] else socket.AF_INET
    here, there = (socket.inet_pton(family, host) for host, _ in (client, server))
    identity = struct.pack(">HH16s16s", client[1], server[1], here, there)
    identity += struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
    body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _ALL_STATES) + identity
    return _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + body


def is_another_service(uid: int | None) -> bool:
    """Return whether a user is the account of a system service other than Lookout's. uid: None means unknown."""
    if uid is None or uid in (0, os.geteuid()):
        return False
    return uid < _FIRST_PERSON or uid in _DYNAMIC
