"""A backup of a running installation, put into a second one: everything is there again, with the right owner."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from lookout.auth.tokens import TokenStore
from lookout.cli.backup import BackupUnusable, backup, restore
from lookout.errors import StateFolderInUse
from lookout.events.queries import Filter
from lookout.storage import sole_use

from tests.events.rows import add, pictures_in, row, store_at


def _lookout(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOOKOUT_", "XDG_", "STATE_"))}
    return subprocess.run(
        [sys.executable, "-m", "lookout", *words],
        env={**kept, "HOME": str(home), "PYTHONPATH": "service"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _state(home: Path) -> Path:
    return home / ".local/state/lookout"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An installation with settings, a token, a model of its own, and events."""
    home = tmp_path / "old"
    state = _state(home)
    (home / ".config/lookout").mkdir(parents=True)
    (home / ".config/lookout/lookout.toml").write_text('[camera]\nsource = "demo"\n')
    (state / "models/birds").mkdir(parents=True)
    (state / "models/birds/card.json").write_text("{}")
    (state / "overrides.toml").write_text('[[change]]\nkey = "answer.max_rate"\nvalue = 5.0\n')
    (state / "lock").write_text("4711\n")
    TokenStore(state).create("phone")
    return home


def test_everything_is_there_again_on_another_machine(old: Path, tmp_path: Path) -> None:
    store = store_at(_state(old))
    add(store, row(note="the postman"), row(right="fox"), pictures=True)
    file, new = tmp_path / "backup.zip", tmp_path / "new"
    done = _lookout(old, "backup", str(file))  # with a writer that has the file open, and its log not written back
    assert done.returncode == 0, done.stderr
    store.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    new.mkdir()
    back = _lookout(new, "restore", str(file), "--yes")
    assert back.returncode == 0, back.stderr
    state = _state(new)
    assert (state / "overrides.toml").read_text() == (_state(old) / "overrides.toml").read_text()
    assert (new / ".config/lookout/lookout.toml").read_text() == '[camera]\nsource = "demo"\n'
    assert (state / "models/birds/card.json").exists()
    assert "phone" in _lookout(new, "token", "list", "--json").stdout
    again = store_at(state)
    assert [event.note for event in again.page(Filter())[0]] == ["", "the postman"]
    assert len(pictures_in(again)) == 4
    again.close()
    assert json.loads(_lookout(new, "events", "show", "2").stdout)["called"] == "fox"
    for path in state.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch, old: Path) -> Path:
    """The verbs are called here, in the old installation."""
    for name in [name for name in os.environ if name.startswith(("LOOKOUT_", "XDG_", "STATE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(old))
    return old


def test_what_was_there_stays_beside_it(at_home: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.zip"
    backup(file)
    (_state(at_home) / "overrides.toml").write_text("# newer\n")
    (at_home / ".config/lookout/lookout.toml").write_text("# mine\n")
    restore(file, yes=True)
    assert (_state(at_home) / "before-restore/overrides.toml").read_text() == "# newer\n"
    assert "max_rate" in (_state(at_home) / "overrides.toml").read_text()
    assert (at_home / ".config/lookout/lookout.toml").read_text() == "# mine\n"
    assert (at_home / ".config/lookout/lookout.toml.from-backup").exists()


@pytest.mark.parametrize("damage", ["cut", "outside", "foreign"])
def test_a_damaged_backup_changes_nothing(at_home: Path, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "backup.zip"
    backup(file)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-40])
    elif damage == "outside":
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("state/../../escaped", "x")
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("holiday.jpg", "x")
    before = _contents(at_home)
    with pytest.raises(BackupUnusable):
        restore(file, yes=True)
    assert _contents(at_home) == before
    assert not (tmp_path / "escaped").exists()


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "may write, such as /var/tmp"),  # the service's user, in somebody's home
        (errno.ENOENT, "in a folder that exists"),
        (errno.ENOSPC, "enough free space"),
    ],
)
def test_where_it_cannot_be_written_the_remedy_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    open_file = os.open

    def refuse(path: Path | str, *more: Any) -> int:
        if str(path).startswith(str(tmp_path / ".backup.zip")):
            raise OSError(number, os.strerror(number))
        return open_file(path, *more)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BackupUnusable) as failed:
        backup(tmp_path / "backup.zip")
    assert remedy in failed.value.remedy


def test_a_running_service_is_not_pulled_away_from_under(at_home: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.zip"
    backup(file)
    with sole_use(_state(at_home)), pytest.raises(StateFolderInUse):
        restore(file, yes=True)


def _contents(home: Path) -> dict[Path, bytes]:
    files = (path for path in _state(home).rglob("*") if path.is_file() and path.name != "lock")
    return {path: path.read_bytes() for path in files}
