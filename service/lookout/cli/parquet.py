"""Results as a Parquet table, made at the end of a run from the JSON lines beside it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from lookout.errors import ResultsUnusable
from lookout.integrations.packages import ARROW

# Rows in memory at a time.
_CHUNK = 10_000


def lines_beside(table: Path) -> Path:
    """Return the path of the JSON lines that a table is made from: a Parquet file cannot be appended to."""
    return table.with_name(f"{table.name}.jsonl")


def check() -> None:
    """Raise PackageMissing if tables cannot be written here."""
    if not ARROW.is_there():
        raise ARROW.missing("A Parquet table is asked for, but")


def write_table(table: Path, names: Sequence[str]) -> None:
    """Replace the table by one with the results so far, in the columns of the CSV. names: the labels.

    Raises ResultsUnusable if it cannot be written; the one before is then left as it is.
    """
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    numbers = [(name, pyarrow.float64()) for name in ("probability", *names)]
    texts = [(name, pyarrow.string()) for name in ("source", "label", "error")]
    schema = pyarrow.schema([*texts[:2], *numbers, texts[2]])
    part = table.with_name(f"{table.name}.part")
    try:
        with lines_beside(table).open("rb") as lines, ParquetWriter(part, schema) as writer:
            rows = (_row(json.loads(line), names) for line in lines)
            for chunk in _chunks(rows):
                writer.write_table(pyarrow.Table.from_pylist(chunk, schema))
        part.replace(table)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise ResultsUnusable(
            f"{table} cannot be written: {error.strerror or error}.",
            f"The results are in {lines_beside(table)}; the same command tries again.",
        ) from error


def _row(entry: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return a flat row, as in the CSV. A path that is not Unicode has its bytes as \\udc80 and so on."""
    row: dict[str, Any] = {"source": entry["source"].encode("utf-8", "backslashreplace").decode()}
    if "error" in entry:
        return row | {"error": entry["error"]["code"]}
    best = entry["top"][0]
    shares = {name: entry["probabilities"][name] for name in names}
    return row | {"label": best["label"], "probability": best["probability"]} | shares


def _chunks(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while chunk := list(islice(rows, _CHUNK)):
        yield chunk
