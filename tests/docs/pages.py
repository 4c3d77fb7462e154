"""Pages that follow from the code: the settings, and what log lines mean."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from lookout.settings.keys import Key, all_keys
from lookout.settings.schema import Settings
from lookout.system.known_lines import KNOWN_LINES

DOCS = Path(__file__).resolve().parents[2] / "docs"
_MADE = "<!-- made by `python -m tests.docs`: change the code, not this page -->"


_SETTINGS = """# Settings

{made}

Each is a line of the settings file, a flag of `serve` and `demo`, and an environment variable. For `answer.hold_s`:

```toml
[answer]
hold_s = 3
```

`lookout serve --answer.hold_s 3` · `LOOKOUT_ANSWER__HOLD_S=3`. A flag goes before the environment, that before what was
changed on the dashboard (`overrides.toml` in the state folder), that before the file, that before the default. `lookout
config` says which value came from where, `lookout config --template` writes a file with all of them. The file is the
one named by `--config`, else `lookout.toml` in `~/.config/lookout/`, else `/etc/lookout/lookout.toml`.
"""
_TROUBLESHOOTING = """# Troubleshooting

{made}

`lookout doctor` checks the machine and gives one remedy each (for the service of a Pi: `sudo -u lookout lookout
doctor`). It also explains a log: `journalctl -u lookout | lookout doctor --log -`. These are the lines it knows;
most come from libraries.

| in the log | what it means | what helps |
| --- | --- | --- |
"""


def settings_page() -> str:
    """Every setting: its type and range, default and meaning, by section."""
    page = _SETTINGS.format(made=_MADE)
    for section, field in Settings.model_fields.items():
        meaning = (field.annotation.__doc__ or "").split("\n")[0] if field.annotation else ""
        rows = [_row(key) for key in all_keys().values() if key.section == section]
        head = ("| setting | value | default | what it does |", "| --- | --- | --- | --- |")
        page += "\n".join(["", f"## {section}", "", meaning, "", *head, *rows, ""])
    return page


def _row(key: Key) -> str:
    default = "–" if key.value in (None, {}, []) else f"`{json.dumps(key.value, ensure_ascii=False)}`"
    return f"| `{key.name}` | {_cell(key.allowed)} | {default} | {_cell(key.help)} |"


def troubleshooting_page() -> str:
    """What lines of a log mean and what helps, as `lookout doctor` knows them."""
    rows = []
    for known in KNOWN_LINES:
        found = " · ".join(f"`{part}`" for part in _plain(known.pattern.pattern).split("|")[:3])
        helps = "Nothing: harmless." if known.harmless else known.remedy
        rows.append(f"| {_cell(found)} | {_cell(known.detail)} | {_cell(helps)} |\n")
    return _TROUBLESHOOTING.format(made=_MADE) + "".join(rows)


# Signs of a regular expression, and what people would write: of alternatives in brackets the first.
_SIGNS = (
    (r"\\\(", "⟨"),
    (r"\\\)", "⟩"),
    (r"\((?:\?:)?([^()|]*)(?:\|[^()]*)?\)\??", r"\1"),
    ("⟨", "("),
    ("⟩", ")"),
    (r"\.\*", " … "),
    (r"\\d\+", "N"),
    (r"\\w\+", "…"),
    (r"\\b", ""),
    (r"(['\"-])\?", r"\1"),
    (r"\\(.)", r"\1"),
    (r"[\^$]", ""),
)


def _plain(pattern: str) -> str:
    for sign, plain in _SIGNS:
        pattern = re.sub(sign, plain, pattern)
    return pattern.strip()


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


PAGES: dict[str, Callable[[], str]] = {"settings.md": settings_page, "troubleshooting.md": troubleshooting_page}
