"""The machine and this process's share of it, read every few seconds: processor, memory, temperature, clock."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import psutil

from lookout.deadline import Deadline, run_with_deadline
from lookout.system import clock
from lookout.system.reading import SystemReading
from lookout.system.thermal import temperature_c, throttled

# Often enough for people, rarely enough to cost nothing.
INTERVAL_S = 3.0
# The caller also feeds the watchdog, and must not be held up for long.
READ_S = 1.0


class SystemMonitor:
    """Reads the machine. The processor share is that of this process and its children since the last reading."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._process = psutil.Process()
        self._known: dict[int, psutil.Process] = {}

    def read(self) -> SystemReading:
        """The current readings; None for what the machine does not report. Takes about a millisecond.

        Raises TimeoutError (an OSError) when the kernel does not respond: reading about a process whose driver hangs
        blocks. No other reading starts until that one has returned.
        """
        return run_with_deadline(self._read, Deadline.after(READ_S), "reading the machine")

    def _read(self) -> SystemReading:
        if not self._reading.acquire(blocking=False):
            raise TimeoutError("the last reading has not returned")
        try:
            return self._read_now()
        finally:
            self._reading.release()

    def _read_now(self) -> SystemReading:
        processes = list(self._processes())
        return SystemReading(
            temperature_c=temperature_c(),
            throttled=throttled(),
            cpu_percent=round(sum(_cpu(process) for process in processes), 1),
            memory_bytes=sum(_memory(process) for process in processes),
            clock_synchronised=clock.synchronised(),
        )

    def _processes(self) -> Iterator[psutil.Process]:
        """This process and its children; kept between readings, because psutil measures shares between two calls."""
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
    """Proportional set size: shared pages count once over all processes. Resident size if the kernel hides that."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        pass
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
