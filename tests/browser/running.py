"""Runs the real service in a separate process, as a user would, and scripts what its camera does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.browser.scenes import ORDER_FILE, SOURCE
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 90.0


class RunningService:
    """One `lookout serve` with a separate folder for state, cache and camera orders."""

    def __init__(self, folder: Path, *flags: str, source: str = SOURCE) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.flags = ["--source", source, *flags]
        self._order = folder / "order"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.order("live")

    def order(self, word: str) -> None:
        """What the camera shall do from now on; see scenes.py. Written whole, so that no half word is read."""
        fresh = self._order.with_suffix(".new")
        fresh.write_text(word, "utf-8")
        fresh.replace(self._order)

    @property
    def environment(self) -> dict[str, str]:
        own = {
            ORDER_FILE: str(self._order),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "PYTHONPATH": str(ROOT),
        }
        return {name: value for name, value in os.environ.items() if not name.startswith("LOOKOUT_SERVER")} | own

    def start(self) -> None:
        """Start and wait until it answers."""
        flags = ["--server.port", str(self.port), *self.flags]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lookout", "serve", *flags],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                if httpx.get(f"{self.url}readyz", timeout=2.0, trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"The service did not start:\n{(self.folder / 'log').read_text('utf-8')[-3000:]}")

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """End it as an administrator would."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def state(self) -> dict[str, object]:
        reported: dict[str, object] = httpx.get(f"{self.url}api/state", trust_env=False).raise_for_status().json()
        return reported
