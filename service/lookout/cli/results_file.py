"""The file that `lookout classify --resume` writes its results to, line by line, and goes on with in a later run."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lookout.cli.results import Result, cell, csv_header, csv_rows, json_lines
from lookout.errors import ResultsUnusable
from lookout.pipeline.card import Card

MAX_LINE_BYTES = 2**20  # of a network with thousands of labels; longer ones are of another kind of file


class ResultsFile:
    """Appends results as they come. A line that a kill or a power cut left unfinished is cut off when it is opened.

    CSV if the name ends in .csv, else JSON lines. Raises ResultsUnusable on opening if the file is another program's,
    another model's, or in use; OSError on writing.
    """

    def __init__(self, path: Path, card: Card, top: int) -> None:
        self._path = path
        self._is_csv = path.suffix.lower() == ".csv"
        self._line = csv_rows(card.label_names) if self._is_csv else json_lines(top)
        self._file = _open(path)
        try:
            names = card.label_names
            self._done, whole = (
                _read_csv(path, self._file, names) if self._is_csv else _read_json(path, self._file, card)
            )
            self._file.seek(whole)
            self._file.truncate()
            if self._is_csv and whole == 0:
                self._write(csv_header(names).encode())
        except BaseException:
            self.close()
            raise
        self.before = len(self._done)

    def has(self, source: str) -> bool:
        """Whether there is a result for it."""
        return self._key(source) in self._done

    def add(self, result: Result) -> bool:
        """Append it, unless it is there already. Returns whether it was new."""
        if self.has(result.source):
            return False
        self._write(self._line(result).encode("utf-8", "backslashreplace"))
        self._done.add(self._key(result.source))
        return True

    def close(self) -> None:
        self._file.close()

    def _key(self, source: str) -> str:
        if not self._is_csv:
            return source
        return cell(source).encode("utf-8", "backslashreplace").decode()  # as it stands in the file

    def _write(self, line: bytes) -> None:
        """In one call, so that a kill leaves whole lines."""
        self._file.write(line)
        self._file.flush()


def _open(path: Path) -> io.BufferedRandom:
    """Opened and locked, at its beginning."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise ResultsUnusable(f"{path} cannot be written: {error.strerror}.", "Name another file.") from error
    file = os.fdopen(descriptor, "r+b") if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    if file is None:
        os.close(descriptor)
        raise ResultsUnusable(f"{path} is not a regular file.", "Name a file that can be read back.")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise ResultsUnusable(f"Another `lookout classify` writes to {path}.", "Wait for it to end.") from error
    except OSError:  # a share without locks
        pass
    return file


def _read_json(path: Path, file: io.BufferedRandom, card: Card) -> tuple[set[str], int]:
    """The sources, and the bytes of the whole lines."""
    done: set[str] = set()
    whole = 0
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 1):
        if not line.endswith(b"\n") and _is_cut_off(line):
            return done, whole
        entry = _entry(line)
        if entry is None:
            raise _foreign(path, f"line {number} is not a result")
        _check_model(path, entry.get("model"), card)
        done.add(entry["source"])
        whole += len(line)
    return done, whole


def _is_cut_off(line: bytes) -> bool:
    """Whether it may be the beginning of a result, or space that a power cut left without content."""
    start = b'{"source": '
    return not line.strip(b"\0") or line.startswith(start) or start.startswith(line)


def _entry(line: bytes) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError, RecursionError):
        entry = json.loads(line)
        if isinstance(entry, dict) and isinstance(entry.get("source"), str):
            return entry
    return None


def _check_model(path: Path, model: Any, card: Card) -> None:
    """Answers of two networks in one file could not be separated later."""
    if not isinstance(model, dict) or (model.get("name"), model.get("version")) == (card.name, card.version):
        return
    raise ResultsUnusable(
        f"{path} holds answers of {model.get('name')} {model.get('version')}, but this is {card.name} {card.version}.",
        "Name another file, or choose the same model with --model.",
    )


def _read_csv(path: Path, file: io.BufferedRandom, names: Sequence[str]) -> tuple[set[str], int]:
    """The sources, and the bytes of the whole rows. A file's name may hold line breaks, and its row then has, too."""
    header = csv_header(names).encode()
    first = file.readline(MAX_LINE_BYTES)
    if first != header:
        if header.startswith(first):  # empty, or cut off
            return set(), 0
        raise _foreign(path, "its first line does not name this model's labels")
    done: set[str] = set()
    read = _WholeLines(file, len(header))
    whole = read.end
    with contextlib.suppress(csv.Error):  # the last row ends inside a quotation
        for row in csv.reader(read, strict=True):
            if len(row) != len(names) + 4:
                raise _foreign(path, f"a row with {len(row)} columns stands before byte {read.end}")
            done.add(row[0])
            whole = read.end
    return done, whole


class _WholeLines:
    """The lines of a file that end in a line break. end: the bytes up to where it was read."""

    def __init__(self, file: io.BufferedRandom, end: int) -> None:
        self.end = end
        self._file = file

    def __iter__(self) -> Iterator[str]:
        for line in iter(lambda: self._file.readline(MAX_LINE_BYTES), b""):
            if not line.endswith(b"\n"):
                return
            self.end += len(line)
            yield line.decode("utf-8", "replace")


def _foreign(path: Path, why: str) -> ResultsUnusable:
    return ResultsUnusable(
        f"{path} was not written by `lookout classify --resume`: {why}.",
        "Name another file: this one is left as it is.",
    )
