"""`lookout models`: which networks are installed, what they are made of, and how to add one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookout.cli.app import App
from lookout.cli.settings_flags import CONFIG_HELP
from lookout.printable import printable_json
from lookout.terminal import console, say, size, table

if TYPE_CHECKING:
    from lookout.registry.catalogue import Catalogue

app = App(help="List, inspect, check and add models.", no_args_is_help=True)

_Config = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help=CONFIG_HELP)]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_models(as_json: _Json = False, config: _Config = None) -> None:
    """List the installed models."""
    from lookout.errors import ModelError

    catalogue = _catalogue(config)
    rows = table("Name", "What", "Labels", "Precisions", folding=("What", "Labels", "Precisions"))
    for name in catalogue.names():
        try:
            card = catalogue.card(name)
        except ModelError as error:
            say(f"{name}: {error}")
            continue
        if as_json:
            typer.echo(card.model_dump_json(by_alias=True, exclude_none=True))
            continue
        labels = ", ".join(card.label_names[:4]) + (f" … ({len(card.labels)} in total)" if len(card.labels) > 4 else "")
        files = ", ".join(f"{precision} {size(file.bytes)}" for precision, file in card.files.items())
        rows.add_row(name, f"{card.title}, version {card.version}", labels, files)
    if not as_json:
        console().print(rows)


@app.command("inspect")
def inspect(
    models: Annotated[
        list[str], typer.Argument(metavar="NAME|FILE.onnx…", help="An installed model, or any ONNX file.")
    ],
    precision: Annotated[str | None, typer.Option("--precision", help="Which of a model's files.")] = None,
    shape: Annotated[
        str | None, typer.Option("--shape", metavar="N,C,H,W", help="The input's shape, if the file leaves it open.")
    ] = None,
    output: Annotated[str | None, typer.Option("--output", help="The output whose layers make the totals.")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Several models side by side: size, arithmetic, and time on this machine.")
    ] = False,
    as_json: _Json = False,
    config: _Config = None,
) -> None:
    """Print the layer table of any ONNX network: sizes, kernels, parameters, multiply-adds, receptive fields.

    The size of each output is floor((n + 2p − f) / s) + 1 for a picture of n, padding p, kernel f and stride s.
    """
    from lookout.cli.layer_view import show
    from lookout.inspection.layers_onnx import layer_table

    graphs = [_graph(model, precision, config) for model in models]
    if compare:
        from lookout.cli.model_compare import cost, costs_json, show_costs

        costs = [
            cost(model, graph.path, _shape(shape) or graph.shape, output or graph.output)
            for model, graph in zip(models, graphs, strict=True)
        ]
        if as_json:
            typer.echo(printable_json(costs_json(costs), 1))
        else:
            show_costs(costs)
        return
    if len(graphs) > 1:
        raise typer.BadParameter("one model has one table; --compare sets several side by side")
    made = layer_table(graphs[0].path, _shape(shape) or graphs[0].shape, output or graphs[0].output)
    if as_json:
        typer.echo(printable_json(made.to_json(), 1))
    else:
        show(made)


@dataclass(frozen=True, slots=True)
class _Graph:
    """A file, and what the card of an installed model says about it."""

    path: Path
    shape: tuple[int, ...] | None = None
    output: str | None = None


def _graph(model: str, precision: str | None, config: Path | None) -> _Graph:
    """Return an installed model's graph, or the file that is named. Raises UnknownModel."""
    from lookout.errors import UnknownModel

    path = Path(model)
    if path.suffix == ".onnx" or path.is_file():
        return _Graph(path)
    card = _catalogue(config).card(model)
    if precision is not None and precision not in card.files:
        raise UnknownModel(
            f'The model "{model}" has no precision "{precision}".', f"It has: {', '.join(card.precisions)}."
        )
    path = card.path(precision or ("fp32" if "fp32" in card.files else card.precisions[0]))
    return _Graph(path, card.input.shape, card.outputs.logits or card.outputs.probabilities)


@app.command("check")
def check(
    models: Annotated[list[str] | None, typer.Argument(metavar="NAME…", help="Default: all installed ones.")] = None,
    config: _Config = None,
) -> None:
    """Check models: files against their card, and one run on a grey picture."""
    from lookout.cli.model_check import check_model
    from lookout.errors import LookoutError
    from lookout.terminal import print_error, show

    catalogue = _catalogue(config)
    status = 0
    for name in models or catalogue.names():
        try:
            for line in check_model(catalogue.card(name)):
                show(f"{name}: {line}")
        except LookoutError as error:
            print_error(error)
            status = error.exit_code
    if status:
        raise typer.Exit(status)


@app.command("add")
def add(
    graph: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="The network.")],
    labels: Annotated[
        Path, typer.Option("--labels", metavar="FILE", help="One label per line, in the network's order.")
    ],
    also: Annotated[
        Path | None, typer.Option("--also", metavar="FILE.onnx", help="The same network in another precision.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Default: the file's name.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="For people. Default: the name.")] = None,
    color: Annotated[str | None, typer.Option("--color", metavar="rgb|bgr|gray", help="Order of the channels.")] = None,
    resize: Annotated[
        str | None, typer.Option("--resize", metavar="crop|squash|letterbox", help="How a picture is made to fit.")
    ] = None,
    scale: Annotated[float | None, typer.Option("--scale", help="Pixels 0..255 are multiplied by it first.")] = None,
    mean: Annotated[str | None, typer.Option("--mean", metavar="R,G,B", help="Then this is subtracted.")] = None,
    std: Annotated[str | None, typer.Option("--std", metavar="R,G,B", help="Then it is divided by this.")] = None,
    reject: Annotated[
        str | None, typer.Option("--reject", metavar="LABEL", help='The label for "none of these".')
    ] = None,
    ends_in: Annotated[
        str | None, typer.Option("--ends-in", metavar="logits|probabilities", help="What the network's output is.")
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option("--shape", metavar="N,C,H,W", help="If the file leaves it open, in the file's order."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="NAME", help="The output that is the answer, if several might be.")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            "--group", metavar="NAME=LABEL,LABEL,281-285", help='Labels combined into one; the rest becomes "neither".'
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Folder of models to add it to. Default: model.folder, else the state folder's."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; use the usual values.")] = False,
    config: _Config = None,
) -> None:
    """Install an ONNX classifier: measure what can be measured, ask for the rest, write a card, try it on pictures."""
    from lookout.cli.model_add import AddModelOptions, add_model
    from lookout.registry.catalogue import Catalogue, added_models
    from lookout.settings.sources import load
    from lookout.system import memory

    memory.limit_arenas()  # a graph is loaded several times: what one leaves would be kept beside the next
    loaded = load({}, config)
    options = AddModelOptions(
        graph=graph, labels=labels, also=also, name=name, title=title, color=color, resize=resize, scale=scale,
        mean=_numbers(mean), std=_numbers(std), reject=reject, ends_in=ends_in, shape=_shape(shape), output=output,
        groups=dict(map(_group, group or ())), ask=not yes,
    )  # fmt: skip
    into = folder or loaded.settings.model.folder or added_models(loaded.state_folder)
    added = add_model(options, into)
    card = added.card
    say(f"Added {card.name} with {len(card.labels)} labels to {into}.")
    for note in added.notes:
        say(note)
    say(f"It says {', '.join(added.verdicts)}.")
    say(f"Measured: {'; '.join(added.measured)}.")
    if added.assumed:
        say(f"Assumed: {'; '.join(added.assumed)}.")
        say(f"If that is wrong: lookout models remove {card.name}, then add it with --color, --mean, --std …")
    found = Catalogue.of(loaded.settings, loaded.state_folder).finds(card.name) == into / card.name
    say(f"Use it with: lookout serve --model {card.name}" + ("" if found else f" --model.folder {into}"))


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An added model.")],
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Folder of models it is in. Default: where it is found.")
    ] = None,
    config: _Config = None,
) -> None:
    """Remove an added model: its graph, card and layer table."""
    from lookout.errors import ModelRejected, UnknownModel
    from lookout.registry.catalogue import Catalogue
    from lookout.registry.installing import remove_model
    from lookout.settings.sources import load

    if Path(name).name != name or name.startswith("."):
        raise UnknownModel(f'"{name}" is not the name of a model.', "`lookout models list` shows those there are.")
    loaded = load({}, config)
    place = folder / name if folder else Catalogue.of(loaded.settings, loaded.state_folder).folder(name)
    if loaded.settings.model.name == name and not folder:
        raise ModelRejected(f'The model "{name}" is the one in the settings.', "Choose another with model.name first.")
    remove_model(place)
    say(f"Removed {name} from {place.parent}.")


def _group(text: str) -> tuple[str, list[str]]:
    name, equals, members = text.partition("=")
    labels = [member.strip() for member in members.split(",") if member.strip()]
    if not equals or not name.strip() or not labels:
        raise typer.BadParameter(f"--group {text} does not have the form cat=tabby,tiger cat or cat=281-285")
    return name.strip(), labels


def _catalogue(config: Path | None) -> Catalogue:
    from lookout.registry.catalogue import Catalogue
    from lookout.settings.sources import load

    loaded = load({}, config)
    return Catalogue.of(loaded.settings, loaded.state_folder)


def _shape(text: str | None) -> tuple[int, ...] | None:
    try:
        return tuple(int(part) for part in text.split(",")) if text else None
    except ValueError:
        raise typer.BadParameter(f"--shape {text} is not a list of whole numbers such as 1,3,96,96") from None


def _numbers(text: str | None) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")] if text else None
    except ValueError:
        raise typer.BadParameter(f"{text} is not a list of numbers such as 123.7,116.3,103.5") from None
