"""Files and folders that are written completely or not at all, even if the disk is full or Ctrl-C is pressed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lookout.storage.atomic_files import replacement


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that replaces ``path`` at the end of the block. Raises OSError that names ``path``."""
    try:
        with replacement(path) as fresh, fresh.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def whole_folder(folder: Path, last: str) -> Iterator[Path]:
    """Make a new folder to fill; at the end of the block its files are moved to ``folder``, file ``last`` as the last.

    Existing files of ``folder`` stay unless they are replaced. Raises OSError that names ``folder``.
    """
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        yield fresh
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(fresh.iterdir(), key=lambda path: path.name == last):
            path.replace(folder / path.name)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
