"""Reads the label files that come with networks: lists, ImageNet's, Keras's, Hugging Face's, CSV, and others.

Whatever the format, the result is one name for each of the network's outputs, in order.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookout.errors import ModelRejected
from lookout.system.regular_files import read_regular

MAX_LABEL_BYTES = 4 * 2**20
MAX_LABELS = 10_000
# As in the card.
MAX_NAME = 100

_USUAL = "One label per line, in the network's order, always works."
_SYNSET = re.compile(r"^n\d{8}$")
_SYNSET_LINE = re.compile(r"^n\d{8}[\s,;:]+(?=\S)")
# "0 cat", "0: cat", "0=cat", "0|cat", "0. cat", "0) cat", "0 - cat", "[0] cat", but not "0.5 mm" or "0-2 years".
_INDEXED = re.compile(r"^\[?(\d{1,6})(?:\s*[:,;|=]|[.)\]](?=\s)|\s+-(?=\s)|(?=\s))\s*(\S.*)$")
_INDEX_LAST = re.compile(r"^(\S.*?)\s*[:,;|=\t]\s*(\d{1,6})$")
_BULLET = re.compile(r"^[-*•]\s+(?=\S)")
# What stands before a list or dictionary in a program: "CLASSES = [", "export const LABELS = {".
_ASSIGNMENT = re.compile(
    r"^(?:export\s+(?:default\s+)?)?(?:(?:const|let|var)\s+)?(?:[A-Za-z_][\w.]*\s*=\s*)?(?=[\[{(])"
)
_ITEM = re.compile(r"item\s*\{(.*?)\}", re.DOTALL)
_ITEM_FIELD = re.compile(r"""\b(id|name|display_name)\s*:\s*(?:"([^"]*)"|'([^']*)'|(\d+))""")
_YAML_NAMES = re.compile(
    r"^(?:names|labels|classes|class_names|categories):[ \t]*(?:#[^\n]*)?"
    r"(?:\n((?:(?:[ \t]+|- )[^\n]*\n?)+)|(\[[^\]]*\]|\{[^}]*\}))",
    re.MULTILINE,
)
# Files that are downloaded by mistake instead of the labels.
_MISTAKEN = (
    (re.compile(r"^version https://git-lfs"), "a pointer of Git LFS", "Fetch the file itself: git lfs pull."),
    (re.compile(r"^<(?:!doctype|html|\?xml)", re.IGNORECASE), "a web page or XML", "Download the labels themselves."),
)
# How JSON starts. A plain list of lines may start with a bracket or brace, too, but hardly like this.
_OPENINGS = ('["', "['", "[[", "[{", "[\n", '{"', "{'", "{\n", "{ ", "[ ")
# Keys under which JSON files with other content keep their labels, the most reliable first.
_KEYS = (
    "id2label", "label2id", "idx_to_class", "class_to_idx", "label_names", "labels", "class_names", "names", "classes",
    "categories",
)  # fmt: skip
_NAME_FIELDS = ("name", "label", "class_name", "label_name", "class", "display_name", "title", "category", "english")
_INDEX_FIELDS = ("id", "index", "class_id", "class_index", "label_id", "idx", "number")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A label as found. place: "line 3" or 'entry "3"'. index: the number of its output, if the file gives one."""

    text: str
    place: str
    index: int | None = None


def read_labels(path: Path) -> list[str]:
    """Read the labels in a file, in the network's order. Raises ModelRejected, naming the line that is wrong."""
    text = _text(path)
    entries = _ordered(path, _entries(path, text))
    if not entries:
        raise ModelRejected(f"{path} contains no labels.", _USUAL)
    if len(entries) > MAX_LABELS:
        raise ModelRejected(f"{path} contains {len(entries)} labels; {MAX_LABELS} is the maximum.", _USUAL)
    for entry in entries:
        _check(path, entry)
    return _distinct([entry.text for entry in entries])


def _text(path: Path) -> str:
    try:
        data = read_regular(path, MAX_LABEL_BYTES, follow_links=True)
    except OSError as error:
        reason = error.strerror or error
        raise ModelRejected(f"The labels in {path} cannot be read: {reason}.", "Check the path.") from error
    # Editors on Windows write a byte order mark, and PowerShell writes UTF-16.
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ModelRejected(f"{path}, line {line}, is not UTF-8 text.", "Save the file as UTF-8.") from error


def _entries(path: Path, text: str) -> list[_Entry]:
    """The entries, by the format of the content; the file's extension is not reliable."""
    stripped = text.strip()
    for pattern, what, remedy in _MISTAKEN:
        if pattern.search(stripped):
            raise ModelRejected(f"{path} contains no labels, but is {what}.", remedy)
    literal = _ASSIGNMENT.sub("", stripped, count=1).rstrip("; \n")
    if literal[:1] in ("{", "[", "(") and (document := _document(path, literal)) is not None:
        return _from_document(path, document)
    if items := _ITEM.findall(stripped):
        return [entry for number, item in enumerate(items) if (entry := _from_item(item, number)) is not None]
    if found := _YAML_NAMES.search(text):
        return _from_yaml(path, found)
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if (table := _from_table(lines)) is not None:
        return table
    return _from_lines(lines)


# --- JSON, and Python literals --------------------------------------------------------------------------------------


def _document(path: Path, text: str) -> Any:
    """Parse JSON, or a Python list or dictionary as printed; None if it is neither and may be a list of lines."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            if (records := _json_lines(text)) is not None:
                return records
            if isinstance(error, json.JSONDecodeError) and text[:2] in _OPENINGS:
                raise ModelRejected(f"{path}, line {error.lineno}, is not JSON: {error.msg}.", _USUAL) from error
            return None


def _json_lines(text: str) -> list[Any] | None:
    """Parse a file with one JSON object per line; None if it is none."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not all(line.startswith("{") for line in lines):
        return None
    try:
        return [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        return None


def _from_document(path: Path, document: Any) -> list[_Entry]:
    if isinstance(document, dict):
        known = next((key for key in _KEYS if isinstance(document.get(key), (dict, list))), None)
        return _from_document(path, document[known]) if known else _from_mapping(path, document)
    if not isinstance(document, (list, tuple)):
        raise ModelRejected(f"{path} contains no list of labels.", _USUAL)
    return [_from_value(path, value, f"entry {number}", None) for number, value in enumerate(document, 1)]


def _from_mapping(path: Path, mapping: dict[Any, Any]) -> list[_Entry]:
    """Read a mapping of index to label, as {"0": "tench"} and {"0": ["n01440764", "tench"]}, or of label to index."""
    numbered = all(str(key).strip().isdecimal() for key in mapping)
    if all(_is_number(value, quoted=not numbered) for value in mapping.values()):
        return [_Entry(_clean(str(name)), f'entry "{_short(name)}"', int(index)) for name, index in mapping.items()]
    entries = []
    for key, value in mapping.items():
        if not str(key).strip().isdecimal():
            raise ModelRejected(f'{path}: the key of entry "{_short(key)}" is not an output\'s number.', _USUAL)
        entries.append(_from_value(path, value, f'entry "{_short(key)}"', int(str(key))))
    return entries


def _is_number(value: Any, *, quoted: bool) -> bool:
    """Whether a value is the number of an output. quoted: even if it is a text of digits."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        quoted and isinstance(value, str) and value.strip().isdecimal()
    )


def _from_value(path: Path, value: Any, place: str, index: int | None) -> _Entry:
    if isinstance(value, str):
        return _Entry(_clean(value), place, index)
    if isinstance(value, (list, tuple)):
        words = [word for word in value if isinstance(word, str) and not _SYNSET.match(word)]
        if words:
            return _Entry(_clean(words[0]), place, index)
    if isinstance(value, dict):
        name = next((value[key] for key in _NAME_FIELDS if isinstance(value.get(key), str)), None)
        number = next((value[key] for key in _INDEX_FIELDS if isinstance(value.get(key), int)), index)
        if name is not None:
            return _Entry(_clean(name), place, number)
    raise ModelRejected(f"{path}: {place} is not a label, but {_short(value)}.", _USUAL)


def _from_item(item: str, number: int) -> _Entry | None:
    """Read an `item { id: 1 name: "cat" }` of TensorFlow's label maps; None if it has no name."""
    fields = {key: double or single or digits for key, double, single, digits in _ITEM_FIELD.findall(item)}
    name = fields.get("display_name") or fields.get("name")
    if name is None:
        return None
    return _Entry(_clean(name), f"item {number + 1}", int(fields["id"]) if fields.get("id", "").isdecimal() else None)


def _from_yaml(path: Path, found: re.Match[str]) -> list[_Entry]:
    """Read the `names:` or `labels:` of a YAML file: a list or a mapping, in block or flow style."""
    if found[2] and (document := _document(path, found[2])) is not None:
        return _from_document(path, document)
    lines = [line.strip() for line in (found[1] or found[2][1:-1].replace(",", "\n")).splitlines() if line.strip()]
    entries = []
    for number, line in enumerate(lines, 1):
        line = re.sub(r"\s+#.*$", "", line.removeprefix("- "))
        indexed = re.match(r"^(\d+):\s*(.+)$", line)
        text, index = (indexed[2], int(indexed[1])) if indexed else (line, None)
        entries.append(_Entry(_clean(text), f"name {number}", index))
    return entries


# --- tables and lines -----------------------------------------------------------------------------------------------


def _from_table(lines: list[tuple[int, str]]) -> list[_Entry] | None:
    """Read separated values with a header that names the column of labels; None if it is not such a table."""
    if len(lines) < 2:
        return None
    heading = lines[0][1]
    separator = next((sign for sign in ("\t", ";", ",") if sign in heading), ",")
    columns = [column.strip().strip('"').lower() for column in heading.split(separator)]
    name = next((columns.index(field) for field in _NAME_FIELDS if field in columns), None)
    index = next((columns.index(field) for field in _INDEX_FIELDS if field in columns), None)
    if name is None and index is not None and len(columns) == 2:
        name = 1 - index
    if name is None or (len(columns) == 1 and heading.strip('"').lower() not in ("label", "name", "class_name")):
        return None
    if index is None and columns[0] == "":  # pandas writes its row numbers without a heading
        index = 0
    entries = []
    for number, line in lines[1:]:
        row = next(csv.reader(io.StringIO(line), delimiter=separator, skipinitialspace=True), [])
        text = row[name] if name < len(row) else ""
        place = row[index].strip() if index is not None and index < len(row) else ""
        entries.append(_Entry(_clean(text), f"line {number}", int(place) if place.isdecimal() else None))
    return entries


def _from_lines(lines: list[tuple[int, str]]) -> list[_Entry]:
    """Read one label per line; each may be preceded by its number or its WordNet id, as in ImageNet's files.

    The numbers may also stand behind the labels. A single line is a list of labels.
    """
    if len(lines) == 1 and (separator := next((sign for sign in ";,\t" if sign in lines[0][1].strip(";,")), None)):
        number, line = lines[0]
        return [_Entry(_clean(text), f"line {number}") for text in line.strip(";,").split(separator)]
    if all(_BULLET.match(line) for _, line in lines):
        lines = [(number, _BULLET.sub("", line)) for number, line in lines]
    lines = [(number, _SYNSET_LINE.sub("", line)) for number, line in lines]
    indexed = [_INDEXED.match(line) for _, line in lines]
    numbers = [int(found[1]) for found in indexed if found]
    if lines and len(numbers) == len(lines) and _looks_numbered(numbers):
        return [
            _Entry(_clean(found[2]), f"line {number}", int(found[1]))
            for (number, _), found in zip(lines, indexed, strict=True)
            if found
        ]
    behind = [_INDEX_LAST.match(line) for _, line in lines]
    numbers = sorted(int(found[2]) for found in behind if found)
    named = {found[1] for found in behind if found}  # but "grade: 1", "grade: 2" are labels
    if len(named) > 1 and numbers in (list(range(len(lines))), list(range(1, len(lines) + 1))):
        return [
            _Entry(_clean(found[1]), f"line {number}", int(found[2]))
            for (number, _), found in zip(lines, behind, strict=True)
            if found
        ]
    return [_Entry(_clean(line), f"line {number}") for number, line in lines]


def _looks_numbered(numbers: list[int]) -> bool:
    """Whether these are numbers of outputs, and not part of labels such as "2 wheels", "4 wheels"."""
    return min(numbers) in (0, 1) and max(numbers) - min(numbers) < 2 * len(numbers)


def _clean(text: str) -> str:
    """Remove quotes, a WordNet id, and all but the first of several synonyms."""
    text = text.strip().rstrip(",;").strip().strip("\"'").strip()
    text = _SYNSET_LINE.sub("", text)
    first, comma, _ = text.partition(", ")
    return (first if comma and first else text).strip().strip("\"'").strip()


# --- common to all formats --------------------------------------------------------------------------------------------


def _ordered(path: Path, entries: list[_Entry]) -> list[_Entry]:
    """Sort the entries by their numbers, which must count from 0 or 1 without a gap. Raises ModelRejected."""
    if not entries or any(entry.index is None for entry in entries):
        return entries
    entries = sorted(entries, key=lambda entry: entry.index or 0)
    first = entries[0].index or 0
    for wanted, entry in enumerate(entries, first):
        if entry.index != wanted or first > 1:
            expected = 0 if first > 1 else wanted
            raise ModelRejected(
                f'{path}, {entry.place}: "{_short(entry.text)}" has the number {entry.index}, but {expected} is next.',
                "Number the labels from 0, each once.",
            )
    return entries


def _check(path: Path, entry: _Entry) -> None:
    if not entry.text:
        raise ModelRejected(f"{path}, {entry.place}, contains no label.", _USUAL)
    if len(entry.text) > MAX_NAME:
        raise ModelRejected(
            f"{path}, {entry.place}: the label has {len(entry.text)} characters; {MAX_NAME} is the maximum.",
            "Shorten it.",
        )
    if not entry.text.isprintable():
        raise ModelRejected(
            f"{path}, {entry.place}: the label contains unprintable characters.", "Write it without them."
        )


def _distinct(names: list[str]) -> list[str]:
    """Make names unique: ImageNet has two labels "crane", of which the second becomes "crane 2"."""
    taken, seen, distinct = set(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        number = seen[name]
        fresh = name
        while number > 1 and fresh in taken:
            fresh = f"{name[: MAX_NAME - 6]} {number}"
            number += 1
        taken.add(fresh)
        distinct.append(fresh)
    return distinct


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
