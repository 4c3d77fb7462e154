"""Names from elsewhere act on no terminal, and write no lines of their own into a log."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from lookout import terminal
from lookout.cli.logs import JournalFormatter, PrintableFormatter
from lookout.errors import LookoutError
from lookout.printable import printable, printable_json, spreadsheet_text

NASTY = "\x1b[2J\x1b]0;pwned\x07caf\xe9\x9b31m\u202egpj.exe\r\x08\x7f貓"
HARMLESS = r"\x1b[2J\x1b]0;pwned\x07café\x9b31m\u202egpj.exe\r\x08\x7f貓"


def test_what_a_terminal_would_obey_is_spelt_out() -> None:
    assert printable(NASTY) == HARMLESS
    assert printable("two\nlines\tand more") == "two\nlines\tand more"
    assert printable("two\nlines", lines=False) == r"two\nlines"
    assert printable("caf\udce9") == r"caf\udce9"
    assert printable("Ünïcödé 貓 🐈") == "Ünïcödé 貓 🐈"


def test_json_stays_the_same_json() -> None:
    text = printable_json({NASTY: "貓"})
    assert json.loads(text) == {NASTY: "貓"}
    assert "貓" in text
    assert not set(NASTY[0:1] + "\x9b\u202e\x7f") & set(text)


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-x.jpg", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＠SUM(A1)"])
def test_no_label_and_no_name_becomes_a_formula_in_a_spreadsheet(formula: str) -> None:
    assert spreadsheet_text(formula) == f"'{formula}"
    assert spreadsheet_text(f"cat {formula}") == f"cat {formula}"


def test_words_tables_and_errors_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(f"say {NASTY}")
    terminal.print_error(LookoutError(f"detail {NASTY}", f"remedy {NASTY}"))
    terminal.show(f"show {NASTY}")
    rows = terminal.table("Name", folding=("Name",))
    rows.add_row(NASTY)
    terminal.console().print(rows)
    out, err = capsys.readouterr()
    assert err.count(r"\x1b[2J") == 3
    assert out.count(r"\x1b[2J") == 2
    assert not set("\x1b\x9b\u202e\x07\x08\x7f") & set(out + err)


@pytest.mark.parametrize("formatter", [PrintableFormatter("%(message)s"), JournalFormatter("%(message)s")])
def test_a_log_line_is_one_line(formatter: logging.Formatter) -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "camera %s", (f"a\n<2>forged {NASTY}",), None)
    text = formatter.format(record)
    assert text.removeprefix("<4>") == rf"camera a\n<2>forged {HARMLESS}"


def test_a_traceback_keeps_its_lines_and_the_exception_in_it_acts_on_nothing() -> None:
    try:
        raise ValueError(NASTY)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "it failed", (), sys.exc_info())
    text = PrintableFormatter("%(message)s").format(record)
    assert text.count("\n") >= 3
    assert HARMLESS in text
    assert "\x1b" not in text
