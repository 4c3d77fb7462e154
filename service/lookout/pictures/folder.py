"""Finds the pictures of a folder, by content and not by name, and counts the files left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lookout.deadline import Deadline
from lookout.pictures.headers import is_picture
from lookout.pictures.limits import MAX_FILE_BYTES
from lookout.system.regular_files import NotRegular, open_regular

HEAD_BYTES = 32
# Folders that cameras, shares and systems store beside pictures: thumbnails, recycle bins, metadata.
_JUNK = frozenset({"@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information", "__macosx"})
# Reading the head of every file takes long for many files on a slow disk. Files not reached by then count as pictures,
# and are checked when they are opened.
LOOK_S = 3.0


@dataclass(slots=True)
class LeftOut:
    """The number of files or folders left out, by reason."""

    hidden: int = 0
    others: int = 0
    irregular: int = 0
    unreadable: int = 0

    @property
    def total(self) -> int:
        return self.hidden + self.others + self.irregular + self.unreadable

    def sentence(self) -> str:
        """A sentence on what was left out; empty if nothing was."""
        counted = (
            (self.others, "not pictures that Lookout reads"),
            (self.hidden, "hidden or made by other programs"),
            (self.irregular, "not regular files or too large"),
            (self.unreadable, "not readable"),
        )
        reasons = ", ".join(f"{count} {why}" for count, why in counted if count)
        files = "1 entry" if self.total == 1 else f"{self.total} entries"
        return f"{files} of the folder left out: {reasons}." if reasons else ""


def find_pictures(folder: Path, *, below: bool = False, look_s: float = LOOK_S) -> tuple[list[Path], LeftOut]:
    """Return the pictures in a folder, sorted by path, and what was left out. below: include subfolders.

    Raises OSError if the folder itself cannot be read.
    """
    left_out = LeftOut()
    deadline = Deadline.after(look_s)
    found = [path for path in _files(folder, below, left_out) if deadline.passed or _is_taken(path, left_out)]
    return sorted(found), left_out


def is_picture_file(path: Path) -> bool:
    """Whether a file starts like a picture. Raises OSError, NotRegular if it is not a regular file or too large."""
    with open_regular(path, MAX_FILE_BYTES, follow_links=True) as file:
        return is_picture(file.read(HEAD_BYTES))


def _files(folder: Path, below: bool, left_out: LeftOut) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in _JUNK:
                left_out.hidden += 1
            elif entry.is_dir(follow_symlinks=False):  # a link may lead back to its own folder
                if below:
                    yield from _files_below(Path(entry.path), left_out)
            elif not entry.is_dir():
                yield Path(entry.path)


def _files_below(folder: Path, left_out: LeftOut) -> Iterator[Path]:
    try:
        yield from _files(folder, True, left_out)
    except OSError:
        left_out.unreadable += 1


def _is_taken(path: Path, left_out: LeftOut) -> bool:
    try:
        taken = is_picture_file(path)
    except NotRegular:
        left_out.irregular += 1
        return False
    except OSError:
        left_out.unreadable += 1
        return False
    left_out.others += not taken
    return taken
