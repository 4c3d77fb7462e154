"""What a thousand cameras leave behind: `python -m tests.respawns --count 1000`. The goal is nothing.

The camera's process of a running service is killed again and again. Counted before and after, from outside: processes,
descriptors, files in memory, threads, and the memory that is the service's own. Exit status 1 when one of them grew,
memory by more than `MAX_GROWTH_MB`, threads by more than pools start late.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import uuid
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import psutil

from tests.faults.running import Service, running, until
from tests.soak import own_mb

MAX_GROWTH_MB = 5.0
# Pools start their threads when they are first needed, which may be late. A leak would be one for each camera.
LATE_THREADS = 4
# The first ones fill caches that all later ones use.
WARM_UP = 5
RESPAWN_S = 20.0
# A leak stays; what serves a request or reads the diary is closed by then, also on a busy machine.
AT_REST_S = 10.0
# Every process that comes from the service inherits this, wherever its parent went.
MARK = "RESPAWNS_RUN"
# No measuring of precisions and threads beside: that loads networks.
QUIET = {"LOOKOUT_MODEL__PRECISION": "int8", "LOOKOUT_MODEL__THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the service holds at one moment. memory_mb: see `own_mb`."""

    processes: int
    descriptors: int
    memory_files: int
    threads: int
    memory_mb: float

    @classmethod
    def of(cls, service: Service, mark: str) -> Footprint:
        process = psutil.Process(service.process.pid)
        return cls(
            processes=len(marked(mark) | {child.pid for child in process.children(recursive=True)}),
            descriptors=process.num_fds(),
            memory_files=_memory_files(process.pid),
            threads=process.num_threads(),
            memory_mb=own_mb(process),
        )

    def since(self, before: Footprint) -> Footprint:
        """How much more it is."""
        return Footprint(*(now - then for now, then in zip(astuple(self), astuple(before), strict=True)))

    def grew(self) -> bool:
        """Of a difference: whether something was left behind."""
        return (
            max(self.processes, self.descriptors, self.memory_files) > 0
            or self.threads > LATE_THREADS
            or self.memory_mb > MAX_GROWTH_MB
        )

    def __str__(self) -> str:
        values = zip(fields(self), astuple(self), strict=True)
        return ", ".join(f"{field.name.replace('_', ' ')} {value:.4g}" for field, value in values)


def marked(mark: str) -> set[int]:
    """The processes of this run, whosever children they are now."""
    found = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                found.add(process.pid)
        except psutil.Error:  # gone, a zombie, or not ours
            continue
    return found


def _memory_files(pid: int) -> int:
    """Files without a disk that are open or mapped."""
    proc = Path(f"/proc/{pid}")
    opened = [str(link.readlink()) for link in (proc / "fd").iterdir() if link.is_symlink()]
    mapped = (proc / "maps").read_text().splitlines()
    return sum("/memfd:" in line or "/dev/shm/" in line for line in (*opened, *mapped))


def kill_camera(service: Service, *, clean_slate: bool) -> None:
    """Until another camera delivers. clean_slate: a pause on purpose, after which no failure counts any more."""
    before = service.camera()
    before.kill()
    if clean_slate:
        service.json("PUT", "/api/paused", True)
        service.json("PUT", "/api/paused", False)

    def replaced() -> bool:
        cameras = service.cameras()
        return bool(cameras) and cameras[0].pid != before.pid and service.state()["camera"]["status"] == "streaming"

    until(replaced, RESPAWN_S, "another camera")


def respawn(count: int, *, tell_every: int = 100) -> tuple[Footprint, int]:
    """Kill the camera that many times. What is there more than before, and how many processes outlived the service.

    The service opens a camera that dies at once the first time and then pauses longer and longer: so every second
    time its owner pauses it and lets it go on, which begins anew.
    """
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory() as folder:
        with running(Path(folder), environment={**QUIET, MARK: mark}) as service:
            began, before = time.monotonic(), Footprint.of(service, mark)
            for number in range(-WARM_UP, count):
                if number == 0:
                    before = Footprint.of(service, mark)
                    print(f"before: {before}", flush=True)
                kill_camera(service, clean_slate=number % 2 == 1)
                if number >= 0 and (number + 1) % tell_every == 0:
                    more = Footprint.of(service, mark).since(before)
                    print(f"{number + 1:5d} in {time.monotonic() - began:.0f} s, more than before: {more}", flush=True)
            more = _at_rest(service, mark, before)
        return more, len(marked(mark))


def _at_rest(service: Service, mark: str, before: Footprint) -> Footprint:
    """How much more it is, once what is open for a moment (a connection, a reader of events) is closed again."""
    until_s = time.monotonic() + AT_REST_S
    while (more := Footprint.of(service, mark).since(before)).grew() and time.monotonic() < until_s:
        time.sleep(0.1)
    return more


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the service must not outlive the run
    more, outlived = respawn(count)
    print(f"left behind by {count} respawns: {more}; processes that outlived the service: {outlived}")
    return 1 if more.grew() or outlived else 0


if __name__ == "__main__":
    sys.exit(main())
