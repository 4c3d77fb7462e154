"""Removes from scripts, style sheets and pages what only readers of the source need: a quarter of the bytes.

Not a minifier: names stay, and a line stays as it is unless it is certain which characters are string literals.
"""

from __future__ import annotations

import re

# Lines that are only a comment.
_COMMENTS = re.compile(r"^[ \t]*(?://[^\n]*|/\*.*?\*/[ \t]*)$", re.MULTILINE | re.DOTALL)
# A comment after code, outside string literals.
_TRAILING_COMMENT = re.compile(r"[ \t]+//[ \t].*")
_PAGE_COMMENTS = re.compile(r"<!--.*?-->", re.DOTALL)
_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)
_STRING = re.compile(r"""("[^"\\\n]*"|'[^'\\\n]*'|`[^`\\\n]*`)""")
# Outside string literals: a template, a regular expression, a division or a comment. Such a line keeps its spaces.
_UNCERTAIN = re.compile(r"""[`/\\"']""")
# Not around plus and minus: "a + +b" would become "a++b".
_AROUND_SIGNS = re.compile(r" ?([=<>!&|?:;,(){}\[\]*%]) ?")
_AROUND_BRACES = re.compile(r"\s*([{};])\s*")
_AFTER_SIGNS = re.compile(r"([:,]) +")


def lean_script(source: str) -> str:
    """Return the script without comments, indentation, and spaces around signs."""
    text = _without_comments(source)
    # A template literal over several lines must keep its spaces.
    if any(line.count("`") % 2 for line in text.splitlines()):
        return text
    return "".join(_lean_line(line) for line in _INDENTATION.sub("", text).split("\n") if line).rstrip("\n")


def _lean_line(line: str) -> str:
    """Return the line without needless spaces, and without its newline where the last sign makes it needless too."""
    parts = _STRING.split(line)
    if line.count("`") > 2:  # a template may contain others
        return line + "\n"
    parts = _without_trailing_comment(parts)
    line = "".join(parts)
    if any(_UNCERTAIN.search(part) for part in parts[::2]):
        return line + "\n"
    lean = _outside_strings(_AROUND_SIGNS, parts)
    return lean if lean.endswith((",", ";", "{", "(", "[")) else lean + "\n"


def _without_trailing_comment(parts: list[str]) -> list[str]:
    """Drop everything from the start of a comment on. parts: code and string literals, by turns."""
    for at, part in enumerate(parts[::2]):
        comment = _TRAILING_COMMENT.search(part)
        if comment:
            return [*parts[: 2 * at], part[: comment.start()]]
    return parts


def lean_style(source: str) -> str:
    """Return the style sheet without comment lines and layout."""
    text = _outside_strings(_AROUND_BRACES, _STRING.split(_without_comments(source)))
    return _outside_strings(_AFTER_SIGNS, _STRING.split(text)).strip()


def lean_page(source: str) -> str:
    """Return the page without comments and indentation, which a page without preformatted text does not need."""
    return _INDENTATION.sub("", _PAGE_COMMENTS.sub("", source))


def _without_comments(source: str) -> str:
    return _COMMENTS.sub("", source)


def _outside_strings(spaces: re.Pattern[str], parts: list[str]) -> str:
    """Remove the spaces from the code. parts: code and string literals, by turns."""
    return "".join(part if at % 2 else spaces.sub(r"\1", part) for at, part in enumerate(parts))
