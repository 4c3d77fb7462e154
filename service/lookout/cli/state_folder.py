"""The service's state folder, for commands that change its content."""

from __future__ import annotations

import os
from pathlib import Path

from lookout.errors import StateFolderUnusable
from lookout.settings.installation import SERVICE_FOLDER, service_owner, user_name
from lookout.settings.layers import LoadedSettings
from lookout.settings.sources import load
from lookout.storage import Storage, with_timeout


def settings_for(verb: str, what: str, config: Path | None, folder: Path | None = None) -> LoadedSettings:
    """Return the settings, whose state folder must be this user's. verb, what: "token" and "tokens", for the error.

    Raises StateFolderUnusable if the folder belongs to another user, or if the system service's folder is meant.
    """
    loaded = load({} if folder is None else {"state.folder": str(folder)}, config)
    _refuse_wrong_folder(loaded, verb, what)
    try:
        there, owner = with_timeout(loaded.state_folder, lambda: _owned(loaded.state_folder))
    except OSError as error:
        raise StateFolderUnusable(
            f"The state folder {loaded.state_folder} cannot be read: {error.strerror}.",
            "Run this as the service's user, or name another folder with state.folder.",
        ) from error
    if there == loaded.state_folder and owner != os.geteuid():
        raise StateFolderUnusable(
            f"The state folder {there} belongs to {user_name(owner)}, but this is {user_name(os.geteuid())}.",
            f"Run: sudo -u {user_name(owner)} STATE_DIRECTORY={there} lookout {verb}",
        )
    return loaded


def _refuse_wrong_folder(loaded: LoadedSettings, verb: str, what: str) -> None:
    """Raise StateFolderUnusable if the system service, which does not read this user's folder, is probably meant."""
    is_chosen = loaded.config is not None or loaded.origins["state.folder"].kind != "default"
    owner = service_owner()
    if is_chosen or "STATE_DIRECTORY" in os.environ or owner is None or owner == os.geteuid():
        return
    raise StateFolderUnusable(
        f"The Lookout service of this machine keeps its {what} in {SERVICE_FOLDER}, and knows no others.",
        f"Run: sudo -u {user_name(owner)} STATE_DIRECTORY={SERVICE_FOLDER} lookout {verb}. For a Lookout that you "
        f"start yourself: LOOKOUT_STATE__FOLDER={loaded.state_folder} lookout {verb}",
    )


def storage_of(loaded: LoadedSettings) -> Storage:
    """Return a storage that writes immediately, within the budget."""
    return Storage(loaded.state_folder, loaded.cache_folder, loaded.settings.state.limits)


def _owned(folder: Path) -> tuple[Path, int]:
    """Return the folder, or its nearest parent that exists, and the owner's user id."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there, there.stat().st_uid
