"""A run folder: configuration, metrics as JSON Lines, and one checkpoint that is replaced atomically."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.training.data import DataError
from models.training.files import whole_file


def _said(name: str, identity: Mapping[str, Any]) -> str:
    value = identity.get(name)
    return f"the {name} {', '.join(value) if isinstance(value, list) else value}"


@dataclass(frozen=True)
class Run:
    """The files of one training run."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def log(self, **values: float | int | str) -> None:
        """Append one line to ``metrics.jsonl``; ``time`` is seconds since the epoch."""
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"time": round(time.time(), 1), **values}) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """All lines logged so far, without lines that a power cut left incomplete."""
        path = self.folder / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        good = []
        for line in lines:
            try:
                good.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return good

    def describe(self, config: Mapping[str, object]) -> None:
        """Write the run's configuration to ``config.json``."""
        (self.folder / "config.json").write_text(json.dumps(config, indent=2, default=str) + "\n")

    def claim(self, **identity: object) -> None:
        """Bind the folder to a network, its labels and photographs. Raises DataError if it holds a run with others."""
        path, own = self.folder / "belongs-to.json", json.loads(json.dumps(identity))
        if not path.exists():
            path.write_text(json.dumps(own, indent=2) + "\n")
            return
        held = json.loads(path.read_text())
        if odd := [name for name in own if held.get(name) != own[name]]:
            raise DataError(
                f"{self.folder} holds a run with {_said(odd[0], held)}; this would be one with {_said(odd[0], own)}.",
                "Give --run another folder, or delete that one to start over.",
            )

    def save(self, state: Mapping[str, object]) -> None:
        """Replace the checkpoint atomically, so that a complete one exists at any time."""
        with whole_file(self.checkpoint) as file:
            torch.save(dict(state), file)

    def restore(self) -> dict[str, Any] | None:
        """The last checkpoint, or None if there is none yet."""
        if not self.checkpoint.exists():
            return None
        state: dict[str, Any] = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        return state
