"""What an integration is: something that watches the hub, may be started and stopped, and says how it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from lookout.engine.control import Control
from lookout.events.feed import Feed
from lookout.events.retention import Forecast
from lookout.state.hub import Hub
from lookout.storage import Storage

# off: not asked for. missing: a package that it needs is not installed. starting: no attempt has ended yet.
# failed: it does not work now, and tries again by itself.
Status = Literal["off", "missing", "starting", "ok", "failed"]


@dataclass(frozen=True, slots=True)
class IntegrationStatus:
    """How an integration is. since: monotonic seconds, None for one that never ran.

    detail and remedy: one sentence each, empty while nothing is wrong. Neither holds a secret.
    """

    status: Status
    since: float | None = None
    detail: str = ""
    remedy: str = ""


class Integration(Protocol):
    """Runs on the event loop and never blocks it; whatever goes wrong in it ends in its status, not in the service."""

    @property
    def name(self) -> str: ...

    def status(self) -> IntegrationStatus:
        """Returns at once."""
        ...

    async def start(self) -> None:
        """Begin in the background and return at once. Raises LookoutError where it cannot begin at all."""
        ...

    async def stop(self) -> None:
        """End within `STOP_S`; may be cancelled after that."""
        ...


# The service has five seconds to stop in all.
STOP_S = 1.5


@runtime_checkable
class Quiet(Protocol):
    """Notices, as far as another integration may silence them. Any thread."""

    def quiet_for_s(self) -> float:
        """Seconds for which no rule sends anything; 0 where one may."""
        ...

    def snooze(self, rule: str, for_s: float) -> None:
        """rule: a name, or all. Raises RequestInvalid, StateFolderUnusable, DiskBudgetSpent."""
        ...


def _unknown() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Parts:
    """What an integration is made of. address: where people open the dashboard, ending in a slash.

    forecast: what events take on disk, None where that is not known; may wait for the disk. quiet: how notices are
    silenced, None while none are sent.
    """

    hub: Hub
    control: Control
    storage: Storage
    feed: Feed
    address: str
    forecast: Callable[[], Forecast | None] = _unknown
    quiet: Callable[[], Quiet | None] = _unknown
