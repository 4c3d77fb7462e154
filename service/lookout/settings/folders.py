"""The paths of the settings file, the state and the cache, from the environment: systemd's folders, or else XDG's."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from lookout.errors import SettingInvalid, StateFolderUnusable
from lookout.storage import with_timeout
from lookout.storage.atomic_files import make_folder, probe_folder
from lookout.storage.watch import trouble_of

MACHINE_CONFIG = Path("/etc/lookout/lookout.toml")


def default_config(environ: Mapping[str, str]) -> Path | None:
    """Return the settings file to read if none is named: the user's, or else the machine's; None if there is none.

    The machine's file may hold a camera's password and be readable by the service only, so other users ignore it. Under
    systemd it is returned even if unreadable, since a service that cannot read its own settings must say so.
    """
    own = _home_folder(environ, "XDG_CONFIG_HOME", ".config") / "lookout.toml"
    if _exists(own, unseen=False):  # a home that this user may not read is somebody else's
        return own
    theirs = os.access(MACHINE_CONFIG, os.R_OK, effective_ids=True) or "STATE_DIRECTORY" in environ
    return MACHINE_CONFIG if theirs and _exists(MACHINE_CONFIG, unseen=True) else None


def _exists(path: Path, *, unseen: bool) -> bool:
    """Return whether the path exists, even as a folder: reading it reports that. unseen: if access is denied."""
    try:
        return path.exists()
    except PermissionError:
        return unseen


def choose_state_folder(asked: Path | None, environ: Mapping[str, str]) -> Path:
    """Return state.folder if set, else systemd's StateDirectory=, else the XDG state folder. Raises SettingInvalid."""
    if asked is not None:
        try:
            return asked.expanduser().absolute()
        except RuntimeError as error:
            raise SettingInvalid(
                f"state.folder {asked} is in the home of an unknown user.", "Give the full path, starting with /."
            ) from error
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else _home_folder(environ, "XDG_STATE_HOME", ".local/state")


def choose_cache_folder(environ: Mapping[str, str]) -> Path:
    """Return systemd's CacheDirectory=, else the XDG cache folder. Safe to delete at any time."""
    given = environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else _home_folder(environ, "XDG_CACHE_HOME", ".cache")


def prepare_state_folder(folder: Path) -> None:
    """Create the folder and check that it is writable. Raises StateFolderUnusable, DiskSlow."""

    def prepare() -> None:
        make_folder(folder)
        probe_folder(folder)

    try:
        with_timeout(folder, prepare)
    except OSError as error:
        raise StateFolderUnusable(
            f"The state folder {folder} cannot be written: {error.strerror or error}.",
            _remedy(folder, error),
        ) from error


def _remedy(folder: Path, error: OSError) -> str:
    """What helps against the reason why a folder cannot be written."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return "Make the service's user its owner, or choose another folder with --state.folder."
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG):
        return "Something else is in its place: move that away, or choose another folder with --state.folder."
    return trouble_of(folder, error).remedy


def _home_folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    base = environ.get(variable, "")
    if Path(base).is_absolute():  # the XDG specification: relative paths must be ignored
        return Path(base) / "lookout"
    home = environ.get("HOME", "")
    # A service user may have no home: use the folders of a system service.
    fallback = {".config": "/etc", ".local/state": "/var/lib", ".cache": "/var/cache"}[below_home]
    return (Path(home) / below_home if Path(home).is_absolute() else Path(fallback)) / "lookout"
