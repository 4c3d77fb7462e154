"""Changes to a running service whose worker is busy, stuck, or in the middle of another change."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest
from lookout.engine import control as control_module
from lookout.engine.control import Control, was_paused
from lookout.engine.worker import Engine
from lookout.errors import ModelBusy, StateFolderUnusable, TooBusy
from lookout.settings.overrides import OVERRIDES_FILE
from lookout.settings.schema import Settings
from lookout.settings.sources import load


class BusyEngine:
    """Takes every command and does none: the test says when, through the futures."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, Future[None]]] = []

    def _take(self, what: object) -> Future[None]:
        self.asked.append((what, Future()))
        return self.asked[-1][1]

    def pause(self, paused: bool) -> Future[None]:
        return self._take(paused)

    def apply(self, settings: Settings) -> Future[None]:
        return self._take(settings)


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder, self.flags = folder, {"state.folder": str(folder)}
        self.file: Path | None = None
        self.engine = BusyEngine()
        self.control = Control(self.load(), cast("Engine", self.engine), self.load)

    def idle(self) -> None:
        """Have the worker do at once whatever it is asked."""
        done: Future[None] = Future()
        done.set_result(None)
        self.engine._take = lambda what: self.engine.asked.append((what, done)) or done  # type: ignore[method-assign]

    def load(self) -> Any:
        return load(self.flags, self.file, {"HOME": str(self.folder)})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(control_module, "WORKER_DEADLINE_S", 0.05)
    return Place(tmp_path)


def test_a_pause_that_a_stuck_worker_never_takes_is_remembered_nevertheless(place: Place) -> None:
    with pytest.raises(TooBusy):
        place.control.pause(True)
    assert was_paused(place.folder)
    assert not place.engine.asked[0][1].cancelled(), "it stays queued"
    with pytest.raises(TooBusy):
        place.control.pause(False)
    assert not was_paused(place.folder)


def test_a_pause_that_comes_while_all_ends_is_remembered_nevertheless(place: Place) -> None:
    def ends(_: object) -> Future[None]:
        raise TooBusy("The service is stopping.", "Try again when it runs.")

    place.engine._take = ends  # type: ignore[method-assign]
    with pytest.raises(TooBusy, match="stopping"):
        place.control.pause(True)
    assert was_paused(place.folder)


def test_the_log_says_when_the_camera_was_closed_and_opened(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.idle()
    caplog.set_level(logging.INFO)
    place.control.pause(True)
    place.control.pause(False)
    assert caplog.messages == ["The camera is paused.", "The camera's pause is over."]


def test_what_is_read_at_the_start_is_not_called_changed(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.idle()
    place.flags |= {"state.folder": str(place.folder / "other"), "upload.max_concurrent": "1", "answer.hold_s": "3"}
    place.control.reload()
    assert "Changes to [upload] take effect at the next start." in caplog.text
    assert "Changes to [state] take effect at the next start." in caplog.text
    assert "[server]" not in caplog.text
    assert place.control.loaded.state_folder == place.folder
    assert place.control.loaded.settings.answer.hold_s == 3
    assert place.control.loaded.settings.upload.max_concurrent == 2, "what is reported is what is in force"
    assert place.control.restart_required == ("upload.max_concurrent", "state.folder")


def test_settings_read_again_while_the_disk_does_not_tell_what_was_changed_stay_as_they_are(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place.idle()
    place.control.patch({"answer": {"hold_s": 3.0}})
    with monkeypatch.context() as broken:
        broken.setattr("lookout.settings.overrides.read_regular", _fails)
        place.control.reload()
    assert "stay as they were" in caplog.text
    assert place.control.loaded.settings.answer.hold_s == 3


def test_a_change_while_the_earlier_ones_cannot_be_read_is_refused_and_loses_none(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.idle()
    place.control.patch({"answer": {"hold_s": 3.0}})
    with monkeypatch.context() as broken:
        broken.setattr("lookout.settings.overrides.read_regular", _fails)
        again = Control(place.load(), cast("Engine", place.engine), place.load)
        assert again.loaded.settings.answer.hold_s == 1
        with pytest.raises(StateFolderUnusable):
            again.patch({"answer": {"window_s": 2.0}})
    answer = again.patch({"answer": {"window_s": 2.0}}).settings.answer
    assert (answer.hold_s, answer.window_s) == (3, 2)
    assert place.load().settings.answer == answer


def test_a_new_model_waits_for_a_small_change_and_not_for_another_model(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "WORKER_DEADLINE_S", 5.0)

    def begin(patch: dict[str, Any]) -> threading.Thread:
        thread = threading.Thread(target=lambda: place.control.patch(patch))
        before = len(place.engine.asked)
        thread.start()
        while len(place.engine.asked) == before:
            time.sleep(0.001)
        return thread

    small = begin({"answer": {"hold_s": 3.0}})
    waits = threading.Thread(target=lambda: place.control.patch({"model": {"precision": "int8"}}))
    waits.start()
    place.engine.asked[0][1].set_result(None)
    small.join(5)
    while len(place.engine.asked) < 2:
        time.sleep(0.001)
    with pytest.raises(ModelBusy):
        place.control.patch({"model": {"precision": "fp32"}})
    place.engine.asked[1][1].set_result(None)
    waits.join(5)
    assert place.control.loaded.settings.model.precision == "int8"


def test_a_kept_change_that_the_settings_file_overruled_is_forgotten_when_it_is_read(place: Place) -> None:
    place.idle()
    place.file = place.folder / "lookout.toml"
    place.file.write_text("[answer]\nhold_s = 1.0\n")
    place.control.reload()
    place.control.patch({"answer": {"hold_s": 3.0}})
    for said, holds in ((2.0, 2), (1.0, 1)):
        place.file.write_text(f"[answer]\nhold_s = {said}\n")
        place.control.reload()
        assert place.control.loaded.settings.answer.hold_s == holds


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_text("")], ids=["removed", "emptied"])
def test_settings_read_again_after_their_file_has_gone_stay_as_they_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lose: Callable[[Path], object]
) -> None:
    """The defaults would open another camera; a power cut or an editor may leave a file of no bytes."""
    config = tmp_path / ".config" / "lookout" / "lookout.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[camera]\nsource = "demo"\n[answer]\nhold_s = 3.0\n')
    place = Place(tmp_path)
    place.idle()
    lose(config)
    place.control.reload()
    assert f"The settings file {config} is missing, empty" in caplog.text
    assert "stay as they were" in caplog.text
    assert place.control.loaded.settings.camera.source == "demo"
    config.write_text("[answer]\nhold_s = 2.0\n")
    place.control.reload()
    assert place.control.loaded.settings.answer.hold_s == 2


@pytest.mark.parametrize("kind", ["pipe", "folder", "huge"])
def test_a_settings_file_that_cannot_be_one_is_reported_and_changes_nothing(
    place: Place, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    place.idle()
    place.file = place.folder / "lookout.toml"
    place.file.write_text("[answer]\nhold_s = 3.0\n")
    place.control.reload()
    _put(place.file, kind)
    place.control.reload()
    assert "cannot be read: it is " in caplog.text
    assert place.control.loaded.settings.answer.hold_s == 3


@pytest.mark.parametrize("kind", ["pipe", "huge"])
def test_kept_changes_that_cannot_be_read_are_left_out_and_rewritten(place: Place, kind: str) -> None:
    _put(place.folder / OVERRIDES_FILE, kind)
    again = Control(place.load(), cast("Engine", place.engine), place.load)
    place.idle()
    again.patch({"answer": {"hold_s": 3.0}})
    assert place.load().settings.answer.hold_s == 3


def _put(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(3 * 2**30)


def _fails(*_: object) -> str:
    raise OSError(errno.EIO, "Input/output error")


def test_a_camera_may_be_turned_while_the_region_is_set_by_a_flag(place: Place) -> None:
    place.idle()
    place.flags["answer.region"] = "{ x = 0.0, y = 0.0, width = 0.5, height = 1.0 }"
    place.control.reload()
    settings = place.control.patch({"camera": {"rotate": 90}}).settings
    assert settings.camera.rotate == 90
    assert settings.answer.region.width == 0.5


def test_a_change_that_was_not_begun_in_time_is_called_off(place: Place) -> None:
    before = place.control.loaded
    with pytest.raises(TooBusy):
        place.control.patch({"answer": {"hold_s": 3.0}})
    assert place.engine.asked[0][1].cancelled()
    assert place.control.loaded is before


class Begun(Future[None]):
    """Done only after the waiting caller has given up once."""

    def result(self, timeout: float | None = None) -> None:
        del timeout
        if not self.running():
            self.set_running_or_notify_cancel()
            raise TimeoutError


def test_a_change_that_was_begun_in_time_is_waited_for(place: Place) -> None:
    place.engine.apply = lambda _: Begun()  # type: ignore[method-assign]
    place.control.patch({"answer": {"hold_s": 3.0}})
    assert place.control.loaded.settings.answer.hold_s == 3
