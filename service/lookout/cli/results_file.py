"""The file to which `lookout classify --resume` writes its results line by line, and which a later run continues."""

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

from lookout.cli.results import Result, csv_header, csv_rows, json_lines
from lookout.errors import ResultsUnusable
from lookout.pipeline.card import Card
from lookout.printable import spreadsheet_text

MAX_LINE_BYTES = 2**20  # enough for thousands of labels; a longer line is from another kind of file


class ResultsFile:
    """Appends results as they come. On opening, a line that a kill or a power cut left unfinished is cut off.

    CSV if the name ends in .csv, otherwise JSON lines. Opening raises ResultsUnusable if the file belongs to another
    program or another model, or is in use; writing raises OSError.
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
        """Return whether there is a result for this source."""
        return self._key(source) in self._done

    def add(self, result: Result) -> bool:
        """Append a result unless there is one for its source. Return whether it was new."""
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
        return spreadsheet_text(source).encode("utf-8", "backslashreplace").decode()  # as written in the file

    def _write(self, line: bytes) -> None:
        """Write a line in one call, so that a kill leaves complete lines."""
        self._file.write(line)
        self._file.flush()


def _open(path: Path) -> io.BufferedRandom:
    """Open and lock the file, at its start."""
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
    """Return the sources, and the size in bytes of the complete lines."""
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
    """Return whether the line may be the start of a result, or zeros that a power cut left."""
    start = b'{"source": '
    return not line.strip(b"\0") or line.startswith(start) or start.startswith(line)


def _entry(line: bytes) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError, RecursionError):
        entry = json.loads(line)
        if isinstance(entry, dict) and isinstance(entry.get("source"), str):
            return entry
    return None


def _check_model(path: Path, model: Any, card: Card) -> None:
    """Raise ResultsUnusable if the result is another model's: answers of two could not be separated later."""
    if not isinstance(model, dict) or (model.get("name"), model.get("version")) == (card.name, card.version):
        return
    raise ResultsUnusable(
        f"{path} holds answers of {model.get('name')} {model.get('version')}, but this is {card.name} {card.version}.",
        "Name another file, or choose the same model with --model.",
    )


def _read_csv(path: Path, file: io.BufferedRandom, names: Sequence[str]) -> tuple[set[str], int]:
    """Return the sources, and the size in bytes of the complete rows. A row may span lines if a file's name does."""
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
    """Iterates over the complete lines of a file. end: the offset in bytes up to which it was read."""

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
