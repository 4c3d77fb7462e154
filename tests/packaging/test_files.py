"""What can be said about the unit, the scripts and the Dockerfile without running them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.requires import requires

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "systemd" / "lookout.service"
TEMPLATE = ROOT / "systemd" / "lookout@.service"
SCRIPTS = [
    path
    for path in [
        *ROOT.glob("systemd/*.sh"),
        *ROOT.glob("tests/**/*.sh"),
        ROOT / "demo.sh",
        ROOT / "get.sh",
        ROOT / "tests" / "run",
        ROOT / ".ci" / "run",
    ]
    if path.is_file()
]


def _run(*command: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=timeout, check=False, cwd=ROOT
    )


@requires("systemd-analyze")
@pytest.mark.parametrize(("unit", "name"), [(UNIT, "lookout.service"), (TEMPLATE, "lookout@garden.service")])
def test_systemd_has_not_a_word_to_say_about_the_units(unit: Path, name: str, tmp_path: Path) -> None:
    copy = tmp_path / name
    # The program is not installed here, and systemd checks that it is there.
    copy.write_text(unit.read_text().replace("/opt/lookout/venv/bin/lookout", "/bin/true"))
    done = _run("systemd-analyze", "verify", copy)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_one_more_camera_has_the_same_unit_but_for_its_folders() -> None:
    def lines(unit: Path) -> list[str]:
        return [line for line in unit.read_text().splitlines() if line and not line.startswith("#")]

    pairs = zip(lines(UNIT), lines(TEMPLATE), strict=True)
    assert [(one, other) for one, other in pairs if one != other] == [
        ("Description=Lookout: says what the camera sees", "Description=Lookout: says what the camera sees (%i)"),
        (
            "ExecStart=/opt/lookout/venv/bin/lookout serve",
            "ExecStart=/opt/lookout/venv/bin/lookout serve --config /etc/lookout/%i.toml",
        ),
        ("StateDirectory=lookout", "StateDirectory=lookout-%i"),
        ("CacheDirectory=lookout", "CacheDirectory=lookout-%i"),
    ]


@requires("systemd-analyze")
def test_the_unit_exposes_little() -> None:
    done = _run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", UNIT)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "WatchdogSec=10",
        "User=lookout",
        "RestartPreventExitStatus=2 3",
        "StartLimitIntervalSec=0",
        "OOMPolicy=continue",
        "ProtectHome=read-only",
        "ProtectSystem=strict",
        "StateDirectory=lookout",
        "CacheDirectory=lookout",
        "SupplementaryGroups=video render",
        *(f"DeviceAllow=char-{device} rw" for device in ("video4linux", "media", "dma_heap", "vcio")),
    ],
)
def test_the_unit_keeps_what_is_promised(line: str) -> None:
    assert line in UNIT.read_text().splitlines()


@pytest.mark.parametrize("line", ["PrivateDevices=", "ProcSubset=pid", "network-online.target", "User=root"])
def test_the_unit_has_nothing_that_hides_cameras_or_memory_figures(line: str) -> None:
    settings = [text for text in UNIT.read_text().splitlines() if not text.startswith("#")]
    assert not [text for text in settings if line in text]


@requires("shellcheck")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = _run("shellcheck", "--external-sources", script)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_stop_at_the_first_error(script: Path) -> None:
    assert re.search(r"^set -(e?u|eu)", script.read_text(), re.MULTILINE)


@pytest.mark.parametrize("script", ["systemd/install.sh", "systemd/uninstall.sh", "tests/run"])
def test_scripts_explain_themselves(script: str) -> None:
    done = _run("sh", script, "--help")
    assert done.returncode == 0
    assert "sh " in done.stdout


@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
def test_the_installer_knows_its_options_and_needs_root(script: str) -> None:
    assert _run("sh", f"systemd/{script}", "--frobnicate").returncode == 2
    if os.geteuid() == 0 and shutil.which("setpriv"):
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", "sh", "-s"],
            input=(ROOT / "systemd" / script).read_text(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd="/",
        )
        assert done.returncode == 1
        assert "root" in done.stderr


@requires("hadolint")
def test_hadolint_finds_nothing() -> None:
    done = _run("hadolint", "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_unprivileged_and_says_when_it_is_well() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "\nUSER 10001:10001\n" in text
    assert '["python", "-m", "lookout.healthcheck"]' in text[text.index("HEALTHCHECK") :]


def test_every_folder_the_dockerfile_copies_gets_past_the_ignore_file() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert f"!{name}" in ignored


def test_every_dependency_says_what_it_is_for() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    for dependency in project["dependencies"]:
        assert re.search(rf'"{re.escape(dependency)}",? +# \S', text), dependency
    assert not [dependency for dependency in project["dependencies"] if "picamera2" in dependency]
