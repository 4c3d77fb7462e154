"""`lookout serve` and `demo`: they serve, and each reason not to has its exit status and one sentence."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.cli.conftest import Run, Running, environment
from tests.requires import requires

Start = Callable[..., Running]


def state_of(running: Running) -> dict[str, Any]:
    with urllib.request.urlopen(f"{running.address}api/state", timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def test_the_demo_answers_and_stops_in_time(serving: Start) -> None:
    running = serving("demo", "--port", "0", "--answer.max_rate", "5")
    until = time.monotonic() + 20
    while state_of(running)["status"] != "ok" and time.monotonic() < until:
        time.sleep(0.05)
    state = state_of(running)
    assert state["status"] == "ok"
    assert state["camera"]["source"] == "demo"
    assert state["prediction"] is not None
    begun = time.monotonic()
    assert running.stop(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 5
    assert running.process.stdout is not None
    assert running.process.stdout.read() == "", "what it says are words, not data"


def test_a_setting_may_come_from_flag_environment_and_file(serving: Start, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('[camera]\nsource = "folder:nowhere"\n[answer]\nmax_rate = 3\n')
    running = serving(
        "serve", "--config", str(tmp_path / "my.toml"), "--port", "0", LOOKOUT_CAMERA__SOURCE="demo"
    )  # fmt: skip
    assert state_of(running)["camera"]["source"] == "demo"
    running.stop()


def test_ctrl_c_stops_in_order_with_exit_status_130(serving: Start) -> None:
    running = serving("demo", "--port", "0")
    assert running.stop(signal.SIGINT) == 130
    assert "Stopped." in running.words[-1]
    assert not any("Traceback" in line for line in running.words)


def test_it_stops_in_time_though_settings_wait_for_a_camera_that_hangs(serving: Start, tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text("from lookout.camera.sources.scripted import Hang\n\nstuck = [Hang()]\n")
    config = tmp_path / "my.toml"
    config.write_text('[camera]\nsource = "scripted:hanging:stuck"\n')
    running = serving("serve", "--config", str(config), "--port", "0", PYTHONPATH=f"{tmp_path}:{Path.cwd()}")
    until = time.monotonic() + 20
    while not _has_child(running.process.pid) and time.monotonic() < until:
        time.sleep(0.02)
    config.write_text(config.read_text() + "[answer]\nmax_rate = 3\n")
    running.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)  # for the thread that reads them again to wait for the worker
    begun = time.monotonic()
    assert running.stop(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 5


def _has_child(pid: int) -> bool:
    return bool(psutil.Process(pid).children())


_WITHOUT_ANY = """
import os, sys
from lookout.__main__ import main
sys.argv = ["lookout", "config"]
try:
    main()
finally:
    with open(os.environ["OPEN"], "w") as output:
        print(*(os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)), file=output)
"""


def test_it_stops_in_time_though_a_library_takes_long_to_leave(serving: Start, tmp_path: Path) -> None:
    """On a busy machine Python needed 8 s to take its modules apart, after the service itself had stopped in one."""
    (tmp_path / "sitecustomize.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"
    )
    running = serving("demo", "--port", "0", PYTHONPATH=f"{tmp_path}:{Path.cwd()}")
    begun = time.monotonic()
    assert running.stop(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 5
    assert "Stopped." in running.words[-1]


def test_closed_standard_descriptors_are_taken_by_nothing_else(tmp_path: Path) -> None:
    """What a library writes to 2 would otherwise go into a socket, as part of somebody's answer."""
    reported = environment(tmp_path, CODE=_WITHOUT_ANY, OPEN=str(tmp_path / "open"))
    done = subprocess.run(["sh", "-c", f'exec "{sys.executable}" -c "$CODE" <&- >&- 2>&-'], env=reported, check=False)
    assert done.returncode == 0
    assert (tmp_path / "open").read_text().split() == ["/dev/null"] * 3


def test_a_busy_port_is_exit_status_5(command: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = command("demo", "--port", port)
    assert done.returncode == 5
    assert f"Port {port} on 127.0.0.1 is taken" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_second_service_on_the_same_state_folder_is_refused_by_name(serving: Start, command: Run) -> None:
    running = serving("demo", "--port", "0")
    done = command("demo", "--port", "0")
    assert done.returncode == 5
    assert f"process {running.process.pid} (lookout demo)" in done.stderr
    assert running.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (("--camera.fps", "900"), {}, "--camera.fps is 900, but must be a number above 0 and at most 240."),
        ((), {"LOOKOUT_CAMERA__SORCE": "demo"}, "Did you mean LOOKOUT_CAMERA__SOURCE?"),
        (("--config", "/nonexistent.toml"), {}, "The settings file /nonexistent.toml cannot be read"),
        (("--host", "0.0.0.0", "--port", "0"), {}, "there is no token"),
    ],
)
def test_an_invalid_setting_is_exit_status_3(
    command: Run, arguments: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    done = command("demo", *arguments, **variables)
    assert done.returncode == 3
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_state_folder_that_is_a_file_is_exit_status_3(command: Run, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    done = command("demo", "--port", "0", "--state.folder", tmp_path / "state")
    assert done.returncode == 3
    assert f"The state folder {tmp_path / 'state'} cannot be written" in done.stderr
    assert done.stderr.count("\n") <= 4


@requires("mount")
def test_a_read_only_disk_is_reported_and_the_service_runs(serving: Start, tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", folder], check=True)
    try:
        running = serving("demo", "--port", "0", "--state.folder", str(folder))
        assert state_of(running)["model"] is not None
        assert running.stop() == 0
    finally:
        subprocess.run(["umount", folder], check=True)
    assert any("Read-only file system" in line and "runs anyway" in line for line in running.words)


def test_ctrl_c_before_it_runs_is_exit_status_130(tmp_path: Path) -> None:
    import sys

    from tests.cli.conftest import environment

    process = subprocess.Popen(
        # A shell's background job, as a test run may be, has Ctrl+C ignored: env gives it back.
        ["env", "--default-signal=INT", sys.executable, "-m", "lookout", "doctor", "--log", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path),
    )  # fmt: skip
    time.sleep(5.0)  # by then it waits for the log on stdin, on a busy machine too
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in words


def test_a_form_that_cannot_be_read_leaves_no_line_of_offsets(serving: Start) -> None:
    running = serving("demo", "--port", "0")
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    refused = httpx.post(f"{running.address}api/classify", content=b"--y\r\n\r\n", headers=kind, timeout=20)
    assert refused.status_code == 422
    assert refused.json()["remedy"]
    running.stop()
    assert not [line for line in running.words if "boundary" in line]


def test_lines_for_the_journal_carry_their_severity(serving: Start) -> None:
    running = serving("demo", "--port", "0", JOURNAL_STREAM="8:1")
    running.stop()
    assert any(line.startswith("<6>") for line in running.words)
