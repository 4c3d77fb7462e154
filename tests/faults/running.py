"""A real service in a process of its own, to be broken and watched."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
# The shortest time after which the picture counts as old that a busy test machine keeps easily.
STALE_AFTER_S = 1.0
# What the contract gives the service to notice, and to answer again once the source is back.
NOTICE_S = STALE_AFTER_S + 1.0
RECOVER_S = 3.0
START_S = 40.0
# For faults during which nothing may look old, however busy the machine that tests.
NEVER_STALE = {"LOOKOUT_CAMERA__STALE_AFTER_S": "20"}
SCRIPT = "scripted:tests.faults.scripts:controlled"


def until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait for the condition; how long it took. Fails with `what` after that many seconds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - began


class Service:
    """One running `lookout serve`. control: the file that steers `scripts.controlled`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, control: Path, log: Path) -> None:
        self.process, self.port, self.control, self._log = process, port, control, log

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers (lower case), body. body: sent as JSON; raw: sent as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = raw if raw is not None else None if body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if body is not None else {}
        try:
            connection.request(method, path, sent, {**kind, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        status, _, data = self.request(method, path, body)
        return status, json.loads(data)

    def state(self) -> dict[str, Any]:
        status, reported = self.json("GET", "/api/state")
        assert status == 200
        assert isinstance(reported, dict)
        return reported

    def is_current(self) -> bool:
        try:
            return bool(self.state()["answer"]["current"])
        except OSError:
            return False

    def until_current(self, seconds: float = START_S) -> float:
        return until(self.is_current, seconds, f"an answer of now; the log says: {self.log()[-600:]}")

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def cameras(self) -> list[psutil.Process]:
        """The camera's process, and should that ever happen, all of them."""
        return [child for child in _children(self.process.pid) if "child.py" in " ".join(_command(child))]

    def camera(self) -> psutil.Process:
        (only,) = self.cameras()
        return only

    def set(self, mode: str) -> None:
        """Have the scripted camera do something else, see `scripts.py`."""
        temporary = self.control.with_suffix(".new")
        temporary.write_text(mode)
        temporary.replace(self.control)

    def clean_slate(self) -> None:
        """Healthy, and the next failure is the first one again."""
        self.set("ok")
        self.json("PUT", "/api/paused", True)
        self.json("PUT", "/api/paused", False)
        self.until_current()

    def end(self) -> int:
        """SIGTERM; its exit status. Killed when it takes too long, which is then a negative one."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(10)


def _limit(descriptors: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


@contextlib.contextmanager
def running(
    folder: Path,
    source: str = SCRIPT,
    *flags: str,
    environment: Mapping[str, str] | None = None,
    state_folder: Path | None = None,
    wait: bool = True,
    descriptors: int | None = None,
) -> Iterator[Service]:
    """A service on a free port of loopback; everything it keeps is below `folder`. wait: until it has an answer.

    descriptors: how many files it may open, as `ulimit -n` sets it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    control, log, port = folder / "control", folder / "log", free_port()
    if not control.exists():
        control.write_text("ok")
    settings = {
        "server.port": str(port),
        "camera.source": source,
        "camera.stale_after_s": str(STALE_AFTER_S),
        "camera.width": "320",
        "camera.height": "240",
        "answer.max_rate": "10",
        "state.folder": str(state_folder or folder / "state"),
    }
    variables = {f"LOOKOUT_{key.replace('.', '__').upper()}": value for key, value in settings.items()}
    # Optimised graphs are made once for the whole run.
    cache = Path(tempfile.gettempdir()) / f"lookout-faults-{os.getpid()}"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "lookout", "serve", *flags],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=None if descriptors is None else lambda: _limit(descriptors),
            env=os.environ
            | {"XDG_CACHE_HOME": str(cache), "XDG_CONFIG_HOME": str(folder), "FAULTS_CONTROL": str(control)}
            | variables
            | (environment or {}),
        )
    service = Service(process, port, control, log)
    try:
        if wait:
            service.until_current()
        yield service
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        service.end()
