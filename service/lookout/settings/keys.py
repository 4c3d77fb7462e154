"""The settings as a flat list of dotted keys, with the type, range, default and help of each."""

from __future__ import annotations

import contextlib
import difflib
import functools
import json
import tomllib
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from lookout.settings.schema import Region, Settings

Form = Literal["boolean", "integer", "number", "text", "choice", "list", "table", "region"]

_FORMS_OF: dict[Any, Form] = {bool: "boolean", int: "integer", float: "number", dict: "table", list: "list"}
_TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. name: dotted, such as "camera.fps". value: its default in plain TOML types, None for none."""

    name: str
    field: FieldInfo
    value: Any

    @property
    def section(self) -> str:
        return self.name.partition(".")[0]

    @property
    def help(self) -> str:
        return self.field.description or ""

    @property
    def type(self) -> Any:
        """The type without "or none"."""
        annotation = self.field.annotation
        if get_origin(annotation) in (Union, types.UnionType):
            return next(part for part in get_args(annotation) if part is not type(None))
        return annotation

    @property
    def choices(self) -> tuple[Any, ...]:
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    @property
    def is_table(self) -> bool:
        """Whether the value is a table: thresholds by label, controls by name, a region's sides."""
        return get_origin(self.type) is dict or self.type is Region

    @property
    def form(self) -> Form:
        """The kind of value, for programs that show a form."""
        if self.choices:
            return "choice"
        if self.type is Region:
            return "region"
        return _FORMS_OF.get(get_origin(self.type) or self.type, "text")

    @property
    def minimum(self) -> float | None:
        """The lower limit, which may itself be excluded; None: none."""
        return _limit(self.field, "ge", "gt")

    @property
    def maximum(self) -> float | None:
        """The upper limit, which may itself be excluded; None: none."""
        return _limit(self.field, "le", "lt")

    @property
    def allowed(self) -> str:
        """The allowed values in words: "a number above 0 and at most 240"."""
        if self.choices:
            return "one of " + ", ".join(_shown(choice) for choice in self.choices)
        if self.type is Region:
            return "x, y, width and height between 0 and 1, inside the picture"
        if get_origin(self.type) is dict:
            return "a table such as { cat = 0.9 }" if self.section == "answer" else "a table of names and values"
        if get_origin(self.type) is list:
            return "a list of texts" if get_args(self.type) == (str,) else "a list of tables"
        kind = _TYPES.get(self.type, "text")
        limits = _limits(self.field)
        return kind + (f" {limits}" if limits else "")

    @property
    def environment(self) -> str:
        return "LOOKOUT_" + self.name.upper().replace(".", "__")

    def parse(self, text: str) -> Any:
        """Return the value that a flag's or variable's text stands for, or the text if validation is to refuse it.

        Lists may be written a,b; tables cat=0.9,dog=0.8 or as TOML or JSON; a region x,y,width,height.
        """
        kind = type(self.choices[0]) if self.choices else self.type
        if kind in (int, float, bool):
            return _scalar(kind, text)
        if get_origin(kind) is list:
            return _json(text, [part.strip() for part in text.split(",") if part.strip()])
        if self.is_table:
            return _table(text, ("x", "y", "width", "height") if kind is Region else ())
        return text


def _scalar(kind: type, text: str) -> Any:
    stripped = text.strip()
    if kind is bool:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
            stripped.lower(), text
        )
    try:
        return kind(stripped)
    except ValueError:
        return text


def _json(text: str, otherwise: Any) -> Any:
    try:
        return json.loads(text) if text.lstrip()[:1] in ("[", "{", '"') else otherwise
    except ValueError:
        return otherwise


def _table(text: str, names: tuple[str, ...]) -> Any:
    found = _json(text, None)
    if found is not None:
        return found
    with contextlib.suppress(tomllib.TOMLDecodeError):
        written = tomllib.loads(f"value = {text}")["value"]
        if isinstance(written, dict):
            return written
    parts = [part.strip() for part in text.strip().strip("{}").split(",") if part.strip()]
    if names and all("=" not in part for part in parts) and len(parts) == len(names):
        parts = [f"{name}={part}" for name, part in zip(names, parts, strict=True)]
    table: dict[str, Any] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            return text
        try:
            table[name.strip().strip('"')] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            table[name.strip().strip('"')] = value.strip()
    return table


# The patterns of schema.py in words.
_FORMS = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "of letters, digits, dots, dashes, underscores, starting with a letter or digit",
    r"^[^\x00-\x1f\x7f-\x9f]{0,60}$": "of at most 60 characters on one line",
    r"^[a-z0-9]+$": "of lower-case letters and digits",
    r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$": "that is empty or two times of day such as 22:00-07:00",
    r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$": "such as lookout or home/garden, without a / at either end",
    r"^(/[A-Za-z0-9._~-]+)*$": "that is empty or a path such as /lookout, without a / at the end",
}


def _limit(field: FieldInfo, *names: str) -> float | None:
    found = [getattr(limit, name, None) for limit in field.metadata for name in names]
    return next((value for value in found if value is not None), None)


def _limits(field: FieldInfo) -> str:
    limits: dict[str, Any] = {}
    for limit in field.metadata:
        for name in ("ge", "gt", "le", "lt", "min_length", "pattern"):
            value = getattr(limit, name, None)
            if value is not None:
                limits[name] = _FORMS[value] if name == "pattern" else value
    if "ge" in limits and "le" in limits:
        return f"between {_number(limits['ge'])} and {_number(limits['le'])}"
    words = {
        "ge": "of at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}",
        "min_length": "that is not empty", "pattern": "{}",
    }  # fmt: skip
    return " and ".join(words[name].format(_number(value)) for name, value in limits.items())


def _number(number: Any) -> str:
    return str(number) if isinstance(number, str) else f"{number:,}" if isinstance(number, int) else f"{number:,g}"


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


@functools.cache
def all_keys() -> dict[str, Key]:
    """Return every setting by its dotted name, in the order of the file."""
    keys = {}
    for section, holder in Settings.model_fields.items():
        model = holder.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        for name, field in model.model_fields.items():
            keys[f"{section}.{name}"] = Key(f"{section}.{name}", field, _default(field))
    return keys


def _default(field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return None
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value) if isinstance(value, Path) else value


def key_meant(name: str) -> str | None:
    """Return the setting most likely meant by a misspelt name."""
    names = list(all_keys())
    plain = name.strip().lower().replace("-", "_").replace("__", ".")
    if plain in names:
        return plain
    last = plain.rpartition(".")[2]
    for candidate in names:  # the right name in the wrong section, or without a section
        section, _, leaf = candidate.partition(".")
        if leaf == last or plain == f"{section}_{leaf}":
            return candidate
    close = difflib.get_close_matches(plain, names, 1, 0.6)
    if close:
        return close[0]
    leaves = {candidate.partition(".")[2]: candidate for candidate in names}
    close = difflib.get_close_matches(last, leaves, 1, 0.6)
    return leaves[close[0]] if close else None
