"""What is changed in a running service is kept, until the settings file says something else."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from lookout.errors import SettingFixed, SettingInvalid, StateFolderUnusable
from lookout.redaction import masked
from lookout.settings.layers import LoadedSettings
from lookout.settings.overrides import OVERRIDES_FILE, forget_overruled, keep_overrides, patch_settings
from lookout.settings.sources import load
from lookout.storage import Storage
from lookout.storage.budget import COUNT_FILE


class Place:
    """A home with a settings file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "lookout.toml"
        self.file.write_text("[camera]\nfps = 11\n")
        self.kept = folder / ".local/state/lookout" / OVERRIDES_FILE

    def load(self) -> LoadedSettings:
        return load({"camera.width": "320"}, self.file, {"HOME": str(self.folder)})

    def change(self, patch: dict[str, object]) -> LoadedSettings:
        patched = patch_settings(self.load(), patch)
        keep_overrides(patched, Storage(patched.state_folder))
        return patched


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_change_is_kept_and_comes_back(place: Place) -> None:
    patched = place.change({"camera": {"fps": 20.0}, "answer": {"enter": {"cat": 0.9}, "max_rate": 5}})
    assert patched.settings.camera.fps == 20
    again = place.load()
    assert again.settings == patched.settings
    assert again.origins["camera.fps"].kind == "override"
    assert place.file.read_text() == "[camera]\nfps = 11\n", "the user's file is not ours to write"


def test_null_resets_to_what_the_file_says(place: Place) -> None:
    place.change({"camera": {"fps": 20.0}, "answer": {"max_rate": 5}})
    place.change({"camera": {"fps": None}})
    again = place.load()
    assert again.settings.camera.fps == 11
    assert again.origins["camera.fps"].kind == "file"
    assert again.settings.answer.max_rate == 5


@pytest.mark.parametrize("now", ["[camera]\nfps = 12\n", "", "[camera]\nfps = 11\n[answer]\nmax_rate = 3\n"])
def test_the_file_wins_once_it_says_something_else_and_the_log_says_so(
    place: Place, caplog: pytest.LogCaptureFixture, now: str
) -> None:
    place.change({"camera": {"fps": 20.0}, "answer": {"max_rate": 5}})
    place.file.write_text(now)
    with caplog.at_level(logging.WARNING):
        settings = place.load().settings
    expected = {"[camera]\nfps = 12\n": (12, 5), "": (15, 5)}.get(now, (20, 3))
    assert (settings.camera.fps, settings.answer.max_rate) == expected
    assert "changed in the settings file" in caplog.text


def test_what_the_file_has_won_over_does_not_come_back_with_the_files_old_value(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.change({"camera": {"fps": 20.0}, "answer": {"max_rate": 5}})
    place.file.write_text("[camera]\nfps = 12\n")
    overruled = place.load()
    forget_overruled(overruled, Storage(overruled.state_folder))
    place.file.write_text("[camera]\nfps = 11\n")
    caplog.clear()
    again = place.load()
    assert (again.settings.camera.fps, again.settings.answer.max_rate) == (11, 5)
    assert not caplog.records, "it is reported once"
    before = place.kept.stat().st_mtime_ns
    forget_overruled(again, Storage(again.state_folder))
    assert place.kept.stat().st_mtime_ns == before, "nothing to strike out, nothing written"


def test_what_the_file_wins_over_is_reported_without_its_password(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.change({"camera": {"source": "rtsp://admin:hunter22@cam/live"}})
    place.file.write_text('[camera]\nsource = "demo"\n')
    with caplog.at_level(logging.WARNING):
        assert place.load().settings.camera.source == "demo"
    assert "rtsp://cam/live" in caplog.text
    assert "hunter22" not in caplog.text


@pytest.mark.parametrize("source", ["rtsp://admin:hunter22@cam/live", "http://cam/x?pwd=hunter22"])
def test_what_was_shown_without_its_password_may_be_sent_back_and_changes_nothing(place: Place, source: str) -> None:
    place.file.write_text(f'[camera]\nsource = "{source}"\n')
    patched = place.change({"camera": {"source": masked(source), "fps": 12.0}})
    assert patched.settings.camera.source == source
    assert place.load().settings.camera.source == source
    assert place.load().settings.camera.fps == 12
    with pytest.raises(SettingInvalid, match="instead of a password"):
        place.change({"camera": {"source": "rtsp://…@another/live"}})


def test_a_second_change_of_the_same_key_still_remembers_the_file(place: Place) -> None:
    place.change({"camera": {"fps": 20.0}})
    place.change({"camera": {"fps": 21.0}})
    assert place.load().settings.camera.fps == 21


def test_a_patch_is_applied_whole_or_not_at_all(place: Place) -> None:
    with pytest.raises(SettingInvalid, match=r"camera\.fps is 0"):
        place.change({"answer": {"max_rate": 5}, "camera": {"fps": 0}})
    with pytest.raises(SettingInvalid, match=r"Did you mean camera\.source"):
        place.change({"camera": {"sorce": "demo"}})
    with pytest.raises(SettingInvalid, match="more than half"):
        place.change({"camera": {"fps": 0.9}})
    assert not place.kept.exists()


@pytest.mark.parametrize(
    "patch",
    [
        {"camera": {"width": 640}},
        {"server": {"port": 1}},
        {"upload": {"max_bytes": None}},
        {"camera": {"python": "/tmp/program"}},
        {"camera": {"source": "Scripted:os:abort"}},
        {"model": {"folder": "/tmp/models"}},
    ],
)
def test_what_is_fixed_cannot_be_patched(place: Place, patch: dict[str, object]) -> None:
    with pytest.raises(SettingFixed):
        place.change(patch)
    assert not place.kept.exists()


@pytest.mark.parametrize("value", [float("inf"), float("nan"), [1.0, float("inf")]])
def test_a_control_is_a_number_that_json_can_express(place: Place, value: object) -> None:
    with pytest.raises(SettingInvalid, match=r"camera\.controls\.gain"):
        place.change({"camera": {"controls": {"gain": value}}})
    place.change({"camera": {"controls": {"gain": 1.5, "exposure": 3, "limits": [1, 2.5]}}})


def test_what_does_not_fit_is_named_without_the_file_that_keeps_changes(place: Place) -> None:
    place.change({"camera": {"fps": 20.0}})
    with pytest.raises(SettingInvalid, match=r"^answer\.window_s is -1, but must be "):
        place.change({"answer": {"window_s": -1.0}})
    with pytest.raises(SettingInvalid, match=r"^answer\.max_rate of 0\.5 per second leaves ") as raised:
        place.change({"answer": {"max_rate": 0.5}})
    assert raised.value.remedy == "Raise max_rate or stale_after_s."
    assert place.load().origins["camera.fps"].where == str(place.kept)


def test_the_file_is_replaced_in_one_step(place: Place) -> None:
    place.change({"camera": {"fps": 20.0}})
    place.change({"camera": {"fps": 22.0}})
    assert sorted(path.name for path in place.kept.parent.iterdir()) == [OVERRIDES_FILE, COUNT_FILE]
    assert place.kept.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"[[change]", b"[[change]]\nkey = 1\n", b"change = 3\n", b"change = " + b"[" * 3000]
)
def test_a_damaged_file_is_left_out_and_the_log_says_so(
    place: Place, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    place.kept.parent.mkdir(parents=True)
    place.kept.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert place.load().settings.camera.fps == 11
    assert "cannot be read and is ignored" in caplog.text


def test_a_key_that_no_longer_exists_is_left_out(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.kept.parent.mkdir(parents=True)
    place.kept.write_text('[[change]]\nkey = "camera.zoom"\nvalue = 3\n')
    with caplog.at_level(logging.WARNING):
        place.load()
    assert "camera.zoom is no longer a setting" in caplog.text


def test_a_folder_that_cannot_be_written_is_reported(place: Place) -> None:
    (place.folder / ".local").write_text("a file in place of the folder")
    patched = patch_settings(load({}, place.file, {"HOME": str(place.folder)}, overrides=False), {})
    with pytest.raises(StateFolderUnusable, match="cannot be written"):
        keep_overrides(patched, Storage(patched.state_folder))


def test_a_table_with_a_null_inside_is_refused(place: Place) -> None:
    with pytest.raises(SettingInvalid):
        place.change({"answer": {"enter": {"cat": None}}})
