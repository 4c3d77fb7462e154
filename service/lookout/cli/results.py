"""The results of classifying many pictures or frames, one result each: as a table, JSON lines or CSV."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from lookout.errors import LookoutError
from lookout.pipeline.card import Card
from lookout.printable import printable_json, spreadsheet_text
from lookout.terminal import console, say, table


@dataclass(frozen=True, slots=True)
class Result:
    """The result for one picture or frame: an answer in the API's form, or an error.

    passing: the error is not about the content of the picture, so that a later run may succeed.
    """

    source: str
    answer: dict[str, Any] | None = None
    error: LookoutError | None = None
    passing: bool = False


class Printer(Protocol):
    def add(self, result: Result) -> None: ...

    def finish(self) -> None: ...


def printer(form: Literal["json", "csv", "table"], card: Card, top: int) -> Printer:
    """Return what prints results: json and csv as they come, a table at the end."""
    if form == "table":
        return _Table(min(top, len(card.labels)))
    return (
        _Lines(json_lines(top)) if form == "json" else _Lines(csv_rows(card.label_names), csv_header(card.label_names))
    )


def json_lines(top: int) -> Callable[[Result], str]:
    """Return a function that turns a result into a line of JSON. top: how many labels `top` lists at most."""

    def line(result: Result) -> str:
        entry: dict[str, Any] = {"source": result.source}
        if result.error is not None:
            entry["error"] = {
                "code": result.error.code,
                "title": result.error.title,
                "detail": result.error.detail,
                "remedy": result.error.remedy,
            }
        elif result.answer is not None:
            entry |= {**result.answer, "top": result.answer["top"][:top]}
        return f"{printable_json(entry)}\n"

    return line


def csv_header(names: Sequence[str]) -> str:
    """Return the first line: a column per label, between the answer and the code of an error."""
    return _row(["source", "label", "probability", *map(spreadsheet_text, names), "error"])


def csv_rows(names: Sequence[str]) -> Callable[[Result], str]:
    """Return a function that turns a result into a line below `csv_header`. names: the labels."""

    def line(result: Result) -> str:
        if result.answer is None:
            code = result.error.code if result.error else ""
            return _row([spreadsheet_text(result.source), "", "", *("" for _ in names), code])
        best, shares = result.answer["top"][0], result.answer["probabilities"]
        return _row(
            [
                spreadsheet_text(result.source),
                spreadsheet_text(best["label"]),
                best["probability"],
                *(shares[n] for n in names),
                "",
            ]
        )

    return line


def _row(values: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


class _Lines:
    def __init__(self, line: Callable[[Result], str], header: str = "") -> None:
        self._line = line
        sys.stdout.write(header)

    def add(self, result: Result) -> None:
        sys.stdout.write(self._line(result))
        sys.stdout.flush()

    def finish(self) -> None:
        pass


class _Table:
    def __init__(self, top: int) -> None:
        self._top = top
        others = ["Then"] if self._top > 1 else []
        self._rows = table("Picture", "Most likely", "Share", *others, right=("Share",), folding=("Picture", "Then"))
        self._filled = False

    def add(self, result: Result) -> None:
        if result.answer is None:
            if result.error is not None:
                say(f"{result.source}: {result.error}")
            return
        self._filled = True
        best, *others = result.answer["top"][: self._top]
        then = ", ".join(f"{other['title']} {other['probability']:.1%}" for other in others)
        cells = [result.source, str(best["title"]), f"{best['probability']:.1%}"]
        self._rows.add_row(*cells, *([then] if self._top > 1 else []))

    def finish(self) -> None:
        if self._filled:
            console().print(self._rows)
