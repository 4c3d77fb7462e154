"""The integrations of one service: built from the settings, started and stopped with the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from lookout.errors import LookoutError
from lookout.integrations.interface import STOP_S, Integration, IntegrationStatus, Parts, Quiet
from lookout.integrations.registry import KINDS, Kind

log = logging.getLogger(__name__)

OFF = IntegrationStatus("off")


class Integrations:
    """A failing integration affects neither the service nor the others. For the event loop, except `statuses`."""

    def __init__(self, kinds: Sequence[Kind] = KINDS) -> None:
        self._running: dict[str, Integration] = {}
        # The integrations that are not running: off, missing, or failed to start.
        self._others = {kind.name: OFF for kind in kinds}
        self._kinds = tuple(kinds)

    def statuses(self) -> dict[str, IntegrationStatus]:
        """Return the status of each integration by name, in the order of the registry. From any thread."""
        return {name: self._status(name, other) for name, other in self._others.items()}

    def find(self, name: str) -> Integration | None:
        """Return the running integration of that name, None if it does not run."""
        return self._running.get(name)

    def quiet(self) -> Quiet | None:
        """Return what silences notices, None if they do not run."""
        found = self._running.get("notify")
        return found if isinstance(found, Quiet) else None

    async def start(self, parts: Parts) -> None:
        """Start the integrations that the settings enable. Never raises for one that cannot start."""
        settings = parts.control.loaded.settings
        for kind in self._kinds:
            if kind.is_on(settings):
                await self._start(kind, parts)

    async def stop(self) -> None:
        """Stop all integrations concurrently, each within its deadline."""
        running, self._running = self._running, {}
        await asyncio.gather(*(_stop(integration) for integration in running.values()))

    async def _start(self, kind: Kind, parts: Parts) -> None:
        missing = kind.missing()
        if missing is not None:
            status = IntegrationStatus("missing", time.monotonic(), missing.code, missing.detail, missing.remedy)
        else:
            try:
                integration = kind.make(parts)
                await integration.start()
            except LookoutError as error:
                status = IntegrationStatus.failed(error, time.monotonic())
            except Exception as error:  # for example another release of a package: the camera matters more
                log.exception("%s could not be started.", kind.title)
                status = IntegrationStatus.failed(_unexpected(kind, error), time.monotonic())
            else:
                self._running[kind.name] = integration
                return
        self._others[kind.name] = status
        log.warning("%s %s", status.detail, status.remedy)

    def _status(self, name: str, other: IntegrationStatus) -> IntegrationStatus:
        integration = self._running.get(name)
        return integration.status() if integration is not None else other


def _unexpected(kind: Kind, error: Exception) -> LookoutError:
    return LookoutError(
        f"{kind.title} could not be started: {type(error).__name__}.",
        "The log says more; installing its extra again may help.",
    )


async def _stop(integration: Integration) -> None:
    try:
        async with asyncio.timeout(STOP_S):
            await integration.stop()
    except TimeoutError:
        log.warning("The integration %s did not stop in time and is abandoned.", integration.name)
    except Exception:
        log.exception("The integration %s did not stop cleanly.", integration.name)
