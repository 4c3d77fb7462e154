"""Another version from a wheel: the installer's ways in, `get.sh` and `lookout update`, without a system to install on.

tests/packaging/systemd-nspawn.sh updates, fails and goes back under a real systemd.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lookout.cli import update

from tests.cli.conftest import Run, lookout  # noqa: F401 - a fixture

ROOT = Path(__file__).resolve().parents[2]
GET = ROOT / "get.sh"
NAME = "lookout_camera-9.9.9-py3-none-any.whl"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel whose installer writes down what it was called with."""
    path = tmp_path / "wheels" / NAME
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lookout/systemd/install.sh", f'echo "$@" > {tmp_path}/called\n')
        for name in ("uninstall.sh", "lookout.service", "lookout@.service"):
            archive.writestr(f"lookout/systemd/{name}", "")
    return path


def get(folder: Path, *arguments: object, script: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs get.sh as `curl … | sudo sh` would, for a user whose number is 0."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    (tools / "id").write_text("#!/bin/sh\necho 0\n")
    (tools / "id").chmod(0o755)
    return subprocess.run(
        ["sh", "-s", "--", *map(str, arguments)],
        input=GET.read_text() if script is None else script, capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": f"{tools}:{os.environ['PATH']}", "TMPDIR": str(folder)},
    )  # fmt: skip


def test_the_one_liner_runs_the_installer_of_the_wheel(wheel: Path, tmp_path: Path) -> None:
    done = get(tmp_path, wheel, hashlib.sha256(wheel.read_bytes()).hexdigest(), "--demo", "--no-start")
    assert (done.returncode, done.stderr) == (0, "")
    called = (tmp_path / "called").read_text().split()
    assert called[0].endswith(f"/{NAME}")
    assert called[1:] == ["--demo", "--no-start"]
    assert not Path(called[0]).exists(), "it was left behind"


def test_a_wheel_with_another_sum_runs_nothing(wheel: Path, tmp_path: Path) -> None:
    done = get(tmp_path, wheel, "0" * 64)
    assert done.returncode == 1
    assert "the wheel's SHA-256 is not 000" in done.stderr
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("http://192.0.2.1/" + NAME, "the address must begin with https://"),
        ("/nowhere/" + NAME, "there is no /nowhere/"),
        ("/etc/hostname", "hostname is not named like a wheel of Lookout"),
    ],
)
def test_what_is_not_a_wheel_is_refused_in_a_sentence(argument: str, said: str, tmp_path: Path) -> None:
    done = get(tmp_path, argument)
    assert done.returncode == 1
    assert said in done.stderr


def test_a_download_that_breaks_off_runs_nothing(wheel: Path, tmp_path: Path) -> None:
    script = GET.read_text()
    for end in (len(script) // 3, script.index("main()") + 400, script.rindex("main")):
        get(tmp_path, wheel, script=script[:end])
        assert not (tmp_path / "called").exists()


# --- lookout update ---------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This environment as if it were the one that install.sh made, for root."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "venv").symlink_to(sys.prefix)
    monkeypatch.setattr(update, "APP", app)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return app


def test_an_update_runs_the_installer_of_the_new_version(lookout: Run, installed: Path, wheel: Path) -> None:  # noqa: F811
    done = lookout("update", wheel)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("9.9.9 replaces ")
    assert (installed.parent / "called").read_text().strip().endswith(NAME)


def test_without_a_wheel_it_says_what_there_is(lookout: Run, installed: Path) -> None:  # noqa: F811
    assert "No version from before is kept." in lookout("update").stdout
    (installed / "venv.old").symlink_to(sys.prefix)
    shown = lookout("update").stdout
    assert f"Kept from before: {update.__version__}" in shown
    assert "sudo lookout update --back" in shown


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("other-1.0-py3-none-any.whl", "is not a wheel of Lookout"),
        (NAME, "cannot be read: No such file or directory"),
        ("http://192.0.2.1/" + NAME, "anybody in between could change it"),
    ],
)
def test_what_cannot_be_installed_is_a_sentence(lookout: Run, name: str, said: str) -> None:  # noqa: F811
    done = lookout("update", name)
    assert done.returncode == 1
    assert said in done.stderr


def test_a_wheel_without_an_installer_or_cut_off_is_a_sentence(wheel: Path, tmp_path: Path) -> None:
    wheel.write_bytes(wheel.read_bytes()[:-30])
    with pytest.raises(update.NotUpdated, match="is damaged, or older"):
        update.installer_of(wheel, tmp_path)


def test_an_environment_of_somebody_elses_is_left_alone(lookout: Run, wheel: Path) -> None:  # noqa: F811
    done = lookout("update", wheel)
    assert done.returncode == 1
    assert "not a system service's in /opt/lookout" in done.stderr
    assert "Not installed as a system service" in lookout("update").stdout
