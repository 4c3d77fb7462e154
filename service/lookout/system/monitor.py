"""The machine and our share of it, read every few seconds: processor, memory, temperature, clock."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import psutil

from lookout.deadline import Deadline, run_with_deadline
from lookout.system import clock
from lookout.system.reading import SystemReading
from lookout.system.thermal import temperature_c, throttled

# Often enough for people, seldom enough to cost nothing.
INTERVAL_S = 3.0
# The watchdog is fed by who asks for it, and starves before long.
READ_S = 1.0


class SystemMonitor:
    """Reads the machine. Processor share is that of this process and its children since the last reading."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._process = psutil.Process()
        self._known: dict[int, psutil.Process] = {}

    def read(self) -> SystemReading:
        """What the machine tells now; what it does not tell is None. Takes about a millisecond.

        Raises TimeoutError, which is an OSError, where the kernel does not answer: it holds up who asks after a
        process whose driver hangs. Then no other reading begins until that one has come back.
        """
        return run_with_deadline(self._read, Deadline.after(READ_S), "reading the machine")

    def _read(self) -> SystemReading:
        if not self._reading.acquire(blocking=False):
            raise TimeoutError("the last reading has not come back")
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
