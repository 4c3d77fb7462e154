"""Changes made while the service ran, kept in the state folder as overrides.toml. The user's file stays as it is.

Each change records the file's value at the time. If the file has another value later, the file takes precedence,
because somebody has edited it on purpose.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookout.errors import DiskSlow, SettingFixed, SettingInvalid, StateFolderUnusable
from lookout.redaction import is_masked, masked, redact
from lookout.settings.keys import all_keys
from lookout.settings.layers import Layer, LoadedSettings, flat, unknown_key
from lookout.settings.schema import Settings
from lookout.storage import Storage, with_timeout
from lookout.system.regular_files import NotRegular, read_regular

log = logging.getLogger(__name__)

OVERRIDES_FILE = "overrides.toml"
_HEADER = (
    "# Changes made while the service ran, such as in the dashboard. They override the settings file, until that\n"
    "# says something other than it did then (`replaced`). Delete a change to undo it, or the file to undo all.\n\n"
)
# A larger file is not one that Lookout wrote.
_MAX_BYTES = 2**20
_WHERE_SET = "Change it where it is set, and start the service again."


@dataclass(frozen=True, slots=True)
class Change:
    """One kept change. replaced: the settings file's value at the time, None if the file did not set the key."""

    key: str
    value: Any
    replaced: Any = None


def patch_settings(loaded: LoadedSettings, patch: Mapping[str, Any]) -> LoadedSettings:
    """Return the settings with the whole patch applied. patch: tables as in the TOML file; None resets a setting.

    Nothing is written: `keep_overrides` does that once they are in force. Raises SettingInvalid, SettingFixed.
    """
    changes = {change.key: change for change in _current(loaded)}
    for key, value in flat(patch):
        if key not in all_keys():
            raise _no_setting(key)
        allowed, reason = loaded.changeable(key)
        if not allowed:
            raise SettingFixed(reason, _WHERE_SET)
        if key == "camera.source" and str(value).strip().lower().startswith("scripted:"):
            raise SettingFixed("camera.source cannot name a script from here: it is a program that is run.", _WHERE_SET)
        if key == "camera.source" and isinstance(value, str) and is_masked(value):
            if value == masked_source(loaded.settings):
                continue  # the masked address, sent back unchanged: no change was meant
            raise SettingInvalid(
                "The patch: camera.source contains … or *** instead of a password.",
                "Send the whole address, or leave camera.source out to keep the one in force.",
            )
        if value is None:
            changes.pop(key, None)
        else:
            changes[key] = Change(key, value, loaded.layers["file"].values.get(key))
    # The invalid value was sent just now: the error is about the setting, not the file it would be kept in.
    loaded.with_layer("override", _layer(list(changes.values()), place=""))
    return loaded.with_layer("override", _layer(list(changes.values()), str(loaded.state_folder / OVERRIDES_FILE)))


def masked_source(settings: Settings) -> str:
    """Return the camera's address as clients see it, without its password."""
    return masked(settings.camera.source)


def _no_setting(key: str) -> SettingInvalid:
    """Return the error for a name in a patch that is not a setting, worded for JSON."""
    if key in Settings.model_fields:
        return SettingInvalid(
            f'The patch: "{key}" is a section; it takes an object of settings.',
            f'Send {{"{key}": {{"…": …}}}}; null resets one setting, not a section.',
        )
    return unknown_key(key, "The patch")


def keep_overrides(loaded: LoadedSettings, storage: Storage) -> None:
    """Write what was patched to the state folder. Raises StateFolderUnusable, DiskBudgetSpent."""
    storage.keep(loaded.state_folder / OVERRIDES_FILE, _written(_current(loaded)))


def forget_overruled(loaded: LoadedSettings, storage: Storage) -> None:
    """Delete kept changes that are out of date; otherwise one would apply again if the file got its old value back.

    Raises StateFolderUnusable, DiskBudgetSpent.
    """
    if len(_read(loaded.state_folder)) != len(_current(loaded)):
        keep_overrides(loaded, storage)


def read_overrides(folder: Path, file: Layer) -> Layer:
    """Return the kept changes that still apply. A damaged file counts as empty, with a warning in the log.

    Raises StateFolderUnusable when the disk cannot be read.
    """
    return _layer([change for change in _read(folder) if _holds(change, file)], str(folder / OVERRIDES_FILE))


def _holds(change: Change, file: Layer) -> bool:
    if change.key not in all_keys():
        log.warning("%s: %s is no longer a setting and is ignored.", OVERRIDES_FILE, change.key)
        return False
    if file.values.get(change.key) != change.replaced:
        log.warning(
            "%s was changed in the settings file, which takes precedence over the value kept earlier (%r).",
            change.key,
            redact(str(change.value)) if change.key == "camera.source" else change.value,
        )
        return False
    return True


def _layer(changes: list[Change], place: str) -> Layer:
    return Layer({change.key: change.value for change in changes}, {change.key: place for change in changes})


def _current(loaded: LoadedSettings) -> list[Change]:
    file = loaded.layers["file"].values
    kept = loaded.layers.get("override", Layer()).values
    return [Change(key, value, file.get(key)) for key, value in kept.items()]


def _read(folder: Path) -> list[Change]:
    path = folder / OVERRIDES_FILE
    try:
        entries = tomllib.loads(with_timeout(folder, lambda: read_regular(path, _MAX_BYTES)).decode()).get("change", [])
        return [Change(str(entry["key"]), entry["value"], entry.get("replaced")) for entry in entries]
    except FileNotFoundError:
        return []
    except DiskSlow as error:
        raise StateFolderUnusable(f"{path} cannot be read: its disk does not answer.", error.remedy) from error
    except NotRegular as error:
        log.warning("%s is ignored: %s.", path, error.strerror)
        return []
    except OSError as error:
        raise StateFolderUnusable(
            f"{path} cannot be read ({error.strerror or error}).", "Let the service's user own the folder."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning("%s cannot be read and is ignored: %s.", path, error)
        return []


def _written(changes: list[Change]) -> bytes:
    """Return the file's content."""
    import tomli_w

    entries = [
        {"key": change.key, "value": change.value} | ({} if change.replaced is None else {"replaced": change.replaced})
        for change in changes
    ]
    try:
        return (_HEADER + tomli_w.dumps({"change": entries})).encode()
    except TypeError as error:  # a None deep inside a table
        raise SettingInvalid(
            "A table of settings holds a value that cannot be kept.", "Leave the entry out."
        ) from error
