"""What all comparisons share: the machine's name, environments of their own, running programs, a table."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


def machine() -> str:
    """The machine in words, as it stands above every table."""
    model = "processor unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            model = line.partition(":")[2].strip()
            break
    load = os.getloadavg()[0]
    return (
        f"{len(os.sched_getaffinity(0))} cores, {model}, Python {sys.version.split()[0]}, load {load:.1f} at the start"
    )


def environment(name: str, *packages: str) -> Path:
    """The interpreter of an environment that holds just `packages`; made on first use."""
    folder = ROOT / f".venv-bench-{name}"
    stamp = folder / "stamp"
    if not stamp.is_file() or stamp.read_text() != " ".join(packages):
        print(f"making {folder.name} ({', '.join(packages)})", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        command = [folder / "bin" / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        for package in packages:  # one by one: a pinned release must be there before others ask for a newer one
            subprocess.run([*command, package], check=True)
        stamp.write_text(" ".join(packages))
    return folder / "bin" / "python"


@dataclass
class Program:
    """A running program: its processor time with all its children, and a way to hold it still."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def _all(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_s(self) -> float:
        """Processor seconds used so far by all its processes that are alive."""
        total = 0.0
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def hold(self) -> None:
        """Stop it while others are measured."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)
        time.sleep(0.3)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], *, port: int, ready: str, seconds: float = 60, **settings: str
) -> Iterator[Program]:
    """Run a program until the block ends. `ready`: a path that answers 200 once it serves; "": the port accepts."""
    folder = Path(tempfile.mkdtemp(prefix="lookout-bench-"))
    log = folder / "log"
    own = {
        "PYTHONPATH": str(ROOT),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={**os.environ, **own, **settings},
            stdout=output,
            stderr=output,
        )
    program = Program(process, port, log)
    try:
        _wait_until_ready(program, ready, seconds)
        yield program
    finally:
        program.go_on()
        children = program._all()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(program: Program, ready: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if program.process.poll() is not None:
            break
        try:
            if ready:
                with urllib.request.urlopen(f"http://127.0.0.1:{program.port}{ready}", timeout=2) as answer:
                    if answer.status == 200:
                        return
            else:
                socket.create_connection(("127.0.0.1", program.port), 1).close()
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"{program.process.args} did not start:\n{program.log.read_text(errors='replace')[-2000:]}")


def lookout(verb: str, *flags: str) -> tuple[list[str | Path], int]:
    """The command line of our service on a free port."""
    port = free_port()
    return [sys.executable, "-m", "lookout", verb, "--server.port", str(port), *flags], port


def table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table, first row as its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f"\n{title}\n{machine()}\n")
    for index, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if index == 0:
            print("| " + " | ".join("-" * width for width in widths) + " |")
    print(flush=True)


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def spread(values: Sequence[float]) -> str:
    """Median with the lowest and the highest round."""
    return f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"
