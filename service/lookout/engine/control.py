"""Changes to a running service: patch settings, reload them, pause the camera. Used by the API and by SIGHUP.

Every call blocks until the worker has carried it out, so the API makes them on other threads.
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
from lookout.settings.layers import READ_AT_START, LoadedSettings
from lookout.settings.overrides import forget_overruled, keep_overrides, patch_settings
from lookout.settings.schema import CameraSettings, Settings
from lookout.storage import Storage, with_timeout

log = logging.getLogger(__name__)

PAUSED_FILE = "paused"
# Opening a camera is the longest thing the worker does between two commands. If it takes longer than this, the caller
# is asked to try again.
WORKER_DEADLINE_S = 15.0
# Enough to load a large model from a slow SD card.
MODEL_DEADLINE_S = 60.0
# Seconds between two attempts to read a disk that did not respond at startup and now returns errors.
_LOOK_AGAIN_S = 1.0

T = TypeVar("T")


class Control:
    """Keeps the stored settings and those in force the same. Makes one change at a time."""

    def __init__(
        self,
        loaded: LoadedSettings,
        engine: Engine,
        reload: Callable[[], LoadedSettings],
        storage: Storage | None = None,
    ) -> None:
        """reload: reads every source of settings again. storage: where changes are stored."""
        self._loaded = loaded
        self._storage = storage or Storage(loaded.state_folder)
        self._engine = engine
        self._reload = reload
        self._lock = threading.Lock()
        self._swapping = False  # whether the current or last holder of the lock changes the model
        # Two locks: while one call waits for a disk that does not respond, another can still pause the camera.
        self._lock_of_pauses, self._lock_of_mark = threading.Lock(), threading.Lock()
        self._pause_wanted: bool | None = None
        self._restart_required: tuple[str, ...] = ()

    @property
    def loaded(self) -> LoadedSettings:
        """The settings in force, and where each came from."""
        return self._loaded

    @property
    def restart_required(self) -> tuple[str, ...]:
        """Dotted names of the settings that were changed at their source but take effect only at the next start."""
        return self._restart_required

    def patch(self, patch: Mapping[str, Any]) -> LoadedSettings:
        """Validate a patch, put it into force and store it; all of it or nothing.

        Raises SettingInvalid, SettingFixed, UnknownModel, ModelRejected, ModelBusy or StateFolderUnusable.
        """
        swaps = "model" in patch
        with self._held(0.0 if swaps and self._swapping else WORKER_DEADLINE_S):
            self._swapping = swaps
            if self._loaded.unread:
                self._read_again()  # otherwise the first change would overwrite the stored ones
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
        """Read the settings again, as SIGHUP requests. An invalid setting is logged and changes nothing."""
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
            raise _unread(self._loaded.state_folder)  # the settings in force would lose changes
        waiting = _waiting_for_a_start(self._loaded.settings, fresh.settings)
        for section in dict.fromkeys(name.partition(".")[0] for name in waiting):
            log.warning("Changes to [%s] take effect at the next start.", section)
        kept = fresh.with_sections_of(self._loaded, READ_AT_START)
        # Tokens and the pause marker stay in the old folder.
        self._put_in_force(replace(kept, state_folder=self._loaded.state_folder))
        self._restart_required = waiting
        if fresh.state_folder == self._loaded.state_folder:
            self._forget_overruled()

    def _refuse_if_file_is_gone(self, fresh: LoadedSettings) -> None:
        """Raise SettingInvalid if the settings file in use has disappeared.

        Without it, or with an empty one as a power cut may leave it, the default camera would be opened, which
        nobody intended. Another file that takes precedence, because the user has created one, is intended.
        """
        before = self._loaded.config
        if before is None:
            return
        if fresh.config == before:
            is_gone = self._reads_file(self._loaded) and not before.stat().st_size
        else:
            is_gone = fresh.config is None or not before.exists()
        if is_gone:
            raise SettingInvalid(
                f"The settings file {before} is missing, empty or can no longer be read.",
                "Put it back, or restart Lookout to run without it.",
            )

    @staticmethod
    def _reads_file(loaded: LoadedSettings) -> bool:
        """Whether the settings file says anything."""
        return any(origin.kind == "file" for origin in loaded.origins.values())

    def forget_overruled(self) -> None:
        """Delete stored changes that the settings file overrides. If the disk fails, they are deleted next time."""
        with self._lock:
            self._forget_overruled()

    def _forget_overruled(self) -> None:
        if self._loaded.unread:
            return
        try:
            forget_overruled(self._loaded, self._storage)
        except LookoutError as error:
            log.info("Outdated changes are kept until the next start: %s", error.detail)

    def catch_up(self) -> None:
        """Block until a disk that was silent at startup responds; then apply the changes and the pause stored there."""
        while True:
            with contextlib.suppress(OSError):
                paused = _is_marked(self._loaded.state_folder)
                if self._loaded.unread:
                    self.reload()
                if not self._loaded.unread:
                    break
            time.sleep(_LOOK_AGAIN_S)
        with self._lock_of_pauses:
            if self._pause_wanted is None:  # not paused or resumed by anyone since
                self._engine.pause(paused)

    def pause(self, paused: bool) -> None:
        """Close the camera or open it again, and remember it across restarts, because people pause for privacy.

        Raises StateFolderUnusable if that cannot be stored; it takes effect all the same. Raises TooBusy if the worker
        is stuck or stopping; it is stored all the same, and takes effect after the restart.
        """
        with self._lock_of_pauses:
            self._pause_wanted = paused
            done = _posted(lambda: self._engine.pause(paused))
        try:
            self._remember_pause()
        except StateFolderUnusable as error:
            held = "pause" if paused else "end of the pause"
            raise StateFolderUnusable(
                f"The {held} is in force, but cannot be remembered across a restart: {error.detail}", error.remedy
            ) from error
        finally:
            # Wait last: a hanging camera makes systemd restart the service, and the pause must be stored by then.
            _wait(done)
            log.info("The camera is paused." if paused else "The camera's pause is over.")

    def _remember_pause(self) -> None:
        """Write or remove the marker as requested last, so that two concurrent calls end in the same state."""
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
        """Apply the settings on the worker. If it does not start in time, cancel the change and raise TooBusy."""
        deadline_s = MODEL_DEADLINE_S if loaded.settings.model != self._loaded.settings.model else WORKER_DEADLINE_S
        done = self._engine.apply(loaded.settings)
        try:
            _wait(done, deadline_s)
        except TooBusy:
            if done.cancel():
                raise
            _wait(done)  # the change has started, and will take effect
        self._loaded = loaded


def _waiting_for_a_start(now: Settings, fresh: Settings) -> tuple[str, ...]:
    return tuple(
        f"{section}.{name}"
        for section in READ_AT_START
        for name, value in getattr(fresh, section)
        if value != getattr(getattr(now, section), name)
    )


def was_paused(state_folder: Path) -> bool | None:
    """Whether the camera was paused when the service last ran; None if the disk cannot be read."""
    try:
        return with_timeout(state_folder, lambda: _is_marked(state_folder))
    except (OSError, DiskSlow):
        return None


def _is_marked(state_folder: Path) -> bool:
    """Whether the pause marker exists. May block on the disk. Raises OSError."""
    return (state_folder / PAUSED_FILE).exists()


def _posted(command: Callable[[], Future[None]]) -> Future[None]:
    """Post a command to the worker. If the mailbox is closed or full, return a future that has failed with TooBusy."""
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
        raise TooBusy(
            "The camera loop is busy and has not applied the change yet.", "Check again in a moment."
        ) from error


def _with_region_carried(before: LoadedSettings, after: LoadedSettings, patch: Mapping[str, Any]) -> LoadedSettings:
    """Rotate or mirror the region with the picture, unless the patch sets a region itself."""
    old, new = before.settings, after.settings
    if _orientation(old.camera) == _orientation(new.camera) or new.answer.region != old.answer.region:
        return after
    asked = old.answer.region.rect
    region = carried(asked, before=_orientation(old.camera), after=_orientation(new.camera))
    if region == asked or "region" in patch.get("answer", {}):
        return after
    if not after.changeable("answer.region")[0]:  # set by a flag, which a patch must not change
        return after
    values = {"x": region.x, "y": region.y, "width": region.width, "height": region.height}
    rounded = {key: round(value, 6) for key, value in values.items()}
    return patch_settings(after, {"answer": {"region": rounded}})


def _orientation(camera: CameraSettings) -> tuple[int, str]:
    return camera.rotate, camera.flip
