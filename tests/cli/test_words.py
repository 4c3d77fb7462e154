"""Help, usage, versions: what a newcomer meets first."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from lookout import terminal
from lookout.settings.keys import all_keys

from tests.cli.conftest import Run

VERBS = ("serve", "demo", "classify", "bench", "cameras", "doctor", "models", "config", "token")


def test_without_a_verb_the_help_is_shown(command: Run) -> None:
    done = command()
    assert all(f" {verb} " in done.stdout + done.stderr for verb in VERBS)
    assert "Start with: lookout demo" in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [(), *((verb,) for verb in VERBS), ("models", "add"), ("token", "revoke")])
def test_every_verb_explains_itself_in_80_columns(command: Run, arguments: tuple[str, ...]) -> None:
    done = command(*arguments, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "[dim]" not in done.stdout
    assert "<bool>" not in done.stdout  # a flag takes no value


@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_every_setting_is_a_flag(command: Run, verb: str) -> None:
    shown = command(verb, "--help", COLUMNS="200").stdout
    for name in all_keys():
        assert f"--{name}" in shown
    for short in ("--source", "--host", "--port", "--model"):
        assert short in shown


def test_the_version_is_reported(command: Run) -> None:
    from lookout import __version__

    assert command("--version").stdout == f"lookout {__version__}\n"


@pytest.mark.parametrize("arguments", [("watch",), ("serve", "--bogus", "1"), ("classify",), ("models", "inspect")])
def test_wrong_usage_is_exit_status_2_and_says_so_on_stderr(command: Run, arguments: tuple[str, ...]) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage: lookout" in done.stderr


def test_a_reader_that_stops_reading_is_not_an_error() -> None:
    import subprocess

    command = f"{sys.executable} -m lookout config --template | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("# Lookout's settings")
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("words", ["models list --json", "models inspect cat-dog-resnet18"])
def test_a_reader_that_stops_after_the_first_of_many_lines_is_not_an_error(words: str) -> None:
    import subprocess

    command = f"{sys.executable} -m lookout {words} | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert "rror" not in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("words", [("--help",), ("models",), ("classify", "--help")])
def test_help_that_nobody_reads_to_its_end_is_not_an_error(words: tuple[str, ...]) -> None:
    """`lookout --help | head -1`; rich would end the process with exit status 1."""
    import os
    import subprocess

    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "lookout", *words], stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("typed", "offered"), [("lookout cla", "classify"), ("lookout serve --answer.ho", "--answer.hold_s")]
)
def test_a_shell_completes_commands_and_settings(command: Run, typed: str, offered: str) -> None:
    count = str(len(typed.split()) - 1)
    done = command(COMP_WORDS=typed, COMP_CWORD=count, _LOOKOUT_COMPLETE="complete_bash")
    assert offered in done.stdout.split()


def test_output_that_cannot_be_written_is_one_sentence() -> None:
    import subprocess

    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "lookout", "config", "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert "The output cannot be written: No space left on device." in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


def test_a_table_that_nobody_reads_to_its_end_is_not_an_error_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """rich, which prints tables, would end the process with exit status 1."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            del text
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(BrokenPipeError):
        terminal.console().print("a table")


def test_help_imports_nothing_heavy() -> None:
    import subprocess

    code = (
        "import sys, lookout.cli\n"
        "print([m for m in ('cv2', 'numpy', 'onnxruntime', 'onnx', 'fastapi', 'uvicorn', 'segno') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_what_serves_never_imports_onnx() -> None:
    import subprocess

    code = "import sys, lookout.cli, lookout.server.serve; print('onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
