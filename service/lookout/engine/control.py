"""Changes to a running service: settings patched or read again, the camera paused. The API and SIGHUP both come here.

Every call blocks until the worker has done it; the API runs them on a thread of its own.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from lookout.engine.worker import Engine
from lookout.errors import DiskSlow, LookoutError, ModelBusy, SettingInvalid, StateFolderUnusable, TooBusy
from lookout.geometry import carried
from lookout.settings.layers import LoadedSettings
from lookout.settings.overrides import forget_overruled, keep_overrides, patch_settings
from lookout.settings.schema import CameraSettings, Settings
from lookout.storage import Storage, with_timeout

log = logging.getLogger(__name__)

PAUSED_FILE = "paused"
# Opening a camera is the longest thing the worker does between two commands. One that takes longer than most do is not
# waited for: whoever asked is told to look again.
WORKER_DEADLINE_S = 15.0
# A large model from a slow card.
MODEL_DEADLINE_S = 60.0
# A disk that was silent at the start and answers with errors is asked again after so long.
_LOOK_AGAIN_S = 1.0
_READ_AT_START = ("server", "upload", "state")

T = TypeVar("T")


class Control:
    """Keeps what was asked for and what is in force the same. One change at a time."""

    def __init__(
        self,
        loaded: LoadedSettings,
        engine: Engine,
        reload: Callable[[], LoadedSettings],
        storage: Storage | None = None,
    ) -> None:
        """reload: reads every source of settings again. storage: where changes are kept."""
        self._loaded = loaded
        self._storage = storage or Storage(loaded.state_folder)
        self._engine = engine
        self._reload = reload
        self._lock = threading.Lock()
        self._swapping = False  # whether who holds the lock, or held it last, changes the model
        # Two, so that a disk that does not answer holds up no other pause of the camera itself.
        self._lock_of_pauses, self._lock_of_mark = threading.Lock(), threading.Lock()
        self._pause_wanted: bool | None = None
        self._restart_required: tuple[str, ...] = ()

    @property
    def loaded(self) -> LoadedSettings:
        """The settings in force, and where each came from."""
        return self._loaded

    @property
    def restart_required(self) -> tuple[str, ...]:
        """Dotted names of the settings that were changed where they are set and wait for the next start."""
        return self._restart_required

    def patch(self, patch: Mapping[str, Any]) -> LoadedSettings:
        """Check a patch whole, put it into force whole, keep it. On any error nothing has changed.

        Raises SettingInvalid, SettingFixed, UnknownModel, ModelRejected, ModelBusy or StateFolderUnusable.
        """
        swaps = "model" in patch
        with self._held(0.0 if swaps and self._swapping else WORKER_DEADLINE_S):
            self._swapping = swaps
            if self._loaded.unread:
                self._read_again()  # or what was kept before would be lost with the first change
            before = self._loaded
            if before.unread:
                raise _unread(before.state_folder)
            after = _with_region_carried(before, patch_settings(before, patch), patch)
            self._put_in_force(after)
            try:
                keep_overrides(after, self._storage)
            except StateFolderUnusable:
                self._put_in_force(before)
                raise
            return after

    def reload(self) -> None:
        """Read the settings again, as SIGHUP asks. A mistake in them is logged and changes nothing."""
        with self._lock:
            try:
                self._read_again()
            except LookoutError as error:
                log.error("The settings stay as they were. %s", error)
            else:
                log.info("Settings read again.")

    def _read_again(self) -> None:
        fresh = self._reload()
        self._refuse_if_file_is_gone(fresh)
        if fresh.unread and not self._loaded.unread:
            raise _unread(self._loaded.state_folder)  # what is in force knows more than the disk tells now
        waiting = _waiting_for_a_start(self._loaded.settings, fresh.settings)
        for section in dict.fromkeys(name.partition(".")[0] for name in waiting):
            log.warning("Changes to [%s] take effect at the next start.", section)
        kept = fresh.with_sections_of(self._loaded, _READ_AT_START)
        # Tokens and the mark of the pause lie where they lay.
        self._put_in_force(replace(kept, state_folder=self._loaded.state_folder))
        self._restart_required = waiting
        if fresh.state_folder == self._loaded.state_folder:
            self._forget_overruled()

    def _refuse_if_file_is_gone(self, fresh: LoadedSettings) -> None:
        """Without the file another camera would be opened, from its defaults: nobody means that by losing a file.

        One that takes its place, because the user now has a file of their own, is meant. Raises SettingInvalid.
        """
        before = self._loaded.config
        if before is None or fresh.config == before:
            return
        if fresh.config is None or not before.exists():
            raise SettingInvalid(
                f"The settings file {before} is gone or may not be read any more.",
                "Put it back, or restart Lookout to do without it.",
            )

    def forget_overruled(self) -> None:
        """Strike out kept changes over which the settings file has won; on a disk that is in trouble, the next time."""
        with self._lock:
            self._forget_overruled()

    def _forget_overruled(self) -> None:
        if self._loaded.unread:
            return
        try:
            forget_overruled(self._loaded, self._storage)
        except LookoutError as error:
            log.info("Changes that no longer hold are kept until the next start: %s", error.detail)

    def catch_up(self) -> None:
        """Once the disk that was silent at the start answers, what is kept there counts. Blocks until then."""
        while True:
            with contextlib.suppress(OSError):
                paused = _is_marked(self._loaded.state_folder)
                if self._loaded.unread:
                    self.reload()
                if not self._loaded.unread:
                    break
            time.sleep(_LOOK_AGAIN_S)
        with self._lock_of_pauses:
            if self._pause_wanted is None:  # else somebody has decided since
                self._engine.pause(paused)

    def pause(self, paused: bool) -> None:
        """Close the camera or open it again, and remember it over restarts: people use it for privacy.

        Raises StateFolderUnusable when it cannot be remembered; the camera is paused all the same. Raises TooBusy when
        the worker is stuck, or ends; it is remembered all the same, and holds after the restart.
        """
        with self._lock_of_pauses:
            self._pause_wanted = paused
            done = _begun(lambda: self._engine.pause(paused))
        try:
            self._remember_pause()
        except StateFolderUnusable as error:
            held = "pause" if paused else "end of the pause"
            raise StateFolderUnusable(
                f"The {held} holds, but cannot be remembered over a restart: {error.detail}", error.remedy
            ) from error
        finally:
            # Last: a camera that hangs ends in a restart, after which it must stay closed.
            _wait(done)
            log.info("The camera is paused." if paused else "The camera's pause is over.")

    def _remember_pause(self) -> None:
        """Write or remove the mark, whichever was asked for last: of two that are at it, both leave the same."""
        with self._lock_of_mark:
            mark = self._loaded.state_folder / PAUSED_FILE
            if self._pause_wanted:
                self._storage.keep(mark, b"")
            else:
                self._storage.remove(mark)

    @contextlib.contextmanager
    def _held(self, timeout_s: float) -> Iterator[None]:
        if not self._lock.acquire(timeout=timeout_s):
            raise ModelBusy("Another change is being made.", "Try again when it is done.")
        try:
            yield
        finally:
            self._lock.release()

    def _put_in_force(self, loaded: LoadedSettings) -> None:
        """What the worker has not begun in time is called off: the answer is that nothing has changed."""
        deadline_s = MODEL_DEADLINE_S if loaded.settings.model != self._loaded.settings.model else WORKER_DEADLINE_S
        done = self._engine.apply(loaded.settings)
        try:
            _wait(done, deadline_s)
        except TooBusy:
            if done.cancel():
                raise
            _wait(done)  # it has begun, and will be in force
        self._loaded = loaded


def _waiting_for_a_start(now: Settings, fresh: Settings) -> tuple[str, ...]:
    return tuple(
        f"{section}.{name}"
        for section in _READ_AT_START
        for name, value in getattr(fresh, section)
        if value != getattr(getattr(now, section), name)
    )


def was_paused(state_folder: Path) -> bool | None:
    """Whether the camera was paused when the service last ran; None where the disk does not tell."""
    try:
        return with_timeout(state_folder, lambda: _is_marked(state_folder))
    except (OSError, DiskSlow):
        return None


def _is_marked(state_folder: Path) -> bool:
    """May wait for the disk. Raises OSError."""
    return (state_folder / PAUSED_FILE).exists()


def _begun(command: Callable[[], Future[None]]) -> Future[None]:
    """A command to the worker; that it takes none any more is told like all else, by the future."""
    try:
        return command()
    except TooBusy as error:
        refused: Future[None] = Future()
        refused.set_exception(error)
        return refused


def _unread(folder: Path) -> StateFolderUnusable:
    return StateFolderUnusable(
        f"The changes made before cannot be read from {folder}, and would be lost with this one.",
        "Try again when the disk answers; the log says what is wrong with it.",
    )


def _wait(future: Future[T], deadline_s: float | None = None) -> T:
    try:
        return future.result(WORKER_DEADLINE_S if deadline_s is None else deadline_s)
    except TimeoutError as error:
        raise TooBusy("The camera loop is busy and has not taken the change yet.", "Look again in a moment.") from error


def _with_region_carried(before: LoadedSettings, after: LoadedSettings, patch: Mapping[str, Any]) -> LoadedSettings:
    """A picture turned or mirrored takes its region along, unless the patch sets one itself."""
    old, new = before.settings, after.settings
    if _orientation(old.camera) == _orientation(new.camera) or new.answer.region != old.answer.region:
        return after
    asked = old.answer.region.rect
    region = carried(asked, before=_orientation(old.camera), after=_orientation(new.camera))
    if region == asked or "region" in patch.get("answer", {}):
        return after
    if not after.changeable("answer.region")[0]:  # a flag's: nobody asked here to change it
        return after
    values = {"x": region.x, "y": region.y, "width": region.width, "height": region.height}
    rounded = {key: round(value, 6) for key, value in values.items()}
    return patch_settings(after, {"answer": {"region": rounded}})


def _orientation(camera: CameraSettings) -> tuple[int, str]:
    return camera.rotate, camera.flip
