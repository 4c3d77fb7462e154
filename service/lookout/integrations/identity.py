"""The id by which other programs know this device: random, generated once, stored in the state folder."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from lookout.errors import DiskSlow, StateFolderUnusable
from lookout.storage import Storage, with_timeout
from lookout.system.regular_files import read_regular

ID_FILE = "device_id"
_ID = re.compile(r"[0-9a-z]{4,32}")
_MAX_BYTES = 64


def read_id(folder: Path) -> str | None:
    """Return the stored id; None if there is none yet. Raises StateFolderUnusable if the disk cannot be read."""
    path = folder / ID_FILE
    try:
        text = with_timeout(folder, lambda: read_regular(path, _MAX_BYTES)).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except (OSError, DiskSlow) as error:
        raise StateFolderUnusable(
            f"{path}, by which other programs know this device, cannot be read.",
            "Repair the disk, or make the service's user the owner of the folder.",
        ) from error
    return text if _ID.fullmatch(text) else None


def device_id(folder: Path, storage: Storage) -> str:
    """Return the stored id, or store a new one. May wait for the disk; raises StateFolderUnusable.

    An id that was not stored would change at the next start, and Home Assistant would show two devices.
    """
    found = read_id(folder)
    if found is None:
        found = secrets.token_hex(4)
        storage.keep(folder / ID_FILE, f"{found}\n".encode())
    return found
