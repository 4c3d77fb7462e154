"""The kind of this machine, for measurements that hold for every machine of the kind.

Never the serial number of one machine: cards are moved between Pis, and two equal Pis may share a measurement.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

# Memory is rounded to half a GiB: firmware and kernel reserve different amounts of the same chips.
_MEMORY_STEP = 2**29


@dataclass(frozen=True, slots=True)
class Machine:
    """processor: its model name. features: instruction sets, sorted. cores: those this process may use.

    memory: bytes, rounded. board: from the device tree, empty on other machines.
    """

    processor: str
    architecture: str
    features: tuple[str, ...]
    cores: int
    memory: int
    board: str

    @property
    def key(self) -> str:
        """16 hexadecimal digits, equal for all machines on which a network runs at the same speed."""
        parts = (self.processor, self.architecture, " ".join(self.features), str(self.cores), str(self.memory))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        name = self.board or self.processor or self.architecture
        return f"{name}, {self.cores} cores, {self.memory / 2**30:.3g} GiB, {self.architecture}"


def machine(root: Path = Path("/")) -> Machine:
    """Read the machine's properties. root: where /proc is found."""
    information = _text(root / "proc/cpuinfo")
    return Machine(
        processor=_processor(information),
        architecture=platform.machine(),
        features=tuple(sorted(set(_field(information, "flags|Features").split()))),
        cores=len(os.sched_getaffinity(0)),
        memory=_memory(_text(root / "proc/meminfo")),
        board=_text(root / "proc/device-tree/model").strip("\0 \n"),
    )


def _processor(information: str) -> str:
    name = _field(information, "model name")
    if name:
        return name
    # 64-bit Arm kernels give numbers only: implementer and part identify the core (0x41 0xd0b is a Cortex-A76).
    numbers = (
        _field(information, "CPU implementer"),
        _field(information, "CPU part"),
        _field(information, "CPU revision"),
    )
    return " ".join(number for number in numbers if number)


def _field(text: str, name: str) -> str:
    found = re.search(rf"^(?:{name})\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _memory(text: str) -> int:
    found = re.search(r"^MemTotal:\s*(\d+) kB", text, re.MULTILINE)
    return round(int(found[1]) * 1024 / _MEMORY_STEP) * _MEMORY_STEP if found else 0


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
