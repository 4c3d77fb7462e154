"""`lookout doctor`: each known failure, made up in a folder that looks like a machine, is found and has its fix."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from lookout.doctor import bundle, camera, machine, runtime, service
from lookout.doctor.check import Check, Context, Finding, output_of
from lookout.doctor.report import ALL_CHECKS
from lookout.doctor.sightings import explain
from lookout.errors import SettingInvalid
from lookout.settings.schema import Settings
from lookout.settings.sources import load
from lookout.storage import with_timeout
from lookout.system.known_lines import KNOWN_LINES

from tests.cli.conftest import Run, Running
from tests.faults import mounts
from tests.requires import requires
from tests.support.ports import free_port

Put = Callable[[str, str], None]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes a file of the made-up machine."""

    def write(path: str, text: str) -> None:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    return write


@pytest.fixture
def pi(tmp_path: Path, put: Put) -> Context:
    put("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    return Context(root=tmp_path)


def found(check: str, context: Context) -> Finding:
    return next(each for each in ALL_CHECKS if each.name == check).run(context)


@pytest.mark.parametrize(
    ("bits", "status", "said"),
    [("0", "ok", "voltage is stable"), ("50005", "fail", "under-voltage now"), ("50000", "warn", "since boot")],
)
def test_the_supply(pi: Context, put: Put, bits: str, status: str, said: str) -> None:
    put("sys/devices/platform/soc/soc:firmware/get_throttled", bits)
    finding = found("supply", pi)
    assert (finding.status, said in finding.detail) == (status, True)
    assert bool(finding.remedy) == (status != "ok")


def test_the_supply_by_its_sensor(pi: Context, put: Put) -> None:
    assert found("supply", pi).status == "skipped"
    put("sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    assert found("supply", pi).status == "fail"
    put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
    assert found("supply", pi).status == "ok"


@pytest.mark.parametrize(("millidegrees", "status"), [("51200", "ok"), ("83000", "warn")])
def test_the_temperature(pi: Context, put: Put, millidegrees: str, status: str) -> None:
    assert found("temperature", pi).status == "skipped"
    put("sys/class/thermal/thermal_zone0/temp", millidegrees)
    put("sys/class/thermal/thermal_zone0/type", "cpu-thermal")
    assert found("temperature", pi).status == status


def test_memory_for_programs_and_for_pictures(pi: Context, put: Put) -> None:
    put("proc/meminfo", "MemAvailable:  4000000 kB\nCmaTotal:  524288 kB\nCmaFree:  400000 kB\n")
    assert [found(name, pi).status for name in ("memory", "camera memory")] == ["ok", "ok"]
    put("proc/meminfo", "MemAvailable:  90000 kB\nCmaTotal:  65536 kB\nCmaFree:  900 kB\n")
    assert [found(name, pi).status for name in ("memory", "camera memory")] == ["warn", "warn"]
    assert "cma-256" in found("camera memory", pi).remedy


def test_the_memory_of_a_container_is_what_its_limit_leaves(pi: Context, put: Put) -> None:
    put("proc/meminfo", "MemAvailable:  4000000 kB\n")
    put("proc/self/cgroup", "0::/")
    put("sys/fs/cgroup/memory.max", str(512 * 2**20))
    put("sys/fs/cgroup/memory.current", str(200 * 2**20))
    finding = found("memory", pi)
    assert (finding.status, finding.detail) == ("ok", "312 MiB of memory available.")
    put("sys/fs/cgroup/memory.max", str(256 * 2**20))
    finding = found("memory", pi)
    assert (finding.status, "container" in finding.remedy) == ("warn", True)


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("camera_auto_detect=1\n", "ok", "enables the detection"),
        ("dtoverlay=imx708\n", "ok", "enables the detection"),
        ("start_x=1\ncamera_auto_detect=1\n", "fail", "start_x=1"),
        ("#camera_auto_detect=1\n", "warn", "neither detects"),
    ],
)
def test_config_txt(pi: Context, put: Put, text: str, status: str, said: str) -> None:
    assert found("config.txt", pi).status == "skipped"
    put("boot/firmware/config.txt", text)
    finding = found("config.txt", pi)
    assert (finding.status, said in finding.detail) == (status, True)


def test_hidden_processors(pi: Context, put: Put) -> None:
    assert found("processors", pi).status == "warn"
    put("sys/devices/system/cpu/possible", "0-3")
    assert found("processors", pi).status == "ok"


def test_who_holds_the_camera(pi: Context, put: Put, tmp_path: Path) -> None:
    assert found("camera in use", pi).status == "ok"
    put("proc/4711/comm", "motion\n")
    (tmp_path / "proc/4711/fd").mkdir()
    (tmp_path / "proc/4711/fd/7").symlink_to("/dev/video0")
    finding = found("camera in use", pi)
    assert finding.status == "warn"
    assert "motion (process 4711) holds /dev/video0" in finding.detail


def test_devices_this_user_may_not_use(pi: Context, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("permissions", pi).status == "skipped"
    put("dev/video0", "")
    assert found("permissions", pi).status == "ok"
    monkeypatch.setattr(os, "access", lambda *_: False)
    finding = found("permissions", pi)
    assert finding.status == "fail"
    assert "usermod -aG" in finding.remedy


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("ModuleNotFoundError: No module named 'picamera2'", "apt install python3-picamera2"),
        ("ModuleNotFoundError: No module named 'libcamera'", "python3-libcamera"),
        ("ImportError: cannot import name 'ControlType' from 'libcamera' (unknown location)", "Remove that folder"),
        ("ValueError: numpy.dtype size changed, may indicate binary incompatibility", "camera.python at auto"),
        ("SomethingElse: odd", "apt install python3-picamera2"),
    ],
)
def test_why_picamera2_does_not_load(pi: Context, monkeypatch: pytest.MonkeyPatch, error: str, said: str) -> None:
    from lookout.camera.interpreters import Probe

    monkeypatch.setattr(camera, "probe", lambda *_: Probe(error))
    finding = found("pi camera", pi)
    assert finding.status == "fail"
    assert said in finding.remedy
    monkeypatch.setattr(camera, "probe", lambda *_: Probe(""))
    assert found("pi camera", pi).status == "ok"
    demo = Context(root=pi.root, settings=Settings.model_validate({"camera": {"source": "demo"}}))
    assert found("pi camera", demo).status == "skipped"


UNUSABLE = "picamera2 is not usable (/usr/bin/python3: ModuleNotFoundError: No module named 'picamera2')"
NO_USB = "no USB camera is plugged in"


@pytest.mark.parametrize(
    ("on_a_pi", "reason", "remedy", "said", "fix"),
    [
        (True, "libcamera finds no Pi camera", "Check.", f"libcamera finds no Pi camera; {NO_USB}.", "ribbon"),
        (True, UNUSABLE, "sudo apt install it", f"picamera2 is not usable; {NO_USB}.", "sudo apt install it"),
        (False, UNUSABLE, "sudo apt install it", f"{NO_USB}.", "Plug a camera in"),
    ],
)
def test_no_camera_is_reported_in_words_that_fit_the_machine(
    pi: Context,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    on_a_pi: bool,
    reason: str,
    remedy: str,
    said: str,
    fix: str,
) -> None:
    from lookout.camera.discover import Discovery

    seen = Discovery((), (reason, NO_USB), (remedy, "Plug a camera in."))
    monkeypatch.setattr(camera, "discover", lambda *_: seen)
    finding = found("camera", pi if on_a_pi else Context(root=tmp_path / "elsewhere"))
    assert finding.detail == f"No camera was found: {said}"
    assert fix in finding.remedy


def test_on_another_machine_than_a_pi_nobody_misses_its_camera(tmp_path: Path) -> None:
    elsewhere = Context(root=tmp_path)
    assert found("pi camera", elsewhere).status == "skipped"
    wanted = Context(root=tmp_path, settings=Settings.model_validate({"camera": {"source": "pi:0"}}))
    assert found("pi camera", wanted).status in ("ok", "warn")


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("demo", "skipped"),
        ("nonsense", "fail"),
        ("rtsp://user:secret@127.0.0.1:9/x", "fail"),
        ("file:/none.mp4", "fail"),
    ],
)
def test_a_source_that_is_not_a_camera_here_is_tried(source: str, status: str) -> None:
    finding = found("camera", Context(settings=Settings.model_validate({"camera": {"source": source}})))
    assert finding.status == status
    assert bool(finding.remedy) == (status == "fail")
    assert "secret" not in finding.detail + finding.remedy


def test_a_source_that_delivers_is_reported_with_its_size(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((48, 64, 3), np.uint8))
    folder = {"camera": {"source": f"folder:{tmp_path}"}, "server": {"port": free_port()}}
    finding = found("camera", Context(settings=Settings.model_validate(folder)))
    assert (finding.status, "64×48" in finding.detail) == ("ok", True)


def _systemd(monkeypatch: pytest.MonkeyPatch, **properties: str) -> None:
    shown = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", **properties}
    text = "".join(f"{name}={value}\n" for name, value in shown.items())
    monkeypatch.setattr(service, "output_of", lambda *_: (0, text))


NOWHERE = {"server": {"port": 9}}


@pytest.mark.parametrize(
    ("properties", "status", "said"),
    [
        ({"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "3"}, "fail", "a setting, a model"),
        (
            {"ActiveState": "activating", "SubState": "auto-restart", "ExecMainStatus": "1", "NRestarts": "40"},
            "fail",
            "keeps ending (exit status 1) and was restarted 40 times",
        ),
        ({"ActiveState": "inactive"}, "warn", "not running"),
        ({}, "fail", "is running, but does not answer"),
        ({"LoadState": "not-found", "ActiveState": "inactive"}, "skipped", "No Lookout answers"),
    ],
)
def test_what_systemd_says_of_the_service(
    pi: Context, monkeypatch: pytest.MonkeyPatch, properties: dict[str, str], status: str, said: str
) -> None:
    _systemd(monkeypatch, **properties)
    context = dataclasses.replace(pi, settings=Settings.model_validate(NOWHERE))
    finding = found("service", context)
    assert (finding.status, said in finding.detail) == (status, True), finding
    assert bool(finding.remedy) == (status in ("warn", "fail"))


@pytest.mark.parametrize(
    ("answers", "status", "said", "fix"),
    [
        ({"/readyz": {"status": "ready", "camera": "streaming"}}, "ok", "gets pictures", ""),
        ({"/readyz": {"status": "ready", "camera": "paused"}}, "warn", "paused", "Resume"),
        (
            {
                "/readyz": {"status": "ready", "camera": "absent"},
                "/api/state": {"camera": {"reason": "The camera was unplugged.", "remedy": "Plug it in."}},
            },
            "fail",
            "absent. The camera was unplugged.",
            "Plug it in.",
        ),
        (
            {"/readyz": {"code": "not_ready", "detail": "No model runs.", "remedy": "Look."}},
            "fail",
            "No model",
            "Look.",
        ),
        (
            {"/readyz": {"status": "ready", "camera": "stalled"}, "/api/state": {"code": "x"}},
            "fail",
            "stalled",
            "journal",
        ),
    ],
)
def test_what_the_running_service_says_of_itself(
    pi: Context,
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[str, dict[str, object]],
    status: str,
    said: str,
    fix: str,
) -> None:
    _systemd(monkeypatch)
    monkeypatch.setattr(service, "ask", lambda _, path: answers.get(path))
    finding = found("service", pi)
    assert (finding.status, said in finding.detail, fix in finding.remedy) == (status, True, True), finding


def test_what_this_user_may_not_read_is_reported(pi: Context, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("etc/lookout/lookout.toml", "")
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    _systemd(monkeypatch, StatusText="Nobody here.")
    loaded = load({"server.port": "9"}, None, {"HOME": str(pi.root)})
    context = dataclasses.replace(pi, loaded=loaded, settings=loaded.settings, log=())
    for name, status in (("settings", "warn"), ("log", "warn"), ("service", "ok")):
        finding = found(name, context)
        assert finding.status == status
        assert "may not read" in finding.detail
        assert finding.remedy == ("sudo lookout doctor" if status == "warn" else "")


def test_root_checks_with_the_rights_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    for name in ("setgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda number, name=name: done.append((name, number)))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "environ", {"HOME": "/root", "XDG_STATE_HOME": "/root/x"})
    monkeypatch.setattr(
        pwd, "getpwnam", lambda _: pwd.struct_passwd(("lookout", "x", 71, 72, "", "/var/lib/lookout", ""))
    )
    _systemd(monkeypatch)
    assert service.become_service_user()
    assert done[-2:] == [("setgid", 72), ("setuid", 71)]
    assert os.environ == {"HOME": "/var/lib/lookout"}
    _systemd(monkeypatch, LoadState="not-found")
    assert not service.become_service_user()


def test_a_runtime_for_another_processor_is_distinguished(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([(0, "1.32.0 5.0.0 2.4.6\n"), (-4, ""), (1, "Traceback\nImportError: no\n")])
    monkeypatch.setattr(runtime, "output_of", lambda *_: next(answers))
    for status, said, model in (
        ("ok", "onnxruntime 1.32.0", "ok"),
        ("fail", "illegal instruction", "skipped"),
        ("fail", "ImportError: no", "skipped"),
    ):
        runtime.load_runtime.cache_clear()
        finding = found("runtime", Context())
        assert (finding.status, said in finding.detail) == (status, True), finding
        assert found("model", Context()).status == model, "loading a model would end this process as well"
    runtime.load_runtime.cache_clear()


def test_settings_state_folder_port_and_model(tmp_path: Path) -> None:
    import socket

    (tmp_path / "file").write_text("")
    flags = {"state.folder": str(tmp_path / "file"), "model.name": "none", "server.port": "1"}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        loaded = load(flags | {"server.port": str(taken.getsockname()[1])}, None, {"HOME": str(tmp_path)})
        context = Context(loaded=loaded, settings=loaded.settings)
        statuses = {name: found(name, context).status for name in ("settings", "state folder", "port", "model")}
    assert statuses == {"settings": "ok", "state folder": "fail", "port": "warn", "model": "fail"}
    broken = Context(problem=SettingInvalid("camera.fps is 900.", "Lower it."))
    assert found("settings", broken) == Finding("fail", "camera.fps is 900.", "Lower it.")
    assert found("state folder", broken).status == "skipped"


def test_a_port_that_lookout_itself_has_is_not_a_problem(
    serving: Callable[..., Running], lookout: Run, tmp_path: Path
) -> None:
    running = serving("demo", "--port", "0")
    port = urlsplit(running.address).port
    (tmp_path / "settings.toml").write_text(f"[server]\nport = {port}\n")
    reported = lookout("doctor", "--config", tmp_path / "settings.toml").stdout
    assert f"Port {port} on 127.0.0.1 is used by Lookout" in " ".join(reported.split())


@requires("mount")
def test_a_read_only_disk(tmp_path: Path) -> None:
    folder = tmp_path / "card"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", folder], check=True)
    try:
        loaded = load({"state.folder": str(folder)}, None, {"HOME": str(tmp_path)})
        assert found("disk", Context(loaded=loaded)).status == "fail"
    finally:
        subprocess.run(["umount", folder], check=True)
    assert found("disk", Context(loaded=loaded)).status in ("ok", "warn")


@requires("silent-disk")
def test_a_disk_that_does_not_answer_holds_up_no_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load({"state.folder": str(tmp_path)}, None, {"HOME": "/"})
    monkeypatch.setattr(with_timeout, "__defaults__", (0.1,))
    with mounts.silent(tmp_path):
        for check in ("disk", "state folder"):
            finding = found(check, Context(loaded=loaded))
            assert (finding.status, "does not answer" in finding.detail) == ("fail", True), check
            assert "dmesg" in finding.remedy
        assert load({"state.folder": str(tmp_path)}, None, {"HOME": "/"}).unread
        assert found("model", Context(loaded=loaded, settings=loaded.settings)).status == "ok"


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MIN_FREE_BYTES", 2**70)
    assert found("disk", Context()).status == "warn"


def test_an_unset_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, status in ((True, "ok"), (False, "warn"), (None, "skipped")):
        monkeypatch.setattr(machine.clock, "synchronised", lambda answer=answer: answer)
        assert found("clock", Context()).status == status


def test_a_check_that_fails_itself_does_not_end_the_others() -> None:
    def broken(_: Context) -> Finding:
        raise RuntimeError("odd")

    finding = Check("x", broken).run(Context())
    assert (finding.status, "RuntimeError: odd" in finding.detail) == ("skipped", True)


def test_commands_that_are_missing_or_slow_are_distinguished() -> None:
    assert output_of(["/nonexistent"])[0] == 127
    assert output_of(["sleep", "9"], 0.1)[0] == 124


# One line of each kind, as it stands in logs.
LOG = """
ERROR V4L2 v4l2_videodevice.cpp:1906 /dev/video4[16:cap]: Dequeue timer of 1000000.00us has expired!
ERROR RPI pipeline_base.cpp:1345 Camera frontend has timed out!
ERROR: *** Device timeout detected, attempting a restart!!! ***
ERROR Camera camera.cpp:1051 Pipeline handler in use by another process
RuntimeError: Camera __init__ sequence did not complete.
IndexError: list index out of range
ERROR: *** no cameras available ***
ModuleNotFoundError: No module named 'picamera2'
ModuleNotFoundError: No module named 'libcamera'
ImportError: cannot import name 'ControlType' from 'libcamera' (unknown location)
ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88
RuntimeError: failed to allocate capture buffers
OSError: [Errno 12] Cannot allocate memory
ERROR RPI: Could not open any dmaHeap device
ERROR V4L2 v4l2_device.cpp:94 'imx708': Cannot open '/dev/video0': 13, Permission denied
no element "libcamerasrc"
[ WARN:0@10.1] global cap_v4l.cpp:1138 VIDEOIO(V4L2:/dev/video0): select() timeout.
VIDIOC_DQBUF: No such device
[ WARN:0] VIDEOIO(V4L2:/dev/video10): can't open camera by index
Corrupt JPEG data: 3 extraneous bytes before marker 0xd1
[h264 @ 0x55] error while decoding MB 12 30, bytestream -7
Option stimeout not found.
Main process exited, code=dumped, status=4/ILL
Error in cpuinfo: failed to parse the list of possible processors in /sys/devices/system/cpu/possible
Error in cpuinfo: prctl(PR_SVE_GET_VL) failed
GPU device discovery failed: device_discovery.cc:89 Failed to open file: "/sys/class/drm/card1/device/vendor"
pthread_setaffinity_np failed for thread: 12, index: 1, mask: {2, }, error code: 22
ERROR: No matching distribution found for onnxruntime
hwmon hwmon1: Undervoltage detected!
VCHI initialization failed
<jemalloc>: Unsupported system page size
EXT4-fs error (device mmcblk0p2): ext4_find_entry:1455: inode #2: comm systemd: reading directory lblock 0
OSError: [Errno 30] Read-only file system: '/var/lib/lookout/x'
OSError: [Errno 28] No space left on device
sqlite3.OperationalError: database is locked
systemd[1]: Time has been changed
Out of memory: Killed process 4711 (python3)
lookout.service: Main process exited, code=killed, status=9/KILL
Waiting for connections to close. (CTRL+C to force quit)
OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8642): address already in use
"""


def test_every_known_line_is_recognised_and_has_a_remedy() -> None:
    lines = LOG.strip().splitlines()
    assert all(explain([line]) for line in lines), [line for line in lines if not explain([line])]
    assert {sighting.known for sighting in explain(lines)} == set(KNOWN_LINES), "each pattern has its example"
    assert all(known.detail.endswith(".") and known.remedy for known in KNOWN_LINES)


@pytest.mark.parametrize("line", ["", "INFO Camera demo opened.", "answer.label is cat", "GET /api/state 200"])
def test_ordinary_lines_mean_nothing(line: str) -> None:
    assert explain([line]) == []


def test_a_log_is_explained_from_a_file_or_stdin(lookout: Run, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(
        "Undervoltage detected!\n" * 3 + "rtsp://a:secret1@h/x Camera frontend has timed out!\n"
    )
    done = lookout("doctor", "--log", tmp_path / "log")
    assert done.returncode == 0
    assert "3 ×" in done.stdout
    assert max(len(line) - len(line.rstrip()) for line in done.stdout.splitlines()) < 80, "it is pasted into reports"
    assert "official supply" in done.stdout
    assert "secret1" not in done.stdout
    entries = [json.loads(line) for line in lookout("doctor", "--json", "--log", "-", stdin=LOG).stdout.splitlines()]
    assert len(entries) == len(KNOWN_LINES)
    assert lookout("doctor", "--log", tmp_path / "none").returncode == 1


def test_the_whole_examination_and_its_support_file_without_secrets(lookout: Run, tmp_path: Path) -> None:
    file = tmp_path / "support.tar.gz"
    source = "rtsp://admin:hunter22@127.0.0.1:9/live?token=abcdef99"
    done = lookout("doctor", "--json", "--bundle", file, LOOKOUT_CAMERA__SOURCE=source)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    named = {finding["name"]: finding for finding in findings if "name" in finding}
    assert set(named) == {check.name for check in ALL_CHECKS}
    assert named["runtime"]["status"] == "ok"
    assert named["model"]["status"] == "ok"
    assert all(finding["fix"] for finding in named.values() if finding["status"] in ("warn", "fail"))
    assert done.returncode == any(finding["status"] == "fail" for finding in named.values())
    with tarfile.open(file) as archive:
        texts = {member.name: archive.extractfile(member).read().decode() for member in archive.getmembers()}
    assert {name.partition("/")[2] for name in texts} == {
        "findings.txt", "settings.json", "versions.json", "machine.txt", "log.txt",
    }  # fmt: skip
    for text in texts.values():
        assert "hunter22" not in text
        assert "abcdef99" not in text
    assert "onnxruntime" in texts["lookout-support/versions.json"]
    unwritable = lookout("doctor", "--bundle", "/nonexistent/x.tar.gz", LOOKOUT_CAMERA__SOURCE="demo")
    assert unwritable.returncode == 1
    assert "cannot be written" in unwritable.stderr


def test_the_log_in_the_support_file_lets_nobody_in(tmp_path: Path) -> None:
    log = [
        "opened rtsp://admin:hunter22@192.0.2.1/live",
        "password hunter22 was refused",
        "GET / Authorization: Bearer s3cretbearer",
        "http://pi.local:8642/#token=s3crettoken",
    ]
    source = "rtsp://admin:hunter22@192.0.2.1/live"
    context = Context(
        settings=Settings.model_validate({"camera": {"source": source}}), problem=SettingInvalid("x"), log=tuple(log)
    )
    bundle.write_bundle(
        bundle.open_bundle(tmp_path / "b.tar.gz"), context, [("camera", Finding("fail", f"{source} is silent"))]
    )
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        texts = [archive.extractfile(member).read().decode() for member in archive.getmembers()]
    assert any("rtsp://192.0.2.1/live" in text for text in texts)
    for secret in ("hunter22", "s3cretbearer", "s3crettoken"):
        assert not any(secret in text for text in texts), secret


def test_invalid_settings_are_a_finding_not_the_end(lookout: Run) -> None:
    done = lookout("doctor", LOOKOUT_CAMERA__FPS="900")
    assert done.returncode == 1
    assert "LOOKOUT_CAMERA__FPS is 900" in done.stdout
    assert "Traceback" not in done.stderr
