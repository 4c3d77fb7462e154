"""All kinds of integration: which setting enables each, what it needs, how it is built.

The modules of a kind are imported when it is built, so that a disabled integration costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lookout.integrations.interface import Integration, Parts
from lookout.integrations.packages import APPRISE, MQTT_CLIENT, PROMETHEUS_CLIENT, ZEROCONF, Package, PackageMissing
from lookout.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of integration.

    title: for people. switch: the setting that enables it. make: imports and builds it. package: required by all of it.
    optional: required by a part of it, which reports it if the package is missing.
    """

    name: str
    title: str
    switch: str
    is_on: Callable[[Settings], bool]
    make: Callable[[Parts], Integration]
    package: Package | None = None
    optional: Package | None = None

    def missing(self) -> PackageMissing | None:
        """Return the error for a missing package; None if it is installed."""
        package = self.package
        if package is None or package.is_there():
            return None
        return package.missing(f"{self.title} is switched on by {self.switch}, but")


def _metrics(parts: Parts) -> Integration:
    from lookout.integrations.metrics.integration import Metrics

    return Metrics(parts)


def _is_metrics(settings: Settings) -> bool:
    return settings.metrics.enabled


def _mqtt(parts: Parts) -> Integration:
    from lookout.integrations.mqtt.integration import Mqtt

    return Mqtt(parts)


def _is_mqtt(settings: Settings) -> bool:
    return settings.mqtt.url is not None


def _notify(parts: Parts) -> Integration:
    from lookout.integrations.notify.integration import Notify

    return Notify(parts)


def _is_notify(settings: Settings) -> bool:
    return bool(settings.notify.rules)


def _mdns(parts: Parts) -> Integration:
    from lookout.integrations.mdns.integration import Mdns

    return Mdns(parts)


def _is_mdns(settings: Settings) -> bool:
    return settings.server.announce


KINDS: tuple[Kind, ...] = (
    Kind("mqtt", "MQTT", "mqtt.url", _is_mqtt, _mqtt, MQTT_CLIENT),
    # Only an Apprise target needs Apprise, in a process of its own; webhooks and programs need no package.
    Kind("notify", "Notices", "notify.rules", _is_notify, _notify, optional=APPRISE),
    Kind("metrics", "Metrics", "metrics.enabled", _is_metrics, _metrics, PROMETHEUS_CLIENT),
    Kind("mdns", "The announcement in the network", "server.announce", _is_mdns, _mdns, ZEROCONF),
)
