"""Makes text from elsewhere (names of files, labels, cameras; addresses) safe for a terminal, a log or a spreadsheet.

A terminal obeys escape sequences: a file name could clear the screen, set the window title or type an answer for the
user. A line break in a log message forges a log line, and characters that change the writing direction hide text. A
spreadsheet computes a cell that begins like a formula, which may fetch an address or start a program.
"""

from __future__ import annotations

import json
import re
from typing import Any

# C0 and C1 control characters, line separators, bidirectional marks, and lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_BREAKS = re.compile("[\t\n]")
# The wide forms count where Chinese, Japanese or Korean is the system's language.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def printable(text: str, *, lines: bool = True) -> str:
    """The text with such characters escaped as in Python: \\x1b. lines: whether line breaks and tabs are kept."""
    text = _UNSAFE.sub(_spelt, text)
    return text if lines else _BREAKS.sub(_spelt, text)


def printable_json(value: Any, indent: int | None = None) -> str:
    """Return JSON in which letters of every script stay readable; only unsafe characters are escaped."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False, indent=indent))


def spreadsheet_text(text: str) -> str:
    """Return the text, preceded by an apostrophe if a spreadsheet would otherwise take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _spelt(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
