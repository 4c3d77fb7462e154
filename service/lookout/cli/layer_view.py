"""The layer table in a terminal, narrow enough for 80 columns."""

from __future__ import annotations

import typer

from lookout.inspection.layers import Layer, LayerTable, Sides, Window
from lookout.terminal import console, say, table

# Layer names and exact figures need this many columns; narrower terminals get rounded figures.
_ROOMY = 112


def show(made: LayerTable) -> None:
    """Print every layer, and the totals of those that the output depends on."""
    out = console()
    roomy = out.width >= _ROOMY
    number = count if roomy else rounded
    numbers = ("Parameters", "Mult-adds", "Field") if roomy else ("Params", "M-adds", "Field")
    rows = table(
        "Layer", "Operator", "Window", "Output", *numbers, right=numbers, folding=("Layer", "Operator", "Window")
    )
    rows.collapse_padding = True
    for layer in made.layers:
        rows.add_row(
            layer.name,
            layer.operator + ("" if layer.main else " *"),
            window_text(layer),
            sides(layer.output if roomy or not layer.output else layer.output[1:]),
            number(layer.parameters),
            number(layer.multiply_adds),
            _field(layer) if roomy else _field(layer).partition(" ")[0],
            style=None if layer.main else "dim",
        )
    out.print(rows)
    say("")
    typer.echo(f"Total: {made.parameters:,} parameters and {made.multiply_adds:,} multiply-adds.")
    if made.incomplete:
        say(f"The totals are incomplete: {made.incomplete}")
    say(f"{made.file}: input {made.input_name} {sides(made.input_shape)}, output {made.output_name}.")
    step = ", /step to its neighbour's" if roomy else ""
    say(f"Window: kernel /stride +padding. Field: input pixels that one unit sees (its receptive field){step}.")
    if not roomy:
        say("A terminal of 112 columns shows exact figures; --json always does.")
    if not all(layer.main for layer in made.layers):
        say(f"* not needed for {made.output_name}, and not in the totals.")


def window_text(layer: Layer) -> str:
    """Return kernel, stride and padding, such as "7×7 /2 +3"; if sides differ, all of them are written."""
    window = layer.window
    if window is None:
        return ""
    parts = [sides(window.kernel)]
    if set(window.stride) != {1}:
        parts.append(f"/{_short(window.stride)}")
    if any(window.padding):
        parts.append(f"+{_padding(window)}")
    if set(window.dilation) != {1}:
        parts.append(f"dilation {_short(window.dilation)}")
    if layer.groups != 1:
        parts.append(f"{layer.groups} groups")
    if window.ceil_mode:
        parts.append("ceil")
    return " ".join(parts)


def _padding(window: Window) -> str:
    axes = len(window.kernel)
    before, after = window.padding[:axes], window.padding[axes:]
    return _short(before) if before == after else "(" + ",".join(str(side) for side in window.padding) + ")"


def _short(values: Sides) -> str:
    return str(values[0]) if len(set(values)) == 1 else "(" + ",".join(str(value) for value in values) + ")"


def sides(shape: Sides | None) -> str:
    """Return a shape as 1×64×48×48."""
    return "×".join(str(side) for side in shape) if shape is not None else "?"


def count(number: int) -> str:
    """Return the number with separators; zero is left blank, since many zeros would hide the rest."""
    return f"{number:,}" if number else ""


def rounded(number: int) -> str:
    """Return three significant digits, such as 21.7M. Zero is left blank."""
    if number < 1000:
        return count(number)
    for unit, size in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        if number < 999.5 * size or unit == "G":
            return f"{number / size:.3g}{unit}"
    return ""


def _field(layer: Layer) -> str:
    if layer.field is None:
        return ""
    return f"{_square(layer.field.size)} /{_square(layer.field.jump)}"


def _square(values: Sides) -> str:
    return str(values[0]) if len(set(values)) == 1 else sides(values)
