"""The whole service as its users see it: started as a process, watched over a WebSocket."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from lookout.bench.measure import Row, milliseconds, percentile
from lookout.errors import LookoutError
from lookout.pipeline.card import Card

START_S = 30.0
# After its first answer, a service still imports what that did not need: once, so it is not part of a share or an age.
SETTLED_S = 3.0
FPS = 15.0
MAX_START_S, MAX_IMPORTS_S = 2.0, 0.9
MAX_BYTES = {"int8": 170e6, "fp32": 220e6}
MAX_SHARE_AT_TWO = 0.02
MAX_EVENTS_BYTES, MAX_EVENTS_SHARE = 10e6, 0.02
_ANNOUNCED = re.compile(r"http://[^\s/]+/")
# What `lookout serve` imports before it can answer.
_IMPORTS = (
    "import time; t = time.perf_counter(); import lookout.cli, lookout.server.serve; print(time.perf_counter() - t)"
)


class Service:
    """A running `lookout demo` with its own folder for state and cache."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._begun = time.monotonic()
        folder.mkdir(exist_ok=True)
        self._log = (folder / "log").open("w+b")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LOOKOUT_")}
        environment |= {"XDG_STATE_HOME": str(folder), "XDG_CACHE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        own = folder / "lookout/lookout.toml"  # an empty file of its own, or the machine's would be read
        own.parent.mkdir(exist_ok=True)
        own.touch()
        command = [sys.executable, "-m", "lookout", "demo", "--port", "0", *flags]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=environment
        )
        self.address = ""

    def wait(self) -> float:
        """Return the seconds from the process's start until a client sees the first prediction."""
        while time.monotonic() < self._begun + START_S and self._process.poll() is None:
            if not self.address:
                found = _ANNOUNCED.search(self._text())
                self.address = found[0] if found else ""
            if self.address:
                state = self.state()
                if state.get("status") == "ok" and state.get("prediction"):
                    return time.monotonic() - self._begun
            time.sleep(0.01)
        raise LookoutError(f"The demo did not start: {self._text()[-500:].strip()}", "Run `lookout demo` to see why.")

    def _text(self) -> str:
        return Path(self._log.name).read_text("utf-8", "replace")

    def state(self) -> dict[str, Any]:
        """Return the response of GET /api/state; empty while there is none."""
        try:
            with urllib.request.urlopen(f"{self.address}api/state", timeout=2) as answer:
                found: dict[str, Any] = json.load(answer)
        except (OSError, ValueError):
            return {}
        return found

    @property
    def processes(self) -> tuple[psutil.Process, list[psutil.Process]]:
        """The service itself, and its children: the camera."""
        parent = psutil.Process(self._process.pid)
        return parent, parent.children(recursive=True)

    def memory(self) -> int:
        """Return the sum of the proportional set sizes in bytes."""
        parent, children = self.processes
        return sum(int(process.memory_full_info().pss) for process in (parent, *children))

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._log.close()


@contextlib.contextmanager
def running(folder: Path, *flags: str) -> Iterator[tuple[Service, float]]:
    """Run a service; provides it once it answers, and how many seconds that took."""
    service = Service(folder, *flags)
    try:
        yield service, service.wait()
    finally:
        service.stop()


def measure_live(card: Card, precisions: tuple[str, ...], seconds: float) -> list[Row]:
    """Measure start, age, memory and processor share with a fixed precision, so that nothing is tuned meanwhile."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="lookout-bench-") as name:
        folder = Path(name)
        flags = ("--model.name", card.name, "--model.folder", str(card.folder.parent), "--model.threads", "1")
        best = "int8" if "int8" in precisions else precisions[0]
        with running(folder, *flags, "--model.precision", best):
            pass  # warms the disk, and keeps the optimised graph
        starts = []
        for _ in range(3):
            with running(folder, *flags, "--model.precision", best) as (service, took):
                starts.append(took)
        rows.append(_start(sorted(starts)[1]))
        with running(folder, *flags, "--model.precision", best) as (service, _):
            time.sleep(SETTLED_S)
            rows.append(_age(service, max(10.0, seconds * 4)))
        for precision in precisions:
            with running(folder, *flags, "--model.precision", precision):
                pass
            with running(folder, *flags, "--model.precision", precision) as (service, _):
                time.sleep(max(5.0, seconds))
                rows.append(_memory(service, precision))
        slow = ("--answer.max_rate", "2", "--answer.focus", "off")  # the second inferences of focus count too
        with running(folder, *flags, "--model.precision", best, *slow) as (service, _):
            time.sleep(SETTLED_S)
            rows.append(_share(service, max(10.0, seconds * 4)))
        rows.append(_events(folder, (*flags, "--model.precision", best), max(10.0, seconds * 4)))
    return rows


def _start(took: float) -> Row:
    imports = min(
        float(subprocess.run([sys.executable, "-c", _IMPORTS], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )
    met = took <= MAX_START_S and imports <= MAX_IMPORTS_S
    measured = f"{took:.2f} s, imports {imports:.2f} s"
    goal = f"at most {MAX_START_S:g} s, imports {MAX_IMPORTS_S:g} s"
    return Row("start to the first answer", goal, measured, met, {"seconds": took, "imports_s": imports})


def _age(service: Service, seconds: float) -> Row:
    """Measure how old a prediction is when a client gets it; the state says when its picture was taken."""
    from websockets.sync.client import connect

    ages, inference = [], 0.0
    last = -1
    until = time.monotonic() + seconds
    with connect(f"{service.address.replace('http', 'ws', 1)}api/live?rate=30") as socket:
        while time.monotonic() < until:
            state = json.loads(socket.recv(timeout=10))
            now, prediction = time.time(), state.get("prediction")
            if state.get("type") != "state" or not prediction or prediction["frame_id"] == last:
                continue
            if last >= 0:  # the first state is as old as the last prediction happens to be
                ages.append((now - datetime.fromisoformat(prediction["captured_at"]).timestamp()) * 1e3)
            last = prediction["frame_id"]
            inference = state["timing_ms"]["inference"] or inference
    interval = 1e3 / FPS
    median, late = percentile(ages, 0.5), percentile(ages, 0.99)
    most, most_late = interval + inference + 5, 2 * interval + inference + 15
    return Row(
        "answer's age at a WebSocket client",
        f"at most median {most:.0f} ms, 99th percentile {most_late:.0f} ms",
        f"{milliseconds(median)}, {milliseconds(late)} ({len(ages)} answers)",
        median <= most and late <= most_late,
        {"median_ms": median, "p99_ms": late, "count": len(ages)},
    )


def _memory(service: Service, precision: str) -> Row:
    used, most = service.memory(), MAX_BYTES.get(precision, float("inf"))
    name = f"memory of the service, {precision}"
    return Row(name, f"at most {most / 1e6:.0f} MB", f"{used / 1e6:.0f} MB", used <= most, {"bytes": used})


def _share(service: Service, seconds: float) -> Row:
    """Measure the processor share without the two inferences per second and the camera's process, which run anyway."""
    before, begun = _used(service), time.monotonic()
    time.sleep(seconds)
    used, passed = _used(service) - before, time.monotonic() - begun
    inference = float(service.state()["timing_ms"]["inference"]) / 1e3
    share = used / passed - 2 * inference
    measured = f"{share:.1%} ({used / passed:.1%} with the inferences)"
    goal = f"at most {MAX_SHARE_AT_TWO:.0%} of a core"
    figures = {"share": share, "with_inference": used / passed}
    return Row("processor share at max_rate = 2", goal, measured, share <= MAX_SHARE_AT_TWO, figures)


def _events(folder: Path, flags: tuple[str, ...], seconds: float) -> Row:
    """Measure the cost of events: the same service runs with and without them, side by side for the same noise."""
    with (
        running(folder / "on", *flags, "--events.enabled", "true") as (on, _),
        running(folder / "off", *flags, "--events.enabled", "false") as (off, _),
    ):
        time.sleep(SETTLED_S)
        before, begun = (_used(on), _used(off)), time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - begun
        with_events, without = _used(on) - before[0], _used(off) - before[1]
        # A page shared by two processes counts half in each, so that the comparison is fair.
        memory = on.memory() - off.memory()
    share = (with_events - without) / passed
    met = share <= MAX_EVENTS_SHARE and memory <= MAX_EVENTS_BYTES
    return Row(
        "cost of events: memory, processor share",
        f"at most {MAX_EVENTS_BYTES / 1e6:.0f} MB, {MAX_EVENTS_SHARE:.0%} of a core",
        f"{memory / 1e6:.1f} MB, {share:.1%} ({without / passed:.1%} without)",
        met,
        {"bytes": memory, "share": share, "share_without": without / passed},
    )


def _used(service: Service) -> float:
    """Return the seconds of processor time so far, without the camera's."""
    return float(sum(service.processes[0].cpu_times()[:2]))
