"""Files and folders that cannot be read: what is said of them, and whether the disk or the content is at fault."""

from __future__ import annotations

import os
from pathlib import Path

from lookout.errors import CameraAbsent, CameraDenied, CameraError

# How far to read on in search of a fault; FFmpeg itself reads ahead by less than this.
CHECKED_BYTES, _READ_BYTES = 16 * 2**20, 2**18


def refused(path: Path, noun: str, error: OSError) -> CameraError:
    """Return what to raise where the system refuses a path. noun: "file" or "folder"."""
    if isinstance(error, PermissionError):
        return CameraDenied(f"This user may not read {path}.", "Change its permissions, or copy it.")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return CameraAbsent(f"There is no {noun} {path}.", "Check the path.")
    return CameraError(f"The {noun} {path} cannot be read: {error.strerror}.", "Check the disk or share that it is on.")


def check_disk(path: Path, position: int | None = None) -> None:
    """Read some megabytes, since FFmpeg reports a damaged file and a failing disk alike. Raises CameraError.

    position: where FFmpeg stopped. By default the beginning and the end are read, where files keep their index.
    """
    try:
        with path.open("rb", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            starts = (0, max(0, end - CHECKED_BYTES)) if position is None else (position,)
            for start in starts:
                file.seek(start)
                for _ in range(CHECKED_BYTES // _READ_BYTES):
                    if not file.read(_READ_BYTES):
                        break
    except OSError as error:
        raise refused(path, "file", error) from error
