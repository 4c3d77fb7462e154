"""``python -m models.training``: what is missing is said in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from models.training.__main__ import main

ROOT = Path(__file__).parents[2]


def _training(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "models.training", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_without_its_packages_it_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = _training("--help")
    assert done.returncode == 1
    assert done.stderr == (
        "Training needs the Python package torch: pip install -e '.[train]'. See models/README.md.\n"
    )


def test_pictures_weights_and_models_that_are_not_there_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")
    for words, said in (
        (("data", "--data", tmp_path), "has no pictures for train"),
        (("export", tmp_path / "none.safetensors", "--data", tmp_path, "--out", tmp_path / "out"), "none.safetensors"),
        (("evaluate", tmp_path, "--data", tmp_path), "card.json"),
    ):
        monkeypatch.setattr(sys, "argv", ["training", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        sentence = str(left.value.code)
        assert said in sentence
        assert len(sentence.splitlines()) == 1
        assert capsys.readouterr().err == ""
