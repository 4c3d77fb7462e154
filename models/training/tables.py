"""A card's figures as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table


def figures_tables(metrics: Any) -> Iterator[Table]:
    """Yield one table for the first set of pictures and one for each further set."""
    measured = {name: dict(value) for name, value in metrics.items() if isinstance(value, dict)}
    others = {name: value.pop("sets", {}) for name, value in measured.items()}
    yield figures_table(measured)
    for which in next(iter(others.values()), {}):
        rows = {name: dict(sets[which]) for name, sets in others.items()}
        count = max(value.pop("pictures") for value in rows.values())
        yield figures_table(rows, f"{which}: {count:,} pictures")


def figures_table(metrics: Any, title: str = "") -> Table:
    """The figures of each precision side by side, shares in per cent."""
    precisions = [name for name, value in metrics.items() if isinstance(value, dict)]
    table = Table(title, *precisions)
    rows = _flat(metrics[precisions[0]])
    for row in rows:
        cells = [_flat(metrics[name]).get(row, "") for name in precisions]
        plain = row in ("log_loss", "calibration_error")
        table.add_row(row.replace("_", " "), *(f"{c:.4f}" if plain else f"{c:.2%}" for c in cells if c != ""))
    return table


def _flat(values: dict[str, Any]) -> dict[str, float]:
    flat: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}: {inner}": number for inner, number in value.items()}
        else:
            flat[name] = value
    return flat
