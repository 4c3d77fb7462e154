"""The dashboard's languages, as their files name them: a new one is held to the same as the others at once."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parents[2] / "static"
LANGUAGES = sorted(path.name.split(".")[1] for path in STATIC.glob("texts.*.js"))
# All but the one that says the service's errors and help in the service's own words.
TRANSLATED = [language for language in LANGUAGES if language != "en"]
