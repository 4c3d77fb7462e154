"""Python packages that integrations need: whether each is installed, and the command that installs it here."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Package:
    """module: the name to import. requirement: what pip installs, as in the extra in pyproject.toml."""

    module: str
    requirement: str

    @property
    def sentence(self) -> str:
        return f"the Python package {self.module} is not installed."

    def is_there(self) -> bool:
        """Whether the package can be imported; does not import it."""
        return _is_there(self.module)

    def remedy(self) -> str:
        """Return the command that installs it into the environment that Lookout runs from."""
        if not _is_there("pip"):  # as in the container image
            return "Its environment has no pip: install Lookout anew as lookout-camera[integrations], or use its image."
        sudo = "" if os.access(sysconfig.get_path("purelib"), os.W_OK) else "sudo "
        return f"Install it and restart Lookout: {sudo}{sys.executable} -m pip install '{self.requirement}'"


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


MQTT_CLIENT = Package("paho", "paho-mqtt>=2.1")
PROMETHEUS_CLIENT = Package("prometheus_client", "prometheus-client>=0.22")
APPRISE = Package("apprise", "apprise>=1.9")
ZEROCONF = Package("zeroconf", "zeroconf>=0.130")
