"""The dashboard's languages, found by their files, so that a new one is tested like the others at once."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parents[2] / "static"
LANGUAGES = sorted(path.name.split(".")[1] for path in STATIC.glob("texts.*.js"))
# English shows the service's errors and help in the service's own words; all other languages translate them.
TRANSLATED = [language for language in LANGUAGES if language != "en"]
