"""Runs the measurements one after the other and prints them beside their goals."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lookout import __version__, timestamps
from lookout.bench.measure import Row
from lookout.errors import LookoutError, SettingInvalid
from lookout.pipeline.card import Card
from lookout.system.fingerprint import machine
from lookout.terminal import console, say, table

# Seconds per measurement: long enough for stable medians, short enough for people to wait.
SECONDS, QUICK_SECONDS = 5.0, 0.5
NAMES = ("network", "focus", "loop", "live")


class BenchUnwritable(LookoutError):
    """The figures cannot be saved."""

    code = "bench_unwritable"
    title = "The figures cannot be saved"


def run_and_print(card: Card, *, quick: bool, only: str | None, as_json: bool, save: Path | None) -> None:
    """Run all measurements; a missed goal is not an error. Raises ModelRejected, SettingInvalid, BenchUnwritable."""
    seconds = QUICK_SECONDS if quick else SECONDS
    say(f"Measuring on {machine()}. Leave the machine alone meanwhile.")
    rows: list[Row] = []
    for name in _wanted(only):
        say(f"{name} …")
        rows += _measurements(card, seconds)[name]()
    report = _report(rows, card.name)
    if as_json:
        print(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        _print(rows, report)
    if save is not None:
        _save(save, report)


def _wanted(only: str | None) -> list[str]:
    wanted = [name.strip() for name in only.split(",")] if only else list(NAMES)
    for name in wanted:
        if name not in NAMES:
            raise SettingInvalid(f'There is no measurement "{name}".', f"There are {', '.join(NAMES)}.")
    return wanted


def _measurements(card: Card, seconds: float) -> dict[str, Callable[[], list[Row]]]:
    def network() -> list[Row]:
        from lookout.bench.network import measure_network

        return measure_network(card, seconds)

    def focus() -> list[Row]:
        from lookout.bench.focus import measure_focus

        return measure_focus(card, seconds)

    def loop() -> list[Row]:
        from lookout.bench.loop import measure_loop

        return measure_loop(card, card.precisions, seconds)

    def live() -> list[Row]:
        from lookout.bench.live import measure_live

        return measure_live(card, card.precisions, seconds)

    return {"network": network, "focus": focus, "loop": loop, "live": live}


def _report(rows: list[Row], model: str) -> dict[str, Any]:
    import onnxruntime

    return {
        "lookout": __version__,
        "machine": str(machine()),
        "processor": machine().processor,
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "model": model,
        "when": timestamps.now_to_the_second(),
        "rows": [
            {"name": row.name, "goal": row.goal, "measured": row.measured, "met": row.met, **row.figures}
            for row in rows
        ],
    }


def _print(rows: list[Row], report: dict[str, Any]) -> None:
    print(f"{report['machine']} · Python {report['python']} · onnxruntime {report['onnxruntime']} · {report['model']}")
    shown = table("What", "Goal", "Measured", "", folding=("What", "Goal", "Measured"))
    for row in rows:
        word = {True: "met", False: "missed", None: ""}[row.met]
        shown.add_row(row.name, row.goal, row.measured, word, style="yellow" if row.met is False else None)
    console().print(shown)
    missed = sum(row.met is False for row in rows)
    judged = sum(row.met is not None for row in rows)
    say(f"{judged - missed} of {judged} goals met.")


def _save(path: Path, report: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise BenchUnwritable(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from error
