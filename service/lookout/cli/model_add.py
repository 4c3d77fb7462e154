"""Installs a user's ONNX file: facts are read from the graph, the rest is measured or asked, and then reported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import typer

from lookout import timestamps
from lookout.cli.model_twin import agreement, copied, twin_of
from lookout.cli.normalisation import Normalisation, normalisation_of
from lookout.errors import ModelRejected
from lookout.frame import Pixels
from lookout.inspection.layers_onnx import write_layers
from lookout.pipeline.card import CARD_FILE, Card, InputSpec, load_card
from lookout.pipeline.classifier import Classifier
from lookout.registry import heat_maps
from lookout.registry.graph_facts import (
    GraphAnswer,
    GraphInput,
    answer_of,
    check_single,
    input_of,
    open_graph,
    outputs_for,
    trial_pictures,
)
from lookout.registry.graph_file import GraphFile, prepare
from lookout.registry.installing import installed, refuse_taken
from lookout.registry.label_files import read_labels
from lookout.resources import demo_pictures
from lookout.terminal import say

# A question can be ended without an answer, so the default comes first.
_COLORS, _RESIZES = ("rgb", "bgr", "gray"), ("crop", "squash", "letterbox")
_ENDINGS = ("logits", "probabilities")
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"  # as in the card's schema; it becomes a folder
_REJECTING = {"neither", "none", "other", "background", "nothing", "reject"}
# What remains when labels are grouped.
_REST = "neither"


@dataclass(frozen=True, slots=True)
class AddModelOptions:
    """The command line's options; None is measured, asked for, or gets the usual value if no questions are allowed.

    groups: labels that combine several of the network's, by their new name. mean, std: in the order R, G, B. also: the
    same network in another precision.
    """

    graph: Path
    labels: Path
    also: Path | None = None
    name: str | None = None
    title: str | None = None
    color: str | None = None
    resize: str | None = None
    scale: float | None = None
    mean: list[float] | None = None
    std: list[float] | None = None
    reject: str | None = None
    ends_in: str | None = None
    shape: tuple[int, ...] | None = None
    output: str | None = None
    groups: dict[str, list[str]] = field(default_factory=dict)
    ask: bool = True


@dataclass(frozen=True, slots=True)
class Added:
    """An installed model.

    measured: what trying it showed, in words. assumed: what nobody specified, likewise. verdicts: its results for the
    demo's pictures. notes: on the files.
    """

    card: Card
    measured: list[str]
    assumed: list[str]
    verdicts: list[str]
    notes: list[str]


def add_model(options: AddModelOptions, folder: Path) -> Added:
    """Install a graph in a folder of its own under `folder`, with card and layer table, and try it.

    Raises ModelRejected, leaving nothing behind.
    """
    name = options.name or _name_from(options.graph)
    if re.fullmatch(_NAME, name) is None:
        raise ModelRejected(
            f'"{name}" cannot be the name of a model.', "Use letters, digits, dots, dashes and underscores for --name."
        )
    _check_choices(options)
    names = read_labels(options.labels)
    file = prepare(options.graph)
    session = open_graph(file)
    taken = input_of(file, session, options.shape)
    normalisation = normalisation_of(options.scale, options.mean, options.std, taken)
    pictures = trial_pictures(demo_pictures())
    spec = _spec(options, taken, normalisation, resize=options.resize or "crop", color=options.color)
    found = outputs_for(file.path, session, spec, pictures)
    check_single(file, spec, found, pictures[-1])
    answer = answer_of(file, found, len(names), options.output, options.ends_in)
    del session
    if heat_maps.ROLE not in answer.roles and heat_maps.with_heat_map(
        file, answer.output, answer.numbers, spec, pictures
    ):
        answer = replace(answer, roles={**answer.roles, heat_maps.ROLE: heat_maps.ROLE})
    twin = twin_of(options.also, file, answer, taken.name) if options.also else None
    lacks = twin.lacks(answer.roles) if twin is not None else []
    answer = replace(answer, roles={role: name for role, name in answer.roles.items() if role not in lacks})
    labels = _labels(options, names, answer)
    assumed: list[str] = []
    questions = _Questions(options, assumed)
    refuse_taken(folder / name)
    title = questions.title(name)
    spec = questions.spec(taken, normalisation)
    with installed(folder / name) as beside:
        content = _card(file, beside / f"{name}.onnx", title, labels, spec, answer)
        if twin is not None:
            content["files"] |= twin.copied(beside / f"{name}.{twin.precision}.onnx")
        _write(file, beside, content)
        card = _tried(options.graph, beside, name)
        measured = _measured(answer, card) + ([agreement(card, pictures)] if twin is not None else [])
        notes = [f"Changed in the copy: {change}." for change in file.changes] + _layers(beside, spec)
        notes += [f"Left out, since {options.also} has none: {role.replace('_', ' ')}." for role in lacks]
    card = load_card(folder / name)
    return Added(card, measured, assumed, list(_verdicts(card)), notes)


def _check_choices(options: AddModelOptions) -> None:
    for what, given, choices in (
        ("--color", options.color, _COLORS),
        ("--resize", options.resize, _RESIZES),
        ("--ends-in", options.ends_in, _ENDINGS),
    ):
        if given is not None and given not in choices:
            raise ModelRejected(f'{what}: "{given}" is not one of {", ".join(choices)}.', "Choose one of them.")


# --- what is asked --------------------------------------------------------------------------------------------------


@dataclass
class _Questions:
    """Asks for what the graph cannot say, or takes the usual value and records that in `assumed`."""

    options: AddModelOptions
    assumed: list[str]

    def title(self, name: str) -> str:
        if self.options.title is not None or not self.options.ask:
            return self.options.title or name
        return _answered("Its title, for people?", name)

    def spec(self, taken: GraphInput, normalisation: Normalisation) -> InputSpec:
        options, color = self.options, "gray" if taken.channels == 1 else self.options.color
        if color is None:
            color = self._chosen(
                "the colours are red-green-blue", "Order of the colours it was trained with?", _COLORS[:2]
            )
        resize = options.resize or self._chosen(
            "a picture is cropped to fit", "How is a picture made to fit: crop, squash or letterbox?", _RESIZES
        )
        if normalisation.usual is not None:
            how = self._chosen(
                f"pixels are normalised like this: {normalisation.words}",
                f"How were pixels normalised: {', '.join(normalisation.choices)}?",
                normalisation.choices,
            )
            normalisation = normalisation.choose(how)
        elif understood := normalisation.understood_for(color):
            self.assumed.append(understood)
        return _spec(options, taken, normalisation, resize, color)

    def _chosen(self, assumption: str, question: str, choices: Sequence[str]) -> str:
        if not self.options.ask:
            self.assumed.append(assumption)
            return choices[0]
        given = _answered(question, choices[0])
        if given not in choices:
            raise ModelRejected(f'"{given}" is not one of {", ".join(choices)}.', question)
        return given


def _answered(question: str, usual: str) -> str:
    try:
        return str(typer.prompt(question, default=usual, err=True))
    except typer.Abort as abort:
        # Typer treats Ctrl+C and the end of input alike; only the first has its own status.
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from abort
        say("\nNo answer. --yes takes the usual values; each question has an option of its own, too.")
        raise


def _name_from(path: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")
    return name or "model"


# --- the card -------------------------------------------------------------------------------------------------------


def _spec(
    options: AddModelOptions, taken: GraphInput, normalisation: Normalisation, resize: str, color: str | None
) -> InputSpec:
    color = "gray" if taken.channels == 1 else color or "rgb"
    if color == "gray" and taken.channels != 1:
        raise ModelRejected(
            f"{options.graph} takes pictures of three channels, not gray ones.", "Use --color rgb or bgr."
        )
    return InputSpec.model_validate(
        {
            "name": taken.name,
            "layout": taken.layout,
            "dtype": taken.dtype,
            "width": taken.width,
            "height": taken.height,
            "color": color,
            "resize": resize,
            **normalisation.for_card(color),
        }
    )


def _labels(options: AddModelOptions, names: list[str], answer: GraphAnswer) -> list[dict[str, Any]]:
    if len(names) == 1:  # a sigmoid for a single class
        if answer.numbers != 1:
            raise ModelRejected(f"{options.labels} lists one label; a classifier has at least two.", "List the others.")
        names = [f"no {names[0]}", names[0]]
        return [_label(names[0], reject=True), _label(names[1])]
    if options.groups:
        return _grouped(options, names)
    usual = next((name for name in names if name.lower() in _REJECTING), "")
    reject = options.reject if options.reject is not None else usual
    if reject and reject not in names:
        raise ModelRejected(f'"{reject}" is not one of the labels.', f"They are: {', '.join(names[:8])}.")
    return [_label(name, reject=name == reject) for name in names]


def _label(name: str, *, reject: bool = False, outputs: list[int] | None = None) -> dict[str, Any]:
    title = name.replace("_", " ").strip() or name  # Keras lists "Egyptian_cat"
    label: dict[str, Any] = {"name": name, "title": title[:1].upper() + title[1:]}
    return label | ({"reject": True} if reject else {}) | ({"outputs": outputs} if outputs is not None else {})


def _grouped(options: AddModelOptions, names: list[str]) -> list[dict[str, Any]]:
    """Return the card's labels, one per group; a label in no group belongs to "neither"."""
    places = {name: place for place, name in enumerate(names)}
    taken: dict[int, str] = {}
    labels = []
    for group, members in options.groups.items():
        outputs = sorted({place for member in members for place in _places(member, places)})
        for place in outputs:
            if taken.setdefault(place, group) != group:
                raise ModelRejected(f'"{names[place]}" is in two groups.', "Name it in one of them.")
        labels.append(_label(group, reject=group == options.reject, outputs=outputs))
    rest = [place for place in range(len(names)) if place not in taken]
    if rest:
        if _REST in options.groups:
            raise ModelRejected(
                f'The group "{_REST}" leaves labels out.', "Give it another name: this one is for the rest."
            )
        labels.append(_label(_REST, reject=True, outputs=rest))
    return labels


def _places(member: str, places: dict[str, int]) -> Sequence[int]:
    """Return the numbers that a member means: a label, its number, or a range of numbers such as 281-285."""
    if member in places:
        return [places[member]]
    if found := re.fullmatch(r"(\d+)(?:-(\d+))?", member):
        first, last = int(found[1]), int(found[2] or found[1])
        if first <= last < len(places):
            return range(first, last + 1)
        raise ModelRejected(f"--group: {member} is not between 0 and {len(places) - 1}.", "Labels count from 0.")
    near = [name for name in places if member.lower() in name.lower()][:5]
    raise ModelRejected(
        f'--group: "{member}" is not one of the labels.',
        f"Similar: {', '.join(near)}." if near else "Check its spelling.",
    )


def _card(
    file: GraphFile, graph: Path, title: str, labels: list[dict[str, Any]], spec: InputSpec, answer: GraphAnswer
) -> dict[str, Any]:
    """Return the card's content, and copy the graph to its place."""
    return {
        "schema": 1,
        "name": graph.stem,
        "version": "1",
        "title": title,
        "labels": labels,
        "input": spec.model_dump(
            mode="json", exclude={"interpolation"} | ({"scale", "mean", "std"} if spec.dtype == "uint8" else set())
        ),
        "outputs": {answer.ending: answer.output, **answer.roles},
        "files": copied(file, graph),
        "created": timestamps.now_to_the_second(),
    }


def _write(file: GraphFile, beside: Path, card: dict[str, Any]) -> None:
    (beside / CARD_FILE).write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
    file.model = None  # a copy of all its weights


def _tried(graph: Path, beside: Path, name: str) -> Card:
    """Return the card after the service's own check. In errors, paths of the temporary folder are replaced."""
    try:
        card = load_card(beside)
        for precision in card.precisions:
            Classifier.load(card, precision)
        return card
    except ModelRejected as error:
        error.detail = error.detail.replace(str(beside / f"{name}.onnx"), str(graph)).replace(f"{beside}/", "")
        error.remedy = "Try other options, or export the network again."
        raise


def _layers(beside: Path, spec: InputSpec) -> list[str]:
    """Write layer table and filters, and return notes. They only serve inspection, so a failure becomes a note."""
    try:
        table = write_layers(beside, spec.shape)
    except ModelRejected as error:
        return [f"No layer table: {error.detail}"]
    return [] if not table.incomplete else [f"The layer table is incomplete: {table.incomplete}"]


# --- what is said at the end ----------------------------------------------------------------------------------------


def _measured(answer: GraphAnswer, card: Card) -> list[str]:
    what = f'"{answer.output}" gives {answer.ending}'
    if answer.numbers == 1:
        what = f'"{answer.output}" gives one number; a high one means "{card.label_names[-1]}"'
    if answer.others:
        what += f" (outputs that would fit as well: {', '.join(answer.others)})"
    return [what, *(["it gives the same answer for every picture"] if answer.constant else [])]


def _verdicts(card: Card) -> Iterator[str]:
    """Yield the model's results for the demo's pictures, best label first."""
    import cv2
    import numpy as np

    classifier = Classifier.load(card, card.precisions[0])
    for path in sorted(demo_pictures().glob("*.jpg")):
        picture = cv2.imread(str(path))
        if picture is not None:
            pixels: Pixels = np.asarray(picture, np.uint8)
            chances = classifier.classify(pixels).probabilities
            best = max(range(len(chances)), key=chances.__getitem__)
            yield f'"{card.labels[best].title}" ({chances[best]:.0%}) of the demo\'s {path.stem}'
