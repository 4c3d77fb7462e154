"""The log never makes anybody wait: a pipe that nobody reads, a full disk, a reader who has gone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from lookout.cli.logs import MAX_WAITING_BYTES, BackgroundHandler

from tests.cli.conftest import environment
from tests.support.ports import free_port

LINE = "0123456789" * 10


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def logger_of(handler: BackgroundHandler) -> logging.Logger:
    logger = logging.Logger("tests.log", logging.INFO)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    return logger


def test_a_pipe_that_nobody_reads_holds_nobody_up_and_what_was_left_out_is_counted(pipe: tuple[int, int]) -> None:
    handler = BackgroundHandler(pipe[1])
    logger = logger_of(handler)
    begun = time.monotonic()
    for number in range(20_000):
        logger.info("%d %s", number, LINE)
    assert time.monotonic() - begun < 30  # a writer that waited would do so for good; the machine may be busy
    handler.close()
    written, left_out, text = 0, 0, b""
    while written + left_out < 20_000:  # until each line is accounted for, however the writer's turns fell
        text += os.read(pipe[0], 65_536)
        lines = text.decode().split("\n")[:-1]
        warnings = [line for line in lines if line.startswith("WARNING ")]
        written, left_out = len(lines) - len(warnings), sum(int(line.split()[1]) for line in warnings)
    assert lines[0].startswith("INFO 0 "), "the first lines say how it began"
    assert left_out > 10_000
    assert written + left_out == 20_000
    # What waits, what the writer holds, and what the pipe took before it was full.
    assert len(text) < 2 * MAX_WAITING_BYTES + fcntl.fcntl(pipe[0], fcntl.F_GETPIPE_SZ) + len(lines[-1]) + 1


def test_a_reader_who_has_gone_and_a_full_disk_are_no_errors(
    pipe: tuple[int, int], capfd: pytest.CaptureFixture[str]
) -> None:
    os.close(pipe[0])
    full = os.open("/dev/full", os.O_WRONLY)
    for descriptor in (pipe[1], full):
        handler = BackgroundHandler(descriptor)
        logger_of(handler).warning("lost")
        handler.flush()
        handler.close()
    os.close(full)
    assert capfd.readouterr().err == ""


def test_a_message_that_does_not_fit_its_arguments_is_a_line_too(pipe: tuple[int, int]) -> None:
    handler = BackgroundHandler(pipe[1])
    logger_of(handler).info("%d of %d", 1)
    handler.flush()
    assert b"%d of %d" in os.read(pipe[0], 4096)
    handler.close()


@contextlib.contextmanager
def demo(folder: Path, stderr: int, port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "lookout", "demo", "--port", str(port)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, env=environment(folder),
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def is_well(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
        return bool(json.load(answer) == {"status": "ok"})
    return False


@pytest.mark.parametrize("log", ["full pipe", "full disk", "no reader"])
def test_the_service_runs_and_stops_in_order_whatever_becomes_of_its_log(
    tmp_path: Path, pipe: tuple[int, int], log: str
) -> None:
    if log == "full pipe":
        os.set_blocking(pipe[1], False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(pipe[1], b"x" * 4096)
        os.set_blocking(pipe[1], True)
    elif log == "no reader":
        os.close(pipe[0])
    full = os.open("/dev/full", os.O_WRONLY)
    port = free_port()
    with demo(tmp_path, full if log == "full disk" else pipe[1], port) as process:
        os.close(full)
        until = time.monotonic() + 30
        while not is_well(port):
            assert process.poll() is None, f"it ended with {process.returncode}"
            assert time.monotonic() < until
            time.sleep(0.05)
        for _ in range(3):  # each a line, and so a wait where lines wait
            process.send_signal(signal.SIGHUP)
            time.sleep(0.1)
            assert is_well(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_words_that_cannot_be_written_change_nothing_about_a_command(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lookout", "demo", "--camera.fps", "900"],
            stderr=full, env=environment(tmp_path), timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 3
