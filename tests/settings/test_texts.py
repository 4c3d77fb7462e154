"""The settings' form on the dashboard has a name for each setting, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

from lookout.settings.keys import all_keys
from lookout.settings.sources import load

STATIC = Path(__file__).parents[2] / "static"


def test_every_setting_of_the_form_has_its_texts(tmp_path: Path) -> None:
    loaded = load({}, None, {"HOME": str(tmp_path)})
    asked_elsewhere = re.search(r"ELSEWHERE = \[([^\]]*)\]", (STATIC / "settings-page.js").read_text("utf-8"))
    assert asked_elsewhere is not None
    others = set(re.findall(r"\"([\w.]+)\"", asked_elsewhere[1]))
    shown = [key for key in all_keys() if loaded.changeable(key)[0] and key not in others]
    english, chinese = ((STATIC / f"texts.{name}.js").read_text("utf-8") for name in ("en", "zh-Hant"))
    missing = {
        key
        for key in shown
        if f'"set.{key}":' not in english or f'"set.{key}":' not in chinese or f'\n  "{key}":' not in chinese
    }
    assert not missing, "set.SECTION.NAME in texts.en.js and texts.zh-Hant.js, and the help at the end of the latter"
    assert len(shown) > 20
