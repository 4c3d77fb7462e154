"""Files and folders that are there whole or not at all, also when the disk is full or somebody presses Ctrl-C."""

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
    """A file to write, which takes the place of ``path`` at the end. Raises OSError that names ``path``."""
    try:
        with replacement(path) as fresh, fresh.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def whole_folder(folder: Path, last: str) -> Iterator[Path]:
    """A folder to fill, whose files are then moved to ``folder``, the one named ``last`` after all others.

    Files that lie there already stay or are replaced. Raises OSError that names ``folder``.
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
