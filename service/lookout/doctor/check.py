"""A check: a name, and a function that returns one finding with one remedy."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lookout.errors import SettingInvalid
from lookout.settings.layers import LoadedSettings
from lookout.settings.schema import Settings

Status = Literal["ok", "warn", "fail", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, in one sentence; remedy: the one thing that helps, empty if nothing is wrong."""

    status: Status
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What checks read. root: where /proc, /sys, /dev and /etc are, so that tests can fake a machine.

    loaded: None if the settings are invalid; `settings` are then the defaults, and `problem` says why.
    log: the service's last lines, None if they were not read. was_root: whether the log was read as root.
    """

    root: Path = Path("/")
    loaded: LoadedSettings | None = None
    problem: SettingInvalid | None = None
    settings: Settings = field(default_factory=Settings)
    log: tuple[str, ...] | None = None
    was_root: bool = False

    def text(self, path: str) -> str:
        """Return the content of a file below root, empty if it cannot be read."""
        try:
            return (self.root / path).read_text("utf-8", "replace").strip("\0 \n")
        except OSError:
            return ""

    @property
    def is_pi(self) -> bool:
        return "Raspberry Pi" in self.text("proc/device-tree/model")


@dataclass(frozen=True, slots=True)
class Check:
    """One check. as_root: whether root sees more; other checks run with the rights of the service's user."""

    name: str
    look: Callable[[Context], Finding]
    as_root: bool = False

    def run(self, context: Context) -> Finding:
        """Run the check. Never raises: a check that itself fails is reported as skipped."""
        try:
            return self.look(context)
        except Exception as error:  # a broken machine may raise anything, and the other checks must go on
            return Finding("skipped", f"The check itself failed: {type(error).__name__}: {error}")


def ok(detail: str) -> Finding:
    return Finding("ok", detail)


def skipped(detail: str) -> Finding:
    return Finding("skipped", detail)


def output_of(command: Sequence[str], timeout_s: float = 10.0) -> tuple[int, str]:
    """Return the exit status and all output of a command; 127 if it does not exist, 124 if it takes too long."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=timeout_s,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 124, ""
    except OSError:
        return 127, ""
    return done.returncode, done.stdout.decode("utf-8", "replace")
