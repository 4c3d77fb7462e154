"""The command as users run it: a process of its own, with a home of its own."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pytest

from tests.cli.graphs import tiny

TIMEOUT_S = 60
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOOKOUT_", "XDG_"))}
    return {**kept, "HOME": str(home), "COLUMNS": "80", "PYTHONWARNINGS": "error", **more}


@pytest.fixture
def lookout(tmp_path: Path) -> Run:
    """Runs `lookout ARGUMENTS` to its end, in this process: starting one takes longer than most of what is tested.

    Keyword arguments are environment variables; `stdin` is text to read.
    """

    def run(*arguments: object, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        from lookout.__main__ import main

        out, err = io.StringIO(), io.StringIO()
        words = ["lookout", *map(str, arguments)]
        with (
            mock.patch.dict(os.environ, environment(tmp_path, **more), clear=True),
            mock.patch.object(sys, "argv", words),
            mock.patch.object(sys, "stdin", io.StringIO(stdin)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        status = ended.value.code
        assert status is None or isinstance(status, int)
        return subprocess.CompletedProcess(words, status or 0, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def command(tmp_path: Path) -> Run:
    """The same, in a process of its own."""

    def run(*arguments: object, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lookout", *map(str, arguments)],
            capture_output=True, text=True, timeout=TIMEOUT_S, env=environment(tmp_path, **more), input=stdin,
        )  # fmt: skip

    return run


@dataclass
class Running:
    """A `lookout serve` or `demo` that has announced its address."""

    process: subprocess.Popen[str]
    address: str = ""
    words: list[str] = field(default_factory=list)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(10)
        assert self.process.stderr is not None
        self.words += self.process.stderr.read().splitlines()
        return status


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts a service and waits for the sentence with its address."""
    started: list[Running] = []

    def start(*arguments: str, **more: str) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-m", "lookout", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(tmp_path, **more),
        )  # fmt: skip
        running = Running(process)
        started.append(running)
        assert process.stderr is not None
        until = time.monotonic() + TIMEOUT_S
        while not running.address and time.monotonic() < until:
            line = process.stderr.readline()
            if not line:
                pytest.fail(f"ended with {process.wait(10)}: {running.words}")
            running.words.append(line.rstrip())
            if "Open http" in line:
                running.address = line.split("Open ")[1].split()[0]
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait(10)
        for stream in (running.process.stdout, running.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A small sound ONNX classifier of three classes."""
    return tiny().save(tmp_path / "Tiny Net.onnx")


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("# animals\ncat\n\ndog\nneither\n", "utf-8")
    return path
