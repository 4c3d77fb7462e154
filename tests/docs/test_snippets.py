"""Every example of the pages is run, parsed or checked against what it is for; none rots unseen."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from lookout.cli import app
from lookout.integrations.notify.targets import signature
from lookout.settings.schema import Settings

from tests.docs.pages import DOCS
from tests.docs.test_docs import PAPERS
from tests.requires import requires

ROOT = DOCS.parent
# These are run by real programs in a test of their own.
ELSEWHERE = dict.fromkeys(("nginx", "caddy", "haproxy", "apache"), "tests/packaging/proxies.py")


@dataclass(frozen=True)
class Snippet:
    paper: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.paper.name}:{self.line}"


def _snippets() -> Iterator[Snippet]:
    for paper in PAPERS:
        text = paper.read_text("utf-8")
        for found in re.finditer(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
            yield Snippet(paper, text[: found.start()].count("\n") + 1, found[2], found[3])


SNIPPETS = list(_snippets())


def of(language: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("snippet", [one for one in SNIPPETS if one.language == language], ids=str)


def test_every_language_has_its_check() -> None:
    assert {one.language for one in SNIPPETS} <= {"sh", "python", "js", "json", "yaml", "toml", *ELSEWHERE}
    for language, test in ELSEWHERE.items():
        assert "```{self.name}" in (ROOT / test).read_text("utf-8"), f"{test} no longer reads blocks of {language}"


# --- shell ------------------------------------------------------------------------------------------------------------


@of("sh")
def test_shell_lines_are_shell_and_their_options_exist(snippet: Snippet) -> None:
    script = re.sub(r"<[a-z ]+>", "placeholder", snippet.text)
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for words in _lookout_calls(script):
        _check_call(words)


_CALL = re.compile(r"\s*(?:\w+=\S+ +|sudo +(?:-u lookout +)?)*(?:\.venv/bin/)?lookout( .*|)")


def _lookout_calls(script: str) -> Iterator[list[str]]:
    """The words behind `lookout` of each line that calls it."""
    for line in script.replace("\\\n", " ").splitlines():
        if call := _CALL.fullmatch(line):
            yield list(_up_to_pipe(shlex.split(call[1], comments=True)))


def _up_to_pipe(words: list[str]) -> Iterator[str]:
    for word in words:
        if word in ("|", ">", "<", "&&", ";"):
            return
        yield word


def _check_call(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    # Of a group that does something by itself, such as `lookout token`, only options may follow.
    assert not hasattr(command, "commands") or not words or words[0].startswith("-"), f"there is no {words[0]}"
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in known | {"--help"}, f"{command.name} does not know {word}"


def test_an_option_that_is_gone_is_noticed() -> None:
    (call,) = _lookout_calls("sudo -u lookout lookout token --bogus 1 | head")
    assert call == ["token", "--bogus", "1"]
    with pytest.raises(AssertionError, match="does not know --bogus"):
        _check_call(call)


# --- the rest ---------------------------------------------------------------------------------------------------------


@of("python")
def test_python_compiles(snippet: Snippet) -> None:
    compile(snippet.text, str(snippet), "exec")


def test_the_check_of_a_signature_works() -> None:
    (snippet,) = (one for one in SNIPPETS if "def is_from_lookout" in one.text)
    names: dict[str, Any] = {}
    exec(snippet.text, names)
    check: Callable[[str, bytes, bytes], bool] = names["is_from_lookout"]
    header = signature(b"secret", int(time.time()), b"{}")
    assert check(header, b"{}", b"secret")
    assert not check(header, b"{ }", b"secret")
    assert not check(signature(b"secret", int(time.time()) - 301, b"{}"), b"{}", b"secret")


@of("toml")
def test_settings_are_taken(snippet: Snippet) -> None:
    Settings.model_validate(tomllib.loads(snippet.text))


@of("json")
def test_json_is_json(snippet: Snippet) -> None:
    json.loads(snippet.text)


@of("yaml")
def test_yaml_is_a_mapping(snippet: Snippet) -> None:
    assert isinstance(yaml.safe_load(snippet.text), dict)


@requires("promtool")
def test_prometheus_takes_its_lines(tmp_path: Path) -> None:
    snippets = [one for one in SNIPPETS if "scrape_configs" in one.text]
    assert len(snippets) == 2
    shutil.copy(DOCS / "prometheus" / "rules.yml", tmp_path)
    (tmp_path / "lookout.token").write_text("x\n")
    (tmp_path / "lookout.json").write_text('[{"targets": ["192.0.2.1:8642"], "labels": {"device": "Kitchen"}}]')
    for snippet in snippets:
        (tmp_path / "prometheus.yml").write_text(snippet.text)
        command = ["promtool", "check", "config", "prometheus.yml"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@requires("node")
@of("js")
def test_javascript_parses(snippet: Snippet, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright._impl._driver", reason="needs playwright (pip install playwright)")
    node = playwright.compute_driver_executable()[0]
    script = tmp_path / "snippet.mjs"
    script.write_text(snippet.text)
    done = subprocess.run([node, "--check", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
