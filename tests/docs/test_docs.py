"""Pages and README tell the truth: generated pages are up to date; links, commands and settings named exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from lookout.cli import app
from lookout.settings.keys import all_keys
from lookout.settings.schema import Settings

from tests.docs.pages import DOCS, PAGES
from tests.layout import ROOMS

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
    rooms = "|".join(ROOMS)
    form = rf"`((?:service|static|tests|systemd|models|docs|{rooms})/[\w./-]*)`"
    for path in re.findall(form, paper.read_text("utf-8")):
        found = any((folder / path).exists() for folder in (ROOT, ROOT / "service" / "lookout"))
        assert paper.name in _OLD or found, f"{paper.name} speaks of {path}"


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
_SETTING_FLAGS = {f"--{name}" for name in all_keys()}


@every_paper
def test_commands_named_exist_and_take_the_options_shown(paper: Path) -> None:
    if paper.name in _OLD:
        return
    for line in _COMMAND.findall(paper.read_text("utf-8")):
        words = shlex.split(line.partition("#")[0].replace("…", ""))
        found, rest = _command(words)
        assert rest != words, f"{paper.name}: lookout {line}"
        known = {option for one in found.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
        for word in rest:
            option = word.partition("=")[0].rstrip(",.;:)")
            is_known = option in known or (found.name in ("serve", "demo") and option in _SETTING_FLAGS)
            assert not option.startswith("--") or is_known, f"{paper.name}: lookout {line}: {option}"


def _command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words begin with, and the words after it."""
    command: Any = typer.main.get_command(app)
    while words and (name := words[0].rstrip(",.;:)")) in getattr(command, "commands", {}):
        command, words = command.commands[name], words[1:]
    return command, words


def _blocks(paper: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", paper.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@every_paper
def test_settings_files_shown_are_valid(paper: Path) -> None:
    for block in _blocks(paper, "toml"):
        Settings.model_validate(tomllib.loads(block))


@every_paper
def test_variables_named_set_a_setting(paper: Path) -> None:
    known = {key.environment for key in all_keys().values()}
    for name in re.findall(r"LOOKOUT_[A-Z0-9]+__[A-Z0-9_]+", paper.read_text("utf-8")):
        assert name in known or name.rpartition("__")[0] in known, f"{paper.name} speaks of {name}"


_ADDRESS = re.compile(r"(?:`|`[A-Z]+ |8642)(/(?:api|v2|hf|metrics|healthz|readyz|lab)\b[\w/{}.-]*)")


@every_paper
def test_addresses_named_are_served(paper: Path) -> None:
    served = {_plain(path) for path in _served()}
    for path in _ADDRESS.findall(paper.read_text("utf-8")):
        plain = _plain(path).rstrip("./-")
        assert any(f"{one}/".startswith(f"{plain}/") for one in served), f"{paper.name} speaks of {path}"


def _plain(path: str) -> str:
    """With {} for each part that is filled in."""
    return re.sub(r"\{[^}]*\}|(?<=/)[A-Z]+(?=/|$)", "{}", path)


def _served() -> Iterator[str]:
    """Every path in the source of the API, behind the prefix of its router."""
    for source in (ROOT / "service" / "lookout" / "api").rglob("*.py"):
        text = source.read_text("utf-8")
        prefix = re.search(r"prefix=\"([^\"]+)\"", text)
        for path in re.findall(r"\"(/[\w/{}.:-]*)\"", text):
            yield path
            yield (prefix[1] if prefix else "") + path


@every_paper
def test_extras_named_exist(paper: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for names in re.findall(r"lookout-camera\[([\w,-]+)\]", paper.read_text("utf-8")):
        assert set(names.split(",")) <= set(extras), f"{paper.name} speaks of {names}"


@every_paper
def test_programs_of_this_repository_named_exist(paper: Path) -> None:
    for module in re.findall(r"python -m ((?:tests|models)(?:\.\w+)+)", paper.read_text("utf-8")):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{paper.name}: python -m {module}"
    for script in re.findall(r"\bsh ((?:tests|systemd)/[\w.-]+|demo\.sh)", paper.read_text("utf-8")):
        assert (ROOT / script).exists(), f"{paper.name}: sh {script}"
