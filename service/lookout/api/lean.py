"""Scripts, style sheets and pages with what only readers of the source need left out: a quarter of what is sent.

Not a minifier: no name changes, and a line is left as it is where it is not certain which of its characters are text.
"""

from __future__ import annotations

import re

# Lines that are only a comment.
_COMMENTS = re.compile(r"^[ \t]*(?://[^\n]*|/\*.*?\*/[ \t]*)$", re.MULTILINE | re.DOTALL)
# Behind code, outside texts.
_LAST_WORDS = re.compile(r"[ \t]+//[ \t].*")
_PAGE_COMMENTS = re.compile(r"<!--.*?-->", re.DOTALL)
_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)
_TEXT = re.compile(r"""("[^"\\\n]*"|'[^'\\\n]*'|`[^`\\\n]*`)""")
# Beside texts, a template, a regular expression, a division, a comment: such a line keeps its spaces.
_UNCERTAIN = re.compile(r"""[`/\\"']""")
# Not around plus and minus: "a + +b" would become "a++b".
_AROUND_SIGNS = re.compile(r" ?([=<>!&|?:;,(){}\[\]*%]) ?")
_AROUND_BRACES = re.compile(r"\s*([{};])\s*")
_AFTER_SIGNS = re.compile(r"([:,]) +")


def lean_script(source: str) -> str:
    """Without comments, indentation, and spaces around signs."""
    text = _without_comments(source)
    # A text over several lines keeps its spaces.
    if any(line.count("`") % 2 for line in text.splitlines()):
        return text
    return "".join(_lean_line(line) for line in _INDENTATION.sub("", text).split("\n") if line).rstrip("\n")


def _lean_line(line: str) -> str:
    """With the end of the line, unless a statement or a list goes on behind it."""
    parts = _TEXT.split(line)
    if line.count("`") > 2:  # a template may hold others
        return line + "\n"
    parts = _without_last_words(parts)
    line = "".join(parts)
    if any(_UNCERTAIN.search(part) for part in parts[::2]):
        return line + "\n"
    lean = _outside_texts(_AROUND_SIGNS, parts)
    return lean if lean.endswith((",", ";", "{", "(", "[")) else lean + "\n"


def _without_last_words(parts: list[str]) -> list[str]:
    """parts: what is between texts, and texts, by turns. From where a comment begins, all is comment."""
    for at, part in enumerate(parts[::2]):
        comment = _LAST_WORDS.search(part)
        if comment:
            return [*parts[: 2 * at], part[: comment.start()]]
    return parts


def lean_style(source: str) -> str:
    """Without comment lines and layout."""
    text = _outside_texts(_AROUND_BRACES, _TEXT.split(_without_comments(source)))
    return _outside_texts(_AFTER_SIGNS, _TEXT.split(text)).strip()


def lean_page(source: str) -> str:
    """Without indentation, which a page without preformatted text does not need, and comments."""
    return _INDENTATION.sub("", _PAGE_COMMENTS.sub("", source))


def _without_comments(source: str) -> str:
    return _COMMENTS.sub("", source)


def _outside_texts(spaces: re.Pattern[str], parts: list[str]) -> str:
    """parts: what is between texts, and texts, by turns."""
    return "".join(part if at % 2 else spaces.sub(r"\1", part) for at, part in enumerate(parts))
