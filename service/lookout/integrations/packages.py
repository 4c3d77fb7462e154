"""Python packages that only some features need: whether each is installed, and the command that installs it here."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from dataclasses import dataclass

from lookout.errors import LookoutError


class PackageMissing(LookoutError):
    """A Python package that an enabled feature needs is not installed."""

    code = "package_missing"
    title = "A Python package is not installed"
    status = 503


@dataclass(frozen=True, slots=True)
class Package:
    """module: the name to import. requirement: what pip installs, as in the extra in pyproject.toml."""

    module: str
    requirement: str

    def missing(self, why: str = "") -> PackageMissing:
        """Return the error for a package that is not installed. why: how its sentence begins, if with a reason."""
        the = f"{why} the" if why else "The"
        return PackageMissing(f"{the} Python package {self.module} is not installed.", self.remedy())

    def is_there(self) -> bool:
        """Whether the package can be imported; does not import it."""
        return _is_there(self.module)

    def remedy(self) -> str:
        """Return the command that installs it into the environment that Lookout runs from."""
        if not _is_there("pip"):  # as in the container image
            return "Its environment has no pip: install Lookout anew with that package, or use its image."
        sudo = "" if os.access(sysconfig.get_path("purelib"), os.W_OK) else "sudo "
        return f"Install it, and start Lookout again: {sudo}{sys.executable} -m pip install '{self.requirement}'"


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


MQTT_CLIENT = Package("paho", "paho-mqtt>=2.1")
PROMETHEUS_CLIENT = Package("prometheus_client", "prometheus-client>=0.22")
APPRISE = Package("apprise", "apprise>=1.9")
ZEROCONF = Package("zeroconf", "zeroconf>=0.130")
ARROW = Package("pyarrow", "pyarrow>=15")
DASK = Package("distributed", "distributed>=2024.9")
