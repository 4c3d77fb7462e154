"""Checks whether a token is valid, and limits how many wrong ones are checked."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from lookout.auth.tokens import Token, TokenStore
from lookout.errors import TooManyAttempts

# After this time, a token that another process has just created is known, and a wrong one is refused.
_JUST_MADE_S = 0.5
# Each wrong token occupies a place for this long, whether or not its sender waits for the response ...
HOLD_S = 1.0
# ... and there are this many places for one address, and in total. With none left, no token is checked.
MAX_OF_ONE = 10
MAX_OF_ALL = 50
# Several times the clients of a household; a forgotten one only has to take a place again.
_MAX_KNOWN = 256


class Admission:
    """Checks tokens at a limited rate, so that nobody can guess them at the speed of the network.

    A token that an address has used before passes at once: a flood of wrong ones from behind the same router or proxy
    does not lock out known clients.
    """

    def __init__(self, tokens: TokenStore, now: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._now = now
        self._held: list[tuple[str, float]] = []  # network and end of each occupied place
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def token(self, text: str, address: str) -> Token | None:
        """Return the token with this text; None if there is none. address: the client's.

        Raises TooManyAttempts, and StateFolderUnusable if tokens cannot be read.
        """
        network = _network(address)
        token = self._tokens.verify(text)
        if token is not None and (network, token.id) in self._known:
            return token
        place = self._take_place(network)
        if token is None:
            await self._wait_for_refresh()
            token = self._tokens.verify(text)
        if token is not None:
            self._held = [held for held in self._held if held is not place]
            self._remember(network, token)
        return token

    def _take_place(self, network: str) -> tuple[str, float]:
        now = self._now()
        self._held = [held for held in self._held if held[1] > now]
        if len(self._held) >= MAX_OF_ALL or sum(held[0] == network for held in self._held) >= MAX_OF_ONE:
            raise TooManyAttempts(
                "Too many wrong tokens came within a second; this one was not checked.",
                "Try again in a few seconds. Some program may be sending a token that was revoked.",
            )
        place = (network, now + HOLD_S)
        self._held.append(place)
        return place

    def _remember(self, network: str, token: Token) -> None:
        self._known[network, token.id] = None
        self._known.move_to_end((network, token.id))
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    async def _wait_for_refresh(self) -> None:
        """Wait until the files have been read again, since another process may have created a token."""
        if not self._tokens.watched:
            return
        wanted, deadline = self._tokens.request_refresh(), time.monotonic() + _JUST_MADE_S
        while self._tokens.refreshes < wanted and time.monotonic() < deadline:
            await asyncio.sleep(0.02)


def _network(address: str) -> str:
    """Return what counts as one client: an IPv4 address or an IPv6 /64, since a host has many addresses in its /64."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))
