"""Installs and removes a model's folder atomically, so that no partial model is listed even after a kill."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lookout.errors import ModelRejected, UnknownModel
from lookout.pipeline.card import CARD_FILE
from lookout.resources import models_folder
from lookout.storage.atomic_files import sync_folder

# Temporary folders are hidden, so that no catalogue lists them. The name contains the id of the writing process.
_BESIDE = re.compile(r"\..+\.(\d+)\.(?:new|old)")


def refuse_taken(target: Path) -> None:
    """Raise ModelRejected if the target exists already."""
    if os.path.lexists(target):
        raise ModelRejected(
            f"There is already a model {target.name} in {target.parent}.",
            f"Choose another name with --name, or remove it: lookout models remove {target.name}.",
        )


@contextmanager
def installed(target: Path) -> Iterator[Path]:
    """Make a new folder to write a model into; at the end of the block it is renamed to the target.

    Raises ModelRejected if the target exists already or cannot be stored.
    """
    refuse_taken(target)
    beside = _beside(target, "new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        beside.mkdir()
    except OSError as error:
        raise _unstorable(target, error) from error
    try:
        yield beside
        _put(beside, target)
    except OSError as error:
        raise _unstorable(target, error) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _put(beside: Path, target: Path) -> None:
    for path in beside.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(beside)
    refuse_taken(target)
    try:
        beside.rename(target)  # fails if another process has put a model there meanwhile
    except OSError as error:
        refuse_taken(target)
        raise error
    sync_folder(target.parent)


def remove_model(folder: Path) -> None:
    """Remove an added model durably. Raises UnknownModel, or ModelRejected if it cannot be removed."""
    if folder.parent == models_folder():
        raise ModelRejected(
            f'The model "{folder.name}" came with Lookout and cannot be removed.', "Choose another with model.name."
        )
    if not (folder / CARD_FILE).is_file():
        raise UnknownModel(f"There is no model in {folder}.", "`lookout models list` shows those there are.")
    try:
        if folder.is_symlink():
            folder.unlink()
            return
        beside = _beside(folder, "old")
        folder.rename(beside)
        sync_folder(folder.parent)
    except OSError as error:
        raise ModelRejected(
            f'The model "{folder.name}" cannot be removed from {folder.parent}: {error.strerror}.',
            "Run the command as the user who owns the folder.",
        ) from error
    shutil.rmtree(beside, ignore_errors=True)


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.{ending}")


def _sweep(folder: Path) -> None:
    """Remove the temporary folders that killed processes have left."""
    with suppress(OSError):
        for path in folder.iterdir():
            found = _BESIDE.fullmatch(path.name)
            if found and (int(found[1]) == os.getpid() or not Path(f"/proc/{found[1]}").exists()):
                shutil.rmtree(path, ignore_errors=True)


def _unstorable(target: Path, error: OSError) -> ModelRejected:
    return ModelRejected(f"The model cannot be stored in {target}: {error.strerror or error}.", "Choose --folder.")
