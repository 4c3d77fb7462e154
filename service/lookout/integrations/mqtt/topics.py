"""The topics of one device. docs/home-assistant.md lists them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")


def slug(label: str) -> str:
    """Return the label as a topic level and part of an id: unchanged if valid there, else shortened with a hash."""
    if _PLAIN.fullmatch(label):
        return label
    plain = re.sub(r"[^A-Za-z0-9]+", "_", label).strip("_")[:40]
    return f"{plain}_{hashlib.sha256(label.encode()).hexdigest()[:6]}".lstrip("_")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of the device `device` below `prefix`, such as lookout/5f0c12ab."""

    prefix: str
    device: str

    @property
    def base(self) -> str:
        return f"{self.prefix}/{self.device}"

    def __call__(self, *levels: str) -> str:
        return "/".join((self.base, *levels))

    @property
    def status(self) -> str:
        """The topic for online and offline; offline is also the will."""
        return self("status")

    def enter(self, label: str) -> str:
        return self("enter", slug(label))

    def discovery(self, prefix: str) -> str:
        """Return the topic where a Home Assistant with this discovery prefix finds the device."""
        return f"{prefix}/device/lookout_{self.device}/config"
