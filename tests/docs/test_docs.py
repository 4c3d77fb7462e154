"""Pages and README tell the truth: generated pages are up to date; links, commands and settings named exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from lookout.cli import app
from lookout.settings.keys import all_keys

from tests.docs.pages import DOCS, PAGES

ROOT = DOCS.parent
PAPERS = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), ROOT / "models" / "README.md"])
_OLD = {"CHANGELOG.md"}  # speaks of what was
every_paper = pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: str(paper.relative_to(ROOT)))


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == PAGES[name](), "run python -m tests.docs"


@every_paper
def test_links_lead_to_files_and_headings(paper: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", paper.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        found = (paper.parent / path).resolve() if path else paper
        assert found.exists(), f"{paper.name} links to {target}"
        if heading:
            assert heading in set(_anchors(found.read_text("utf-8"))), f"{paper.name} links to {target}"


def _anchors(text: str) -> Iterator[str]:
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@every_paper
def test_paths_in_backticks_exist(paper: Path) -> None:
    for path in re.findall(r"`((?:service|static|tests|systemd|models|docs)/[\w./-]*)`", paper.read_text("utf-8")):
        assert paper.name in _OLD or (ROOT / path).exists(), f"{paper.name} speaks of {path}"


# Parts of the state, and a module, that begin with the name of a section of the settings.
_NOT_SETTINGS = {
    *("answer.current", "answer.label", "answer.probability", "answer.reason", "answer.since", "answer.title"),
    *("camera.frame_age_s", "camera.interface", "camera.notes", "camera.retry_in_s", "camera.status", "model.titles"),
    *("events.csv", "events.zip"),
}


@every_paper
def test_settings_named_exist(paper: Path) -> None:
    sections = "|".join({name.partition(".")[0] for name in all_keys()})
    for name in re.findall(rf"`((?:{sections})\.[a-z_]+)\b(?!\()", paper.read_text("utf-8")):
        assert paper.name in _OLD or name in all_keys() or name in _NOT_SETTINGS, f"{paper.name} speaks of {name}"


_COMMAND = re.compile(r"(?:^|`)(?:\.venv/bin/|sudo -u lookout |sudo )?lookout ([a-z][^`\n]*)", re.MULTILINE)


@every_paper
def test_commands_named_exist(paper: Path) -> None:
    verbs = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for line in _COMMAND.findall(paper.read_text("utf-8")):
        words = shlex.split(line.partition("#")[0].replace("…", ""))
        verb = words[0].rstrip(",.;:)") if words else "demo"
        assert paper.name in _OLD or verb in verbs, f"{paper.name}: lookout {line}"
