"""Where settings come from, which source wins, and what a mistake in them is called."""

from __future__ import annotations

import contextlib
import os
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from lookout.cli.config import markdown_text, template_text
from lookout.errors import SettingInvalid, StateFolderUnusable
from lookout.settings import folders
from lookout.settings.folders import choose_cache_folder, choose_state_folder, default_config, prepare_state_folder
from lookout.settings.keys import all_keys, key_meant
from lookout.settings.layers import LoadedSettings
from lookout.settings.schema import Settings
from lookout.settings.sources import load
from lookout.settings.toml_file import line_of


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def written(folder: Path, text: str) -> Path:
    path = folder / "lookout.toml"
    path.write_text(text, "utf-8")
    return path


def mistake(home: dict[str, str], text: str | None = None, flags: dict[str, str] | None = None, **environ: str) -> str:
    path = written(Path(home["HOME"]), text) if text is not None else None
    with pytest.raises(SettingInvalid) as caught:
        load(flags, path, {**home, **environ})
    assert caught.value.exit_code == 3
    return str(caught.value).replace(f"{home['HOME']}/", "")


def test_without_any_source_the_defaults_hold(home: dict[str, str]) -> None:
    loaded = load({}, None, home)
    assert loaded.settings == Settings()
    assert {origin.kind for origin in loaded.origins.values()} == {"default"}


def test_flag_goes_before_environment_before_override_before_file(home: dict[str, str], tmp_path: Path) -> None:
    path = written(tmp_path, "[camera]\nfps = 11\nwidth = 311\nheight = 211\nrotate = 90\n")
    state = tmp_path / "state"
    state.mkdir()
    (state / "overrides.toml").write_text(
        "".join(
            f'[[change]]\nkey = "camera.{key}"\nvalue = {value}\nreplaced = {replaced}\n'
            for key, value, replaced in (("fps", 12, 11), ("width", 312, 311), ("height", 212, 211))
        )
    )
    environ = {**home, "LOOKOUT_CAMERA__FPS": "13", "LOOKOUT_CAMERA__WIDTH": "313", "LOOKOUT_STATE__FOLDER": str(state)}
    loaded = load({"camera.fps": "14"}, path, environ)
    camera = loaded.settings.camera
    assert (camera.fps, camera.width, camera.height, camera.rotate) == (14, 313, 212, 90)
    kinds = [loaded.origins[f"camera.{key}"].kind for key in ("fps", "width", "height", "rotate", "flip")]
    assert kinds == ["flag", "environment", "override", "file", "default"]
    assert loaded.origins["camera.fps"].where == "--camera.fps"
    assert loaded.origins["camera.width"].where == "LOOKOUT_CAMERA__WIDTH"
    assert loaded.origins["camera.rotate"].where == f"{path}, line 5"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[camera]\n\nsorce = "x"',
            'lookout.toml, line 3: "camera.sorce" is not a setting. Did you mean camera.source?',
        ),
        ("[camera]\nfp = 1", 'line 2: "camera.fp" is not a setting. Did you mean camera.fps?'),
        ("[camera]\nFPS = 1", 'line 2: "camera.FPS" is not a setting. Did you mean camera.fps?'),
        ('source = "x"', 'line 1: "source" is not a setting. Did you mean camera.source?'),
        ("[kamera]\nfps = 1", 'line 1: "kamera" is not a setting. Did you mean the section [camera]?'),
        ("camera = 3", 'line 1: "camera" is a section, not a setting. Write [camera] above its settings.'),
        ("[camera]\nfps = 900", "line 2: camera.fps is 900, but must be a number above 0 and at most 240."),
        ('[camera]\nfps = "15"', 'line 2: camera.fps is "15", but must be a number above 0'),
        ("[server]\nport = true", "line 2: server.port is true, but must be a whole number between 0 and 65,535."),
        ("[answer]\nmax_rate = nan", "answer.max_rate is NaN, but must be a number between 0 and 1,000."),
        ("[answer]\nmax_rate = inf", "answer.max_rate is Infinity, but must be a number between 0 and 1,000."),
        ("[camera]\nrotate = 45", "camera.rotate is 45, but must be one of 0, 90, 180, 270."),
        ("[answer.enter]\n\ncat = 1.5", "line 3: answer.enter.cat is 1.5, but must be a number between 0 and 1."),
        ("[answer.region]\nwidht = 1.0", "line 2: answer.region.widht does not exist; answer.region takes x, y, width"),
        ("[answer]\nregion = { x = 0.9, width = 0.5 }", "line 2: answer.region: the region extends past the edge"),
        (
            "[camera]\nfps = 0.5",
            "line 2: at 0.5 frames per second one frame takes 2.00 s, more than half of stale_after_s",
        ),
        (
            "[answer]\nmax_rate = 0.5",
            "line 2: answer.max_rate of 0.5 per second leaves 2.00 s between classifications, more than half of "
            "camera.stale_after_s (2 s). Raise max_rate or stale_after_s.",
        ),
        (
            "[answer]\nenter = { cat = 0.5 }\nleave = { cat = 0.9 }",
            'line 2 and lookout.toml, line 3: for label "cat" leave (0.9) is above enter (0.5). Lower '
            "leave or raise enter.",
        ),
        ('[server]\nallowed_hosts = "x"', 'server.allowed_hosts is "x", but must be a list of texts.'),
        ("[camera]\nsource = demo", "line 2: this is not TOML: invalid value."),
        ("[camera\n", "is not TOML: expected ']' at the end of a table declaration. `lookout config --template`"),
        ("[camera]\nsource = demo", 'Texts need quotation marks: source = "demo".'),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence_with_line_key_and_range(
    home: dict[str, str], text: str, said: str
) -> None:
    assert said in mistake(home, text)


def test_a_source_of_the_wrong_type_is_reported_without_its_password(home: dict[str, str]) -> None:
    said = mistake(home, '[camera]\nsource = ["rtsp://admin:hunter22@cam/live"]')
    assert 'camera.source is ["rtsp://cam/live"], but must be text' in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"camera.fps": "fast"}, '--camera.fps is "fast", but must be a number above 0 and at most 240.'),
        ({"max_rate": "1"}, "--max_rate is not a setting. Did you mean --answer.max_rate?"),
        ({"xyzzy": "1"}, "--xyzzy is not a setting."),
    ],
)
def test_a_mistake_in_a_flag_names_the_flag(home: dict[str, str], flags: dict[str, str], said: str) -> None:
    assert said in mistake(home, flags=flags)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "LOOKOUT_CAMERA_SOURCE",
            "demo",
            "LOOKOUT_CAMERA_SOURCE is not a setting. Did you mean LOOKOUT_CAMERA__SOURCE?",
        ),
        ("LOOKOUT_SERVER__PORT", "99999", "LOOKOUT_SERVER__PORT is 99999, but must be a whole number between 0"),
        ("LOOKOUT_PORT", "8000", "Did you mean LOOKOUT_SERVER__PORT?"),
        ("LOOKOUT_NONSENSE", "1", "LOOKOUT_NONSENSE is not a setting."),
        ("LOOKOUT_CAMERA__FPS__CAT", "1", "LOOKOUT_CAMERA__FPS__CAT is not a setting."),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    home: dict[str, str], variable: str, value: str, said: str
) -> None:
    assert said in mistake(home, **{variable: value})


@pytest.mark.parametrize(
    "variable",
    ["LOOKOUT_STATE__FOLDER", "LOOKOUT_MODEL__FOLDER", "LOOKOUT_SERVER__TOKEN_FILE", "LOOKOUT_SERVER__TLS_KEY"],
)
def test_an_empty_path_is_not_the_folder_that_somebody_is_in(home: dict[str, str], variable: str) -> None:
    assert "the path is empty" in mistake(home, **{variable: ""})


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"server.allowed_origins": "home.example"}, "is not an origin"),
        ({"server.allowed_origins": "https://home.example/path"}, "is not an origin"),
        ({"server.allowed_hosts": "home.example:8642"}, "is not a name: write it without scheme, port and path"),
        ({"server.allowed_hosts": "https://home.example"}, "is not a name: write it without scheme, port and path"),
    ],
)
def test_what_could_never_match_is_refused(home: dict[str, str], flags: dict[str, str], said: str) -> None:
    assert said in mistake(home, flags=flags)


def test_variables_of_others_that_look_like_ours_are_left_alone(home: dict[str, str]) -> None:
    others = {"LOOKOUT_PORT": "tcp://10.0.0.1:8642", "LOOKOUT_SERVICE_HOST": "10.0.0.1", "LOOKOUT_TESTS_STRICT": "1"}
    assert load({}, None, {**home, **others}).settings == Settings()


def test_texts_of_flags_and_variables_become_lists_tables_and_regions(home: dict[str, str]) -> None:
    flags = {
        "answer.region": "0.1,0.2,0.5,0.6",
        "answer.enter": "cat=0.9, dog=0.8",
        "camera.rotate": "90",
        "server.allowed_hosts": "a.example, b.example",
        "camera.controls": "AfMode=2,AeEnable=true",
        "model.folder": "/srv/models",
    }
    environ = {"LOOKOUT_ANSWER__LEAVE__CAT": "0.4", "LOOKOUT_SERVER__ALLOWED_ORIGINS": '["http://x"]'}
    settings = load(flags, None, {**home, **environ}).settings
    region = settings.answer.region
    assert (region.x, region.y, region.width, region.height) == (0.1, 0.2, 0.5, 0.6)
    assert settings.answer.enter == {"cat": 0.9, "dog": 0.8}
    assert settings.answer.leave == {"cat": 0.4}
    assert settings.camera.rotate == 90
    assert settings.camera.controls == {"AfMode": 2, "AeEnable": True}
    assert settings.server.allowed_hosts == ["a.example", "b.example"]
    assert settings.server.allowed_origins == ["http://x"]
    assert settings.model.folder == Path("/srv/models")


def test_a_cameras_control_is_named_in_its_own_letters_and_a_table_may_hold_lists(home: dict[str, str]) -> None:
    environ = {"LOOKOUT_CAMERA__CONTROLS__ExposureTime": "10000"}
    assert load({}, None, {**home, **environ}).settings.camera.controls == {"ExposureTime": 10000}
    flags = {"camera.controls": "{ AfWindows = [1, 2], AfMode = 2 }"}
    assert load(flags, None, home).settings.camera.controls == {"AfWindows": [1, 2], "AfMode": 2}


def test_a_named_file_must_exist_and_be_text(home: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="cannot be read: No such file"):
        load({}, tmp_path / "none.toml", home)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingInvalid, match="not UTF-8 text"):
        load({}, tmp_path / "binary.toml", home)
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(2**21)
    with pytest.raises(SettingInvalid, match="cannot be read: it is larger than"):
        load({}, tmp_path / "large.toml", home)


def test_the_users_file_is_found_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "lookout"
    folder.mkdir(parents=True)
    written(folder, "[camera]\nfps = 9\n")
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert default_config(environ) == folder / "lookout.toml"
    assert load({}, None, environ).settings.camera.fps == 9
    assert default_config({"HOME": "/nonexistent"}) in (None, Path("/etc/lookout/lookout.toml"))


def test_somebody_elses_home_is_passed_over_and_a_service_shut_out_of_its_own_settings_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with `sudo -E`, or a unit that hides /root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "shut"
        folder.mkdir(mode=0o700 if os.geteuid() == 0 else 0)
        environ = {"HOME": str(folder)}
        monkeypatch.setattr(folders, "MACHINE_CONFIG", folder / "lookout.toml")
        with somebody_else():
            assert default_config(environ) is None
            with pytest.raises(SettingInvalid, match="Permission denied"):
                load({}, None, environ | {"STATE_DIRECTORY": "/var/lib/lookout"})
        folder.chmod(0o700)


def test_a_path_that_is_not_utf_8_is_named(home: dict[str, str]) -> None:
    odd = os.fsdecode(b"caf\xe9")
    assert mistake(home, flags={"camera.source": f"folder:{odd}"}).startswith("--camera.source is not valid UTF-8.")
    said = mistake(home, LOOKOUT_STATE__FOLDER=f"/tmp/{odd}")
    assert said.startswith("LOOKOUT_STATE__FOLDER is not valid UTF-8. Rename")


def test_the_machines_file_is_passed_over_by_those_it_is_not_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, which other users cannot enter
        folder = Path(name)
        folder.chmod(0o755)
        path = written(folder, "[camera]\nfps = 9\n")
        path.chmod(0o600 if os.geteuid() == 0 else 0)
        monkeypatch.setattr(folders, "MACHINE_CONFIG", path)
        with somebody_else():
            assert default_config({"HOME": "/nonexistent"}) is None
            # Under systemd it is the service that may not, which must be said.
            with pytest.raises(SettingInvalid, match="Permission denied"):
                load({}, None, {"HOME": "/nonexistent", "STATE_DIRECTORY": "/var/lib/lookout"})
        path.chmod(0o644)
        with somebody_else():
            assert default_config({"HOME": "/nonexistent"}) == path


@contextlib.contextmanager
def somebody_else() -> Iterator[None]:
    """Root may read everything, so it becomes nobody for a while."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)


def test_folders_follow_the_setting_then_systemd_then_xdg() -> None:
    systemd = {"STATE_DIRECTORY": "/var/lib/lookout:/x", "CACHE_DIRECTORY": "/var/cache/lookout", "HOME": "/home/a"}
    assert choose_state_folder(Path("/srv/state"), systemd) == Path("/srv/state")
    assert choose_state_folder(None, systemd) == Path("/var/lib/lookout")
    assert choose_cache_folder(systemd) == Path("/var/cache/lookout")
    assert choose_state_folder(None, {"XDG_STATE_HOME": "/s"}) == Path("/s/lookout")
    assert choose_state_folder(None, {"XDG_STATE_HOME": "relative", "HOME": "/h"}) == Path("/h/.local/state/lookout")
    assert choose_cache_folder({"HOME": "/h"}) == Path("/h/.cache/lookout")
    assert choose_state_folder(None, {}) == Path("/var/lib/lookout"), "a service user without a home"


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 3000 + "]" * 3000])
def test_what_the_parser_itself_stumbles_over_is_a_sentence_too(home: dict[str, str], value: str) -> None:
    assert "this is not TOML: " in mistake(home, f"[model]\nthreads = {value}")


def test_the_mark_of_windows_editors_is_not_a_mistake(home: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "lookout.toml"
    path.write_bytes(b"\xef\xbb\xbf[camera]\r\nfps = 9\r\n")
    assert load({}, path, home).settings.camera.fps == 9


def test_a_state_folder_in_the_home_of_nobody_is_reported(home: dict[str, str]) -> None:
    said = mistake(home, flags={"state.folder": "~nobody-is-called-so/state"})
    assert said.startswith("state.folder ~nobody-is-called-so/state is in the home of an unknown user.")


def test_an_unwritable_state_folder_is_reported(tmp_path: Path) -> None:
    prepare_state_folder(tmp_path / "new" / "state")
    assert list((tmp_path / "new" / "state").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFolderUnusable, match=r"cannot be written: (Not a directory|File exists)"):
        prepare_state_folder(tmp_path / "file")


def test_what_a_running_service_lets_be_changed(home: dict[str, str]) -> None:
    loaded: LoadedSettings = load({"camera.fps": "10"}, None, {**home, "LOOKOUT_CAMERA__WIDTH": "320"})
    assert loaded.changeable("answer.max_rate") == (True, "")
    assert loaded.changeable("camera.fps") == (
        False,
        "camera.fps is set by --camera.fps, which takes precedence over anything set here.",
    )
    assert "LOOKOUT_CAMERA__WIDTH" in loaded.changeable("camera.width")[1]
    for section in ("server", "upload", "state"):
        keys = [name for name in all_keys() if name.startswith(f"{section}.")]
        assert keys
        assert not any(loaded.changeable(name)[0] for name in keys)


def test_the_line_of_a_key_is_found_however_it_is_written() -> None:
    text = '# x\n[camera]\nsource = "a" # fps = 3\n\n[answer]\n[answer.enter]\ncat = 0.5\n[ server ]\n"port" = 1\n'
    assert [line_of(text, key) for key in ("camera.source", "answer.enter", "server.port")] == [3, 6, 9]
    assert line_of("camera.fps = 3\n", "camera.fps") == 1
    assert line_of("camera = { fps = 3 }\n", "camera.fps") == 1
    assert line_of("answer.region.x = 0.1\n", "answer.region") == 1
    assert line_of(text, "camera.fps") is None


@pytest.mark.parametrize(
    ("written_as", "meant"),
    [("camera.sorce", "camera.source"), ("fps", "camera.fps"), ("CAMERA__FPS", "camera.fps"), 
     ("max-rate", "answer.max_rate"), ("server_port", "server.port"), ("zzzzzz", None)],
)  # fmt: skip
def test_the_setting_meant_is_guessed(written_as: str, meant: str | None) -> None:
    assert key_meant(written_as) == meant


def test_every_setting_is_in_the_template_and_the_documentation_and_has_help() -> None:
    template, listing = template_text(), markdown_text()
    sections = tomllib.loads(template)
    for name, key in all_keys().items():
        section, _, leaf = name.partition(".")
        assert section in sections
        assert f"\n#{leaf} = " in template.partition(f"[{section}]")[2], name
        assert f"| `{name}` |" in listing
        assert len(key.help) > 10, name
        assert key.allowed, name


def test_the_template_with_every_line_turned_on_means_the_defaults(home: dict[str, str], tmp_path: Path) -> None:
    lines = [
        line[1:] if line.startswith("#") and not line.startswith("# ") else line
        for line in template_text().splitlines()
    ]
    kept = [line for line in lines if not line.endswith('"…"')]
    assert len(kept) > len(all_keys())
    assert load({}, written(tmp_path, "\n".join(kept)), home).settings == Settings()


def test_a_region_too_small_to_see_anything_is_refused(home: dict[str, str]) -> None:
    flags = {"answer.region": '{"x": 0.1, "y": 0.1, "width": 0.04, "height": 0.5}', "camera.width": "640"}
    assert "less than 32 a side" in mistake(home, flags=flags)
    load({**flags, "camera.width": "1280"}, None, home)
