"""`lookout doctor` on set-ups that are really broken: each is named, with what helps, and is sound when mended."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lookout.auth.tokens import TokenStore
from lookout.doctor.check import Finding
from lookout.doctor.report import ALL_CHECKS, context_of
from lookout.doctor.runtime import load_runtime
from lookout.storage import sole_use

from tests.cli.conftest import Run
from tests.faults import mounts
from tests.requires import requires
from tests.support.ports import free_port

SHIPPED = Path(__file__).resolve().parents[2] / "models"
NOBODY = 65534


class SetUp:
    """A machine with Lookout on it, that a case breaks. Its settings are those of its file."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.stack, self.monkeypatch = folder, stack, monkeypatch
        self.state = folder / "state"
        self.is_checked_by_root = os.geteuid() == 0
        self.settings: dict[str, dict[str, object]] = {
            "camera": {"source": "demo"},
            "server": {"port": free_port()},
            "state": {"folder": str(self.state)},
        }

    def set(self, key: str, value: object) -> None:
        section, name = key.split(".")
        self.settings.setdefault(section, {})[name] = value

    def finding(self, check: str) -> Finding:
        lines = []
        for section, values in self.settings.items():
            lines += [f"[{section}]", *(f'{key} = "{it}"' if isinstance(it, str) else f"{key} = {it}"
                                        for key, it in values.items())]  # fmt: skip
        config = self.folder / "lookout.toml"
        config.write_text("\n".join(lines))
        context = context_of(config)
        if os.geteuid() == 0 and not self.is_checked_by_root:  # who may do everything
            os.seteuid(NOBODY)
            self.stack.callback(os.seteuid, 0)
        return next(one for one in ALL_CHECKS if one.name == check).run(context)

    def program(self, name: str, script: str) -> Path:
        """A program that is found before the system's."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        self.monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
        return path

    def package(self, name: str, code: str) -> Path:
        """A package that stands in the way of the real one; the folder it is in."""
        folder = self.folder / "packages"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(code)
        return folder


@pytest.fixture
def set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SetUp]:
    for name in [name for name in os.environ if name.startswith(("LOOKOUT_", "XDG_", "STATE_DIRECTORY"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with contextlib.ExitStack() as stack:
        yield SetUp(tmp_path, stack, monkeypatch)


# --- what breaks it ---------------------------------------------------------------------------------------------


def _model(at: SetUp) -> Path:
    """A copy of a shipped model, in the user's own folder."""
    shutil.copytree(SHIPPED / "digits-lenet5", at.folder / "models" / "digits-lenet5")
    at.set("model.folder", str(at.folder / "models"))
    at.set("model.name", "digits-lenet5")
    return at.folder / "models" / "digits-lenet5"


def _model_missing(at: SetUp) -> None:
    at.set("model.name", "cat-dog-resnet50")


def _graphs_missing(at: SetUp) -> None:
    for graph in _model(at).glob("*.onnx"):
        graph.unlink()


def _graph_cut_off(at: SetUp) -> None:
    for graph in _model(at).glob("*.onnx"):
        os.truncate(graph, graph.stat().st_size // 2)


def _graph_is_a_pointer(at: SetUp) -> None:
    for graph in _model(at).glob("*.onnx"):
        graph.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 44000000\n")


def _not_ours(at: SetUp) -> None:
    at.state.mkdir()
    at.state.chmod(stat.S_IRUSR | stat.S_IXUSR)
    at.is_checked_by_root = False


def _a_file_in_its_place(at: SetUp) -> None:
    at.state.write_text("")


def _full(at: SetUp) -> None:
    mounts.fill(at.stack.enter_context(mounts.small_disk(at.state)))


def _read_only(at: SetUp) -> None:
    mounts.set_read_only(at.stack.enter_context(mounts.small_disk(at.state)), read_only=True)


def _two_on_one_folder(at: SetUp) -> None:
    at.state.mkdir()
    at.stack.enter_context(sole_use(at.state)).note(f"http://127.0.0.1:{free_port()}/")


def _port_taken(at: SetUp) -> None:
    taken = at.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    at.set("server.port", taken.getsockname()[1])


def _address_of_another_machine(at: SetUp) -> None:
    at.set("server.host", "203.0.113.7")


def _no_token(at: SetUp) -> None:
    at.set("server.host", "0.0.0.0")


def _tokens_damaged(at: SetUp) -> None:
    TokenStore(at.state).create("phone")
    os.truncate(at.state / "tokens.json", 20)


def _everybody(at: SetUp) -> None:
    _no_token(at)
    at.set("server.auth", "none")


def _no_onnxruntime(at: SetUp) -> None:
    broken = "raise ImportError('libonnxruntime.so.1: cannot open shared object file')"
    at.monkeypatch.setenv("PYTHONPATH", str(at.package("onnxruntime", broken)))
    load_runtime.cache_clear()
    at.stack.callback(load_runtime.cache_clear)


def _no_libcamera(at: SetUp) -> None:
    missing = "raise ModuleNotFoundError(\"No module named 'libcamera'\", name='libcamera')"
    packages = at.package("picamera2", missing)
    # Without -I, the first argument, Python looks there.
    at.set("camera.python", str(at.program("python", f'shift; PYTHONPATH={packages} exec {sys.executable} "$@"')))
    at.set("camera.source", "pi")


def _no_such_python(at: SetUp) -> None:
    at.set("camera.python", "/opt/python3.9/bin/python3")
    at.set("camera.source", "pi")


def _no_such_device(at: SetUp) -> None:
    at.set("camera.source", "folder:/media/photos")


def _mistyped(at: SetUp) -> None:
    at.set("camera.souce", "pi")


def _no_certificate(at: SetUp) -> None:
    at.set("server.tls_certificate", str(at.folder / "fullchain.pem"))
    at.set("server.tls_key", str(at.folder / "privkey.pem"))


def _systemd(**properties: str) -> Callable[[SetUp], None]:
    """As `systemctl show` says it."""
    shown = {"LoadState": "loaded", "ActiveState": "inactive", "SubState": "dead", **properties}

    def put(at: SetUp) -> None:
        at.program("systemctl", "\n".join(f"echo {name}={value}" for name, value in shown.items()))

    return put


BROKEN = {
    "model missing": (_model_missing, "model", 'no model "cat-dog-resnet50"', "lookout models add"),
    "graphs missing": (_graphs_missing, "model", "lenet", ""),
    "graph cut off": (_graph_cut_off, "model", "lenet", ""),
    "graph is a Git LFS pointer": (_graph_is_a_pointer, "model", "lenet", ""),
    "data folder of somebody else": (_not_ours, "state folder", "Permission denied", "owner"),
    "a file in the data folder's place": (_a_file_in_its_place, "state folder", "state", "in its place"),
    "port taken": (_port_taken, "port", "is used by another program", "ss -ltnp"),
    "address of another machine": (_address_of_another_machine, "port", "203.0.113.7", "0.0.0.0 for all"),
    "no token on 0.0.0.0": (_no_token, "access", "there is no token", "lookout token"),
    "tokens damaged": (_tokens_damaged, "access", "is damaged", "lookout token"),
    "everybody admitted": (_everybody, "access", "everybody who can reach 0.0.0.0", "server.auth"),
    "two services on one folder": (_two_on_one_folder, "state folder", f"process {os.getpid()}", "Stop that one"),
    "no onnxruntime": (_no_onnxruntime, "runtime", "libonnxruntime.so.1", "Reinstall"),
    "no libcamera": (_no_libcamera, "pi camera", "libcamera", "apt install"),
    "no such Python": (_no_such_python, "pi camera", "/opt/python3.9/bin/python3", "apt install"),
    "no such folder of photographs": (_no_such_device, "camera", "/media/photos", ""),
    "a mistyped setting": (_mistyped, "settings", "camera.souce", "camera.source"),
    "no certificate": (_no_certificate, "settings", "fullchain.pem", ""),
    "service masked": (_systemd(LoadState="masked"), "service", "is masked", "systemctl unmask lookout"),
    "unit damaged": (_systemd(LoadState="bad-setting"), "service", "bad-setting", "systemd-analyze verify"),
    "service stopped": (_systemd(), "service", "not running", "systemctl enable --now lookout"),
}
ON_DISKS = {
    "disk full": (_full, "disk", "is full", "Free some space"),
    "disk read-only": (_read_only, "state folder", "Read-only", "dying card"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_set_up_is_named_with_what_helps(set_up: SetUp, name: str) -> None:
    _is_named(set_up, *BROKEN[name])


@requires("mount")
@pytest.mark.parametrize("name", ON_DISKS)
def test_a_broken_disk_is_named_with_what_helps(set_up: SetUp, name: str) -> None:
    _is_named(set_up, *ON_DISKS[name])


def _is_named(at: SetUp, break_it: Callable[[SetUp], None], check: str, said: str, helps: str) -> None:
    break_it(at)
    finding = at.finding(check)
    assert finding.status in ("fail", "warn"), finding
    assert said in finding.detail, finding
    assert finding.remedy, finding
    assert helps in finding.remedy, finding
    assert "check itself failed" not in finding.detail


def test_a_sound_set_up_has_none_of_these(set_up: SetUp) -> None:
    checks = {check for _, check, *_ in BROKEN.values()} - {"camera", "pi camera", "service"}
    assert {check: set_up.finding(check).status for check in checks} == dict.fromkeys(checks, "ok")


def test_open_to_the_network_with_a_token_is_sound(set_up: SetUp) -> None:
    set_up.set("server.host", "0.0.0.0")
    TokenStore(set_up.state).create("phone")
    expected = "Other machines can reach Lookout on 0.0.0.0, with a token (1 made)."
    assert set_up.finding("access") == Finding("ok", expected)


@pytest.mark.parametrize(
    ("said", "helps"), [("NeedDaemonReload=yes", "daemon-reload"), ("UnitFileState=disabled", "enable")]
)
def test_a_service_that_runs_is_not_sound_if_its_next_start_differs(
    set_up: SetUp, monkeypatch: pytest.MonkeyPatch, said: str, helps: str
) -> None:
    from lookout.doctor import service

    name, _, value = said.partition("=")
    _systemd(**{"ActiveState": "active", "SubState": "running", name: value})(set_up)
    monkeypatch.setattr(service, "ask", lambda *_: {"camera": "streaming"})
    finding = set_up.finding("service")
    assert (finding.status, helps in finding.remedy) == ("warn", True), finding


def test_without_onnxruntime_and_opencv_the_other_checks_are_made(command: Run, tmp_path: Path) -> None:
    """The command itself must not need what is missing."""
    for name in ("onnxruntime", "cv2"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('no {name} here')")
    done = command("doctor", "--json", PYTHONPATH=str(tmp_path), LOOKOUT_CAMERA__SOURCE="rtsp://127.0.0.1:9/garden")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "no onnxruntime here" in done.stdout or "no cv2 here" in done.stdout
    assert "check itself failed" not in done.stdout
    assert done.stdout.count('"name"') == len(ALL_CHECKS)


def test_a_service_without_onnxruntime_ends_with_a_sentence(command: Run, tmp_path: Path) -> None:
    """It ended with a traceback, every other second."""
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('libonnxruntime.so.1: cannot open shared object file')")
    done = command("demo", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "libonnxruntime.so.1" in done.stderr
    assert "lookout doctor" in done.stderr
