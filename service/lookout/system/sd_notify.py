"""Reports the service's actual state to systemd: sd_notify(3), a datagram to `$NOTIFY_SOCKET`, without a library.

Nothing here raises: a service must not die because its supervisor does not listen. Without systemd it does nothing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

# systemd drops lines it cannot parse; a status is one line, cut to what `systemctl status` shows.
MAX_STATUS_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Notifier:
    """Sends the states of sd_notify(3).

    `address` is a socket's path, or `@name` for one in the abstract namespace; None: no systemd.
    `watchdog_interval_s` is how often `watchdog()` is to be called: half of systemd's limit (`WatchdogSec=`), as
    sd_watchdog_enabled(3) asks; None: there is no watchdog, or it watches another process.
    """

    address: str | None
    watchdog_interval_s: float | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Notifier:
        """Return the notifier that `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` describe."""
        values = os.environ if environment is None else environment
        address = values.get("NOTIFY_SOCKET") or None
        if address is not None and not address.startswith(("/", "@")):
            address = None  # vsock and the like are for virtual machines; a service gets a path or an abstract name
        return cls(address, _watchdog_interval(values) if address else None)

    @property
    def active(self) -> bool:
        """Whether there is a systemd to notify."""
        return self.address is not None

    def ready(self, status: str = "") -> bool:
        """Report that the service accepts requests (after a start, or after `reloading`)."""
        return self._send(["READY=1", *_status(status)])

    def status(self, text: str) -> bool:
        """Send one line for `systemctl status`."""
        return self._send(_status(text))

    def watchdog(self) -> bool:
        """Report that everything that must make progress has made some."""
        return self._send(["WATCHDOG=1"])

    def stopping(self, status: str = "") -> bool:
        """Report that the service is stopping on purpose."""
        return self._send(["STOPPING=1", *_status(status)])

    def reloading(self) -> bool:
        """Report that the settings are being read again, until `ready`. `Type=notify-reload` needs the timestamp."""
        return self._send(["RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"])

    def _send(self, lines: list[str]) -> bool:
        """Send one datagram; return whether the kernel accepted it."""
        if self.address is None:
            return False
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                # A busy systemd must not hold up the caller: the worker and the event loop call this.
                channel.setblocking(False)
                channel.sendto("\n".join(lines).encode("utf-8", "replace"), address)
        except (OSError, ValueError):
            return False
        return True


def _status(text: str) -> list[str]:
    line = " ".join(text.split())[:MAX_STATUS_CHARACTERS]
    return [f"STATUS={line}"] if line else []


def _watchdog_interval(values: Mapping[str, str]) -> float | None:
    try:
        limit_us = int(values.get("WATCHDOG_USEC", ""))
        process = int(values.get("WATCHDOG_PID", "") or os.getpid())
    except ValueError:
        return None
    return limit_us / 2e6 if limit_us > 0 and process == os.getpid() else None
