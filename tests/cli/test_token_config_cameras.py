"""`lookout token`, `config` and `cameras`."""

from __future__ import annotations

import errno
import json
import os
import pty
import pwd
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from lookout.auth.tokens import TokenStore
from lookout.settings.installation import command
from lookout.settings.schema import Settings
from lookout.settings.sources import load
from lookout.storage import with_timeout

from tests.cli.conftest import Run, environment
from tests.faults import mounts
from tests.requires import requires


def test_a_token_is_made_listed_and_ended(lookout: Run, tmp_path: Path) -> None:
    made = lookout("token", "--name", "phone")
    assert made.returncode == 0
    address = made.stdout.strip()
    assert address.startswith("http://127.0.0.1:8642/#token=")
    text = address.partition("#token=")[2]
    entries = [json.loads(line) for line in lookout("token", "list", "--json").stdout.splitlines()]
    assert [entry["name"] for entry in entries] == ["phone"]
    stored = (tmp_path / ".local/state/lookout/tokens.json").read_text()
    assert text not in stored
    assert text not in lookout("token", "list").stdout
    ended = lookout("token", "revoke", entries[0]["id"])
    assert ended.returncode == 0
    assert lookout("token", "list").stdout == ""
    again = lookout("token", "revoke", entries[0]["id"])
    assert again.returncode == 1
    assert "There is no token" in again.stderr


def test_a_token_is_for_the_service_that_runs_whatever_flags_it_was_started_with(lookout: Run, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere of mine"
    folder.mkdir()
    code = (
        "import pathlib, sys; from lookout.storage import sole_use\n"
        "with sole_use(pathlib.Path(sys.argv[1])) as hold:\n"
        "    hold.note('https://pi7.local:9000/cat/'); print('held', flush=True); sys.stdin.read()"
    )
    running = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(running, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(tmp_path)) as service:
        assert service.stdout is not None
        service.stdout.readline()
        lost = lookout("token")
        assert f"(process {service.pid}) keeps its tokens in another folder" in lost.stderr
        assert f"lookout token --state.folder '{folder}'" in lost.stderr
        made = lookout("token", "--state.folder", str(folder))
        assert made.stdout.startswith("https://pi7.local:9000/cat/#token=")
        assert "another folder" not in made.stderr
        listed = lookout("token", "list", "--state.folder", str(folder), "--json").stdout.splitlines()
        assert len(listed) == 1
        service.communicate()
    assert "another folder" not in lookout("token").stderr


def test_the_token_of_a_file_is_ended_by_changing_the_file(lookout: Run, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a-token-for-a-container\n")
    setting = {"LOOKOUT_SERVER__TOKEN_FILE": str(file)}
    (entry,) = [json.loads(line) for line in lookout("token", "list", "--json", **setting).stdout.splitlines()]
    ended = lookout("token", "revoke", entry["id"], **setting)
    assert ended.returncode == 1
    assert "change that file" in ended.stderr


def test_a_token_that_cannot_be_shown_is_not_kept(lookout: Run, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "lookout", "token"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, env=environment(tmp_path))
    assert done.returncode == 1
    assert lookout("token", "list").stdout == ""


@requires("silent-disk")
def test_on_a_disk_that_does_not_answer_it_says_so_and_ends(
    lookout: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_timeout, "__defaults__", (0.1,))
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounts.silent(folder):
        for arguments in (["token"], ["token", "list"]):
            done = lookout(*arguments, LOOKOUT_STATE__FOLDER=str(folder))
            assert done.returncode == 3
            assert "does not answer" in done.stderr
        assert lookout("config", LOOKOUT_STATE__FOLDER=str(folder)).returncode == 0


def test_when_the_first_token_is_shown_a_running_service_lets_in_no_one_without(lookout: Run, tmp_path: Path) -> None:
    service = TokenStore(tmp_path / ".local/state/lookout")
    service.watch()
    try:
        assert service.tokens() == ()
        assert lookout("token").returncode == 0
        assert len(service.tokens()) == 1
    finally:
        service.close()


def test_the_address_is_the_one_others_can_reach(lookout: Run) -> None:
    given = {"LOOKOUT_SERVER__HOST": "0.0.0.0", "LOOKOUT_SERVER__PORT": "9000", "LOOKOUT_SERVER__ROOT_PATH": "/cat"}
    address = lookout("token", **given).stdout.strip()
    assert f"{os.uname().nodename.partition('.')[0]}.local:9000/cat/#token=" in address


def test_only_on_this_machine_is_the_way_to_open_it_shown_as_the_settings_have_it(lookout: Run, tmp_path: Path) -> None:
    assert "lookout serve --host 0.0.0.0" in lookout("token").stderr
    file = tmp_path / "lookout.toml"
    file.write_text("[server]\nport = 9000\n")
    said = lookout("token", "--config", file).stderr
    assert f'host = "0.0.0.0" under [server] in {file}' in said
    assert "--host" not in said


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_qr_code_is_shown_where_a_phone_could_follow_it(tmp_path: Path, host: str, shown: bool) -> None:
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "lookout", "token"]
    given = environment(tmp_path, LOOKOUT_SERVER__HOST=host)
    try:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=end, env=given, timeout=60, check=True)
        assert ("▀▀▀" in os.read(terminal, 65536).decode()) == shown
    finally:
        os.close(terminal)
        os.close(end)


@pytest.fixture
def service_of_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of a system service of another user, whose settings this user cannot read."""
    folder, units = tmp_path / "var-lib-lookout", tmp_path / "units"
    folder.mkdir()
    units.mkdir()
    (units / "lookout.service").touch()
    os.chown(folder, 1, 1)
    (tmp_path / "machine.toml").touch()
    for module in ("settings.installation", "cli.state_folder", "cli.config"):
        monkeypatch.setattr(f"lookout.{module}.SERVICE_FOLDER", folder)
    monkeypatch.setattr("lookout.settings.installation.UNIT_FOLDER", units)
    monkeypatch.setattr("lookout.cli.config.MACHINE_CONFIG", tmp_path / "machine.toml")
    return folder


@requires("root")
def test_no_token_is_made_that_this_machines_service_would_not_accept(
    lookout: Run, tmp_path: Path, service_of_daemon: Path
) -> None:
    done = lookout("token")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"sudo -u daemon STATE_DIRECTORY={service_of_daemon} lookout token" in done.stderr
    own = tmp_path / ".local/state/lookout"
    assert not (own / "tokens.json").exists()
    assert f"LOOKOUT_STATE__FOLDER={own} lookout token" in done.stderr
    assert lookout("token", LOOKOUT_STATE__FOLDER=str(own)).returncode == 0


@requires("root")
def test_config_does_not_pass_for_the_services(lookout: Run, tmp_path: Path, service_of_daemon: Path) -> None:
    said = lookout("config").stderr
    assert f"sudo -u daemon STATE_DIRECTORY={service_of_daemon} lookout config" in said
    assert "There is no settings file" not in said
    assert str(tmp_path / "machine.toml") in said


@requires("root")
def test_another_users_state_folder_is_named_with_the_command_that_helps(lookout: Run, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    os.chown(folder, 1, 1)
    done = lookout("token", LOOKOUT_STATE__FOLDER=str(folder))
    assert done.returncode == 3
    assert "sudo -u daemon" in done.stderr


def test_a_state_folder_one_may_not_look_at_is_reported(
    lookout: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    folder = tmp_path / "theirs" / "state"
    monkeypatch.setattr(Path, "exists", refused)
    done = lookout("token", "list", LOOKOUT_STATE__FOLDER=str(folder))
    assert done.returncode == 3
    assert f"The state folder {folder} cannot be read: Permission denied." in done.stderr


def test_config_shows_where_each_value_was_set_and_hides_passwords(lookout: Run, tmp_path: Path) -> None:
    (tmp_path / "l.toml").write_text("[camera]\nfps = 12\n")
    source = "rtsp://admin:hunter22@192.0.2.1/live"
    done = lookout("config", "--config", tmp_path / "l.toml", LOOKOUT_CAMERA__SOURCE=source)
    assert done.returncode == 0
    assert "12.0" in done.stdout
    assert "l.toml, line 2" in done.stdout
    assert "LOOKOUT_CAMERA__SOURCE" in done.stdout
    assert "hunter22" not in done.stdout
    shown = json.loads(lookout("config", "--json", "--config", tmp_path / "l.toml").stdout)
    assert shown["camera.fps"] == {"value": 12.0, "set_by": "file", "where": f"{tmp_path / 'l.toml'}, line 2"}


def test_the_template_is_toml_and_nothing_but_the_file_goes_to_stdout(lookout: Run) -> None:
    done = lookout("config", "--template")
    assert done.stderr == ""
    assert set(tomllib.loads(done.stdout)) == set(Settings.model_fields)
    assert lookout("config", "--markdown").stdout.startswith("| setting |")
    assert "^" not in done.stdout  # what is allowed is said in words, not as a pattern


def test_the_command_that_makes_a_settings_file_works_as_it_is_shown(lookout: Run, tmp_path: Path) -> None:
    shown = lookout("config").stderr.partition("To make one: ")[2].strip()
    program = f'lookout() {{ "{sys.executable}" -m lookout "$@"; }}; {shown}'
    assert subprocess.run(["bash", "-c", program], env=environment(tmp_path), timeout=60).returncode == 0
    assert "There is no settings file" not in lookout("config").stderr


def test_no_camera_is_exit_status_4_with_reasons_and_remedies(lookout: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookout.camera.sources.v4l2.cameras", lambda: ([], []))  # the machine that tests may have one
    done = lookout("cameras", LOOKOUT_CAMERA__PYTHON="/nonexistent/python")
    assert done.returncode == 4
    assert "lookout demo" in done.stderr
    assert done.stdout == ""


def test_the_command_of_an_installation_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin/lookout"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "lookout.toml"
    file.write_text(f'[state]\nfolder = "{tmp_path}/state"\n')
    home = {"HOME": str(tmp_path)}
    user = pwd.getpwuid(os.geteuid()).pw_name

    def shown(environ: dict[str, str], config: Path | None = None, **flags: str) -> str:
        flags = {name.replace("_", "."): value for name, value in flags.items()}
        return command(load(flags, config, environ), "token", environ)

    assert shown(home) == "lookout token"
    assert shown(home, file) == "lookout token --config ~/lookout.toml"
    assert shown(home, state_folder="/srv/a b") == "LOOKOUT_STATE__FOLDER='/srv/a b' lookout token"
    unit = {"STATE_DIRECTORY": "/var/lib/lookout"}
    assert shown(unit, file).startswith(f"sudo -u {user} lookout token")
    assert shown(unit) == f"sudo -u {user} STATE_DIRECTORY=/var/lib/lookout lookout token"
    monkeypatch.setattr("lookout.settings.installation._CONTAINER_MARKS", {file: "docker"})
    assert shown({"LOOKOUT_STATE__FOLDER": "/var/lib/lookout"}).startswith("docker exec ")
    monkeypatch.setenv("PATH", "/nowhere")
    assert shown(home) == "~/bin/lookout token"


def test_a_token_has_a_scope_and_its_list_says_so(lookout: Run) -> None:
    address = lookout("token", "--name", "phone", "--scope", "view").stdout.strip()
    assert "/#token=" in address
    shown = lookout("token", "--name", "prometheus", "--scope", "metrics").stdout.strip()
    assert len(shown) >= 43
    assert "/" not in shown
    entries = [json.loads(line) for line in lookout("token", "list", "--json").stdout.splitlines()]
    assert [(entry["name"], entry["scope"], entry["used"]) for entry in entries] == [
        ("phone", "view", None),
        ("prometheus", "metrics", None),
    ]
    refused = lookout("token", "--scope", "everything")
    assert refused.returncode == 2


def test_a_link_to_the_stream_is_a_token_of_its_own(lookout: Run, tmp_path: Path) -> None:
    address = lookout("token", "link", "--name", "octoprint", "--days", "2").stdout.strip()
    assert address.startswith("http://127.0.0.1:8642/api/stream.mjpg?link=")
    store = TokenStore(tmp_path / ".local/state/lookout")
    token = store.link(address.partition("link=")[2])
    assert token is not None
    assert (token.name, token.scope) == ("octoprint", "stream")
    assert lookout("token", "revoke", token.id).returncode == 0
    assert store.link(address.partition("link=")[2]) is None
