"""The settings' form on the dashboard has a name for each setting, in every language."""

from __future__ import annotations

import re
from pathlib import Path

from lookout.settings.keys import all_keys
from lookout.settings.sources import load

from tests.support.languages import LANGUAGES, STATIC, TRANSLATED


def test_every_setting_of_the_form_has_its_texts(tmp_path: Path) -> None:
    loaded = load({}, None, {"HOME": str(tmp_path)})
    asked_elsewhere = re.search(r"ELSEWHERE = \[([^\]]*)\]", (STATIC / "settings-page.js").read_text("utf-8"))
    assert asked_elsewhere is not None
    others = set(re.findall(r"\"([\w.]+)\"", asked_elsewhere[1]))
    shown = [key for key in all_keys() if loaded.changeable(key)[0] and key not in others]
    files = {language: (STATIC / f"texts.{language}.js").read_text("utf-8") for language in LANGUAGES}
    assert [(key, language) for key in shown for language in LANGUAGES if f'"set.{key}":' not in files[language]] == []
    helped = [(key, language) for key in shown for language in TRANSLATED if f'\n  "{key}":' not in files[language]]
    assert helped == [], "the help of a setting stands at the end of a translation"
    assert len(shown) > 20
