"""The machine and our share of it, read every few seconds: processor, memory, temperature, clock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil

from service.state import SystemReading
from service.system import clock
from service.system.thermal import temperature_c, throttled

# Often enough for people, seldom enough to cost nothing.
INTERVAL_S = 3.0


class SystemMonitor:
    """Reads the machine. Processor share is that of this process and its children since the last reading."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._known: dict[int, psutil.Process] = {}

    def read(self) -> SystemReading:
        """What the machine tells now; what it does not tell is None. Takes about a millisecond."""
        processes = list(self._processes())
        return SystemReading(
            temperature_c=temperature_c(),
            throttled=throttled(),
            cpu_percent=round(sum(_cpu(process) for process in processes), 1),
            memory_bytes=sum(_memory(process) for process in processes),
            clock_synchronised=clock.synchronised(),
        )

    def _processes(self) -> Iterator[psutil.Process]:
        """This process and its children; kept between readings, since psutil measures shares between two calls."""
        alive = {self._process.pid: self._process}
        with contextlib.suppress(psutil.Error):
            alive |= {child.pid: child for child in self._process.children(recursive=True)}
        self._known = {pid: self._known.get(pid, process) for pid, process in alive.items()}
        yield from self._known.values()


def _cpu(process: psutil.Process) -> float:
    try:
        return float(process.cpu_percent())
    except psutil.Error:
        return 0.0


def _memory(process: psutil.Process) -> int:
    """Proportional set size: shared pages count once over all processes. Resident where the kernel hides it."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        pass
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
