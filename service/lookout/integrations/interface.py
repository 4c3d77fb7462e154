"""The interface of an integration: it watches the hub, can be started and stopped, and reports its status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from lookout.errors import LookoutError

if TYPE_CHECKING:  # the doctor asks what is on where OpenCV or onnxruntime cannot be loaded
    from lookout.engine.control import Control
    from lookout.events.feed import Feed
    from lookout.events.retention import Forecast
    from lookout.state.hub import Hub
    from lookout.storage import Storage

# off: not enabled. missing: a package that it needs is not installed. starting: no attempt has finished yet.
# failed: it does not work at the moment and retries on its own.
Status = Literal["off", "missing", "starting", "ok", "failed"]


@dataclass(frozen=True, slots=True)
class IntegrationStatus:
    """The status of an integration. since: monotonic seconds, None if it never ran.

    code: the stable code of the error. detail and remedy: one sentence each. All three are empty if nothing is wrong,
    and none contains a secret.
    """

    status: Status
    since: float | None = None
    code: str = ""
    detail: str = ""
    remedy: str = ""

    @classmethod
    def failed(cls, error: LookoutError, since: float | None) -> IntegrationStatus:
        return cls("failed", since, error.code, error.detail, error.remedy)


class Integration(Protocol):
    """Runs on the event loop without blocking it. Its failures show in its status and do not affect the service."""

    @property
    def name(self) -> str: ...

    def status(self) -> IntegrationStatus:
        """Return the status at once."""
        ...

    async def start(self) -> None:
        """Start in the background and return at once. Raises LookoutError if it cannot start at all."""
        ...

    async def stop(self) -> None:
        """Stop within `STOP_S`; it may be cancelled after that."""
        ...


# The whole service has five seconds to stop.
STOP_S = 1.5


@runtime_checkable
class Quiet(Protocol):
    """How one integration silences the notices of another. Any thread."""

    def quiet_for_s(self) -> float:
        """Return for how many seconds no rule sends anything; 0 if at least one may."""
        ...

    def snooze(self, rule: str, for_s: float) -> None:
        """Silence a rule. rule: a name, or all. Raises RequestInvalid, StateFolderUnusable, DiskBudgetSpent."""
        ...


def _unknown() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Parts:
    """What an integration is built from. address: the URL of the dashboard for people, ending in a slash.

    forecast: returns the disk usage of events, None if it is unknown; may wait for the disk. quiet: returns what
    silences notices, None if none are sent.
    """

    hub: Hub
    control: Control
    storage: Storage
    feed: Feed
    address: str
    forecast: Callable[[], Forecast | None] = _unknown
    quiet: Callable[[], Quiet | None] = _unknown
