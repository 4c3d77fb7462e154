"""A run folder: configuration, metrics as JSON Lines, and one checkpoint that is replaced atomically."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

    @contextmanager
    def claimed(self, **identity: object) -> Iterator[None]:
        """Bind the folder to a network, its labels and photographs, and keep other processes out of it meanwhile.

        Raises DataError if it holds a run with others, or if another process trains in it.
        """
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(
                    f"Another command is training in {self.folder}.",
                    "Wait for it to end, or give --run another folder.",
                ) from error
            except OSError:  # a share without locks
                pass
            self._bind(json.loads(json.dumps(identity)))
            yield

    def _bind(self, identity: Mapping[str, Any]) -> None:
        path = self.folder / "belongs-to.json"
        if not path.exists():
            path.write_text(json.dumps(identity, indent=2) + "\n")
            return
        held = json.loads(path.read_text())
        if odd := [name for name in identity if held.get(name) != identity[name]]:
            name = odd[0]
            raise DataError(
                f"{self.folder} holds a run with {_said(name, held)}; this would be one with {_said(name, identity)}.",
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
