"""Every kind of integration once: what switches it on, what it needs, how it is made.

A kind's own modules are imported when it is made, so that what is off costs nothing.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass

from lookout.integrations.interface import Integration, IntegrationStatus, Parts
from lookout.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of integration.

    title: for people. switch: the setting that turns it on. modules: what must be importable. packages: what pip
    installs to make it so, as in the extra of the same name in pyproject.toml. make: imports and builds it.
    """

    name: str
    title: str
    switch: str
    is_on: Callable[[Settings], bool]
    make: Callable[[Parts], Integration]
    modules: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    def lacks(self) -> str | None:
        """The first module that is not installed. Imports none of them."""
        return next((module for module in self.modules if not _is_there(module)), None)

    def missing(self) -> IntegrationStatus | None:
        """The status of an integration whose packages are not installed, None where they are."""
        module = self.lacks()
        if module is None:
            return None
        wanted = " ".join(f"'{package}'" for package in self.packages)
        return IntegrationStatus(
            "missing",
            detail=f"{self.title} is switched on by {self.switch}, but the Python package {module} is not installed.",
            remedy=f"Install it and restart Lookout: {sys.executable} -m pip install {wanted}",
        )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


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


_CLIENT = "prometheus-client>=0.22"

KINDS: tuple[Kind, ...] = (
    Kind("mqtt", "MQTT", "mqtt.url", _is_mqtt, _mqtt, ("paho",), ("paho-mqtt>=2.1",)),
    # Apprise is asked for by a target of its own, in a process of its own; webhooks and programs need nothing.
    Kind("notify", "Notices", "notify.rules", _is_notify, _notify),
    Kind("metrics", "Metrics", "metrics.enabled", _is_metrics, _metrics, ("prometheus_client",), (_CLIENT,)),
)
