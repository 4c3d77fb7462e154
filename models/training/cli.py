"""``python -m models.training``: one command a step, from photographs to a model that the service can load."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import cv2
import torch
import typer
from lookout.pipeline.card import load_card
from rich.console import Console
from rich.table import Table

from models.training import data as photographs
from models.training import digits as digit_example
from models.training import evaluate as evaluation
from models.training import plots
from models.training.archs import ARCHS, Classifier, build
from models.training.arithmetic import has_bf16
from models.training.augment import CameraPolicy, CropPolicy
from models.training.batches import BatchSource
from models.training.calibrate import probabilities
from models.training.card import Description, amend
from models.training.data import Pictures, Split
from models.training.datasets import has_several, load_datasets
from models.training.export import export
from models.training.finetune import FineTuning
from models.training.finetune_command import fine_tune
from models.training.mixture import mixture_of
from models.training.onnx_graph import InputFormat
from models.training.progress import Bar, console, running
from models.training.quantize import METHODS
from models.training.recipe import Recipe, load_weights, save_weights
from models.training.run import Run
from models.training.start import start_from
from models.training.suspects import suspects as find_suspects
from models.training.suspects import twice
from models.training.tables import figures_table, figures_tables
from models.training.teacher import Answers, accuracy, load_teacher
from models.training.train import IMAGENET_MEAN, IMAGENET_STD, TrainConfig, Trainer
from models.training.tune import TuneConfig, Tuner
from models.training.tune_command import tune_model

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False, help=__doc__)

DataFolder = Annotated[
    Path, typer.Option("--data", help="Folder with train-*.tar and val-*.tar, or LABEL/* pictures; or a zip.")
]
CacheFolder = Annotated[Path | None, typer.Option("--cache", help="Keep decoded pictures here for the next run.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same run.")]
Threads = Annotated[int, typer.Option(help="Processor threads; 0 leaves it to PyTorch.")]


# Most epochs on small pictures, the last ones at full size; networks with a fixed input size train only at that size.
STAGES, EPOCHS = "64:17,80:3,96:4", 24


def _use_threads(threads: int) -> None:
    cv2.setNumThreads(1)  # pictures are small, and OpenCV's threads would compete with PyTorch's
    if threads:
        torch.set_num_threads(threads)


def parse_stages(text: str) -> tuple[tuple[float, int], ...]:
    """``64:20,96:5`` -> 20 epochs at 64 pixels, then 5 at 96. Raises typer.BadParameter."""
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return tuple((float(epochs), int(size)) for size, epochs in pairs)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not of the form 64:20,96:5 (pixels a side : epochs)") from None


def _stages_of(text: str | None, arch: str, network: Classifier, size: int) -> tuple[tuple[float, int], ...]:
    """The requested stages, or the default ones. Raises typer.BadParameter for a size that the network cannot take."""
    stages = parse_stages(text or (STAGES if network.pooled else f"{size}:{EPOCHS}"))
    if not network.pooled and {side for _, side in stages} != {size}:
        raise typer.BadParameter(f"{arch} is made for one size of picture: all --stages must be at --size, {size}")
    return stages


def _all(folder: Path, split: Split, cache: Path | None) -> Pictures:
    """The pictures of a split, of all datasets if there are several."""
    return load_datasets(folder, split, cache) if has_several(folder) else photographs.load(folder, split, cache)


def _say_left_out(found: dict[str, list[str]]) -> None:
    for reason, names in found.items():
        words = f"{len(names):,} left out, {reason}: {photographs.listed(names)}"
        console.print(words, soft_wrap=True, highlight=False, markup=False)


def _read(folder: Path, cache: Path | None) -> tuple[Pictures, Pictures]:
    """Pictures for training and for validation; what is left out is said. Ctrl-C ends it at once."""
    with console.status("Reading the photographs"):
        training, validation = photographs.load_both(folder, cache)
    _say_left_out(photographs.left_out(folder, {*training.names, *validation.names}))
    return training, validation


def _read_all(folder: Path, cache: Path | None) -> tuple[Pictures, Pictures]:
    """As `_read`, of all datasets if there are several."""
    if not has_several(folder):
        return _read(folder, cache)
    with console.status("Reading the photographs"):
        return load_datasets(folder, "train", cache), load_datasets(folder, "val", cache)


@app.command()
def data(folder: DataFolder, cache: CacheFolder = None) -> None:
    """Show what a data folder holds: pictures by label and origin, and what is left out and why."""
    table = Table("split", "label", "origin", "pictures")
    splits: tuple[Split, ...] = ("train", "val")
    for split in splits:
        pictures = _all(folder, split, cache)
        kinds = Counter((pictures.labels[t], pictures.origin(i)) for i, t in enumerate(pictures.targets.tolist()))
        for (label, origin), count in sorted(kinds.items()):
            table.add_row(split, label, origin, f"{count:,}")
    Console().print(table)
    _say_left_out(photographs.left_out(folder))


@app.command()
def teacher(
    folder: DataFolder,
    run: Annotated[Path, typer.Option(help="Run folder; an existing run is continued.")] = Path("runs/teacher"),
    variant: Annotated[
        str, typer.Option(help="lite0, lite1 or lite2; its weights' package must be installed.")
    ] = "lite0",
    size: Annotated[int, typer.Option(help="Its input size, pixels a side.")] = 160,
    epochs: int = 2,
    cache: CacheFolder = None,
    seed: Seed = 1,
    threads: Threads = 0,
) -> None:
    """Teach an ImageNet network our labels, so that it can teach a small one."""
    _use_threads(threads)
    pictures, validation = photographs.load_both(folder, cache)
    source = BatchSource(pictures, CropPolicy(), CameraPolicy(strength=0.7), seed=seed)
    kept = Run(run)
    config = TuneConfig(variant, size, epochs=epochs, bf16=has_bf16())
    identity = {"network": variant, "labels": pictures.labels, "photographs": pictures.identity()}
    with kept.claimed(**identity), running("teacher") as (bar, stopped):
        kept.describe({"teacher": config, "seed": source.seed, "labels": pictures.labels})
        tuned = Tuner(config, source, kept, bar, stopped=stopped).train()
    right = accuracy(tuned, size, validation)
    Run(run).log(step=epochs * source.steps_per_epoch, validation_accuracy=right)
    console.print(f"{run / 'teacher.pt'}: {right:.2%} of the validation pictures right")


@app.command()
def train(
    folder: DataFolder,
    run: Annotated[
        Path | None, typer.Option(help="Run folder, runs/ARCH by default; a run that is there already is continued.")
    ] = None,
    arch: Annotated[str, typer.Option(help=f"One of {', '.join(ARCHS)}.")] = "resnet18",
    stages: Annotated[
        str | None,
        typer.Option(
            help=f"Pixels a side and epochs, in order. Default: {STAGES}; alexnet, lenet5: {EPOCHS} epochs at --size."
        ),
    ] = None,
    size: Annotated[int, typer.Option(help="Pixels a side of the finished model.")] = 96,
    start: Annotated[
        str | None, typer.Option(help="What to start from: a shipped ResNet-18 by its name, or weights.safetensors.")
    ] = None,
    taught_by: Annotated[Path | None, typer.Option("--teacher", help="A tuned teacher.pt.")] = None,
    views: Annotated[
        int, typer.Option(help="Fixed crops of each picture, for which the teacher's answers are kept.")
    ] = 5,
    learning_rate: float = 0.03,
    batch_size: int = 64,
    least_area: Annotated[float, typer.Option(help="Smallest crop, as a share of the picture.")] = 0.25,
    camera: Annotated[float, typer.Option(help="Strength of the camera's defects; 0: none.")] = 0.8,
    jitter: Annotated[float, typer.Option(help="Move a fixed crop by up to this share of its sides.")] = 0.08,
    far: Annotated[float, typer.Option(help="Share of crops that are shrunk into another scene.")] = 0.12,
    hard: Annotated[Path | None, typer.Option(help="A list that `suspects` made: these come twice.")] = None,
    bf16: Annotated[
        bool | None, typer.Option(help="bfloat16 arithmetic; by default where the processor has it.")
    ] = None,
    refresh: Annotated[int, typer.Option(min=1, help="Batches for BatchNorm's final statistics.")] = 100,
    cache: CacheFolder = None,
    seed: Seed = 3,
    threads: Threads = 0,
) -> None:
    """Train a classifier; leaves weights.safetensors and curves.png in the run folder."""
    if arch not in ARCHS:
        raise typer.BadParameter(f"{arch} is none of {', '.join(ARCHS)}")
    if stages:
        parse_stages(stages)  # before minutes of decoding
    _use_threads(threads)
    pictures, validation = _read(folder, cache)
    run = run or Path("runs") / arch
    kept = Run(run)
    source = BatchSource(
        pictures,
        CropPolicy(min_area=least_area, jitter=jitter),
        CameraPolicy(strength=camera, far=far),
        batch_size,
        seed,
        views if taught_by else 0,
        repeats=twice(pictures, hard.read_text()) if hard else None,
        scenes=pictures.without_animals(),
    )
    torch.manual_seed(seed)
    network = build(arch, len(pictures.labels), 3, size)
    if start and not kept.checkpoint.exists():
        start_from(network, start, source, size)
    config = TrainConfig(
        _stages_of(stages, arch, network, size),
        learning_rate,
        evaluate_size=size,
        bf16=has_bf16() if bf16 is None else bf16,
        refresh_batches=refresh,
    )
    recipe = Recipe(arch, pictures.labels, InputFormat(size, 3, IMAGENET_MEAN, IMAGENET_STD))
    identity = {"network": arch, "labels": pictures.labels, "photographs": pictures.identity()}
    with kept.claimed(**identity):
        kept.describe(
            {"train": config, "source": {"seed": seed, "views": views, "batch_size": batch_size}, **recipe.metadata()}
        )
        answers = Answers(run / "answers", *load_teacher(taught_by), source) if taught_by else None
        with running(arch) as (bar, stopped):
            trainer = Trainer(network, config, source, kept, answers=answers, validation=validation, stopped=stopped)
            trained = trainer.train(bar)
        save_weights(run / "weights.safetensors", trained, recipe)
    plots.curves(kept.metrics(), run / "curves.png")
    console.print(f"{run / 'weights.safetensors'} written, {right_of(kept)} of the validation pictures right; next:")
    out = f"models/{folder.name.removesuffix('.zip')}"
    command = ["export", str(run / "weights.safetensors"), "--data", str(folder), "--out", out]
    console.print(f"  python -m models.training {shlex.join(command)}", soft_wrap=True, highlight=False)


def right_of(run: Run) -> str:
    """The last measured validation accuracy of a run, in per cent; "none" if it was never measured."""
    found = [line["validation_accuracy"] for line in run.metrics() if "validation_accuracy" in line]
    return f"{found[-1]:.1%}" if found else "none"


@app.command("tune")
def tune_(
    folder: DataFolder,
    out: Annotated[Path, typer.Option(help="The model's folder, for example models/ours.")],
    run: Annotated[Path | None, typer.Option(help="Run folder, runs/OUT by default; a run there is continued.")] = None,
    epochs: Annotated[float, typer.Option(min=0.1, help="How often each photograph is used.")] = 6,
    size: Annotated[int, typer.Option(min=64, max=320, help="The model's input size, pixels a side.")] = 128,
    batch_size: Annotated[int, typer.Option(min=2)] = 32,
    cache: CacheFolder = None,
    seed: Seed = 1,
    threads: Threads = 0,
) -> None:
    """Tune a ready ImageNet network on your photographs and write the model, in minutes. For classes and small data."""
    _use_threads(threads)
    training, validation = _read_all(folder, cache)
    mixture, others = None, None
    if has_several(folder):
        mixture = mixture_of(folder, training, seed)
        validation, others = evaluation.sets_of(validation)
    run = run or Path("runs") / out.name
    with running("tune") as (bar, stopped):
        found = tune_model(
            training,
            validation,
            out,
            run,
            bar,
            stopped,
            epochs=epochs,
            size=size,
            batch_size=batch_size,
            seed=seed,
            mixture=mixture,
            others=others,
        )
    for table in figures_tables(found.measured.metrics):
        Console().print(table)
    command = ["lookout", "serve", "--source", "demo", "--model.folder", str(out.parent), "--model.name", out.name]
    console.print(f"{out} written; look at it:\n  {shlex.join(command)}", soft_wrap=True, highlight=False)


@app.command()
def finetune(
    folder: DataFolder,
    minutes: Annotated[float, typer.Option(min=0.01, help="Time until the learning rate is zero.")],
    start: Annotated[Path, typer.Option(help="Folder of the model to go on from.")] = Path("models/cat-dog-resnet18"),
    run: Annotated[Path, typer.Option(help="Run folder; an existing run is continued.")] = Path("runs/finetune"),
    learning_rate: float = FineTuning.learning_rate,
    workers: Annotated[int, typer.Option(min=1, help="Threads that train, each by itself.")] = 2,
    cache: CacheFolder = None,
    seed: Seed = 3,
) -> None:
    """Train the shipped network further on several datasets of photographs, by the clock."""
    config = FineTuning(learning_rate=learning_rate, workers=workers)
    with Bar("finetune") as bar:
        written = fine_tune(folder, start, run, minutes, bar, cache=cache, seed=seed, config=config)
    console.print(f"{written} written; next: python -m models.training export")


@app.command("export")
def export_(
    weights: Annotated[Path, typer.Argument(help="weights.safetensors of a run.")],
    folder: DataFolder,
    out: Annotated[Path, typer.Option(help="The model's folder, for example models/cat-dog-resnet18.")],
    words: Annotated[
        Path | None, typer.Option(help="JSON: title, description, data, licence, version, translations, mirror.")
    ] = None,
    calibration: Annotated[str, typer.Option(help=f"int8 ranges: {', '.join(METHODS)}.")] = "minmax",
    cache: CacheFolder = None,
) -> None:
    """Write both graphs, card and layer table, then measure them on the validation pictures."""
    network, recipe = load_weights(weights)
    said = json.loads(words.read_text()) if words else {}
    names = ("title", "description", "data", "licence", "version")
    description = Description(
        out.name,
        **{name: str(said.get(name, "1" if name == "version" else "")) for name in names},
        translations=said.get("translations", {}),
        mirror=bool(said.get("mirror")),
    )
    description = description if description.title else replace(description, title=out.name)
    if calibration not in METHODS:
        raise typer.BadParameter(f"{calibration} is none of {', '.join(METHODS)}")
    export(network, recipe, _all(folder, "train", cache), out, description, method=calibration)
    evaluate(out, folder, write=True, cache=cache)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A model's folder.")],
    folder: DataFolder,
    corruptions: Annotated[bool, typer.Option(help="Also with each camera defect.")] = True,
    write: Annotated[bool, typer.Option(help="Put temperatures, thresholds and figures into the card.")] = False,
    pictures: Annotated[Path | None, typer.Option(help="Folder for diagrams and the sheet of worst mistakes.")] = None,
    cache: CacheFolder = None,
) -> None:
    """Measure a model on the validation pictures, set by set where there are several, as the service would run it."""
    card, validation, others = load_card(model), _all(folder, "val", cache), {}
    if has_several(folder):
        validation, others = evaluation.sets_of(validation)
    with console.status("Evaluating the validation pictures"):
        found = evaluation.evaluate(card, validation, corruptions, others)
    if write:
        amend(model, found.measured)
    if pictures:
        _draw(pictures, found, validation)
    for table in figures_tables(found.measured.metrics):
        Console().print(table)
    enters = {label: values["enter"] for label, values in found.measured.thresholds.items()}
    Console().print(f"temperatures {dict(found.measured.temperatures)}; enter {enters}")


@app.command()
def suspects(
    model: Annotated[Path, typer.Argument(help="A model's folder.")],
    folder: DataFolder,
    split: Annotated[Literal["train", "val"], typer.Option(help="Which pictures to look through.")] = "train",
    at_most: Annotated[float, typer.Option(help="Largest probability left to the picture's own label.")] = 0.02,
    cache: CacheFolder = None,
) -> None:
    """List pictures whose label is probably wrong, as tab-separated lines; nothing is deleted."""
    card, pictures = load_card(model), _all(folder, split, cache)
    precision = card.precisions[0]
    shown = evaluation.seen(pictures, card.input)
    logits = evaluation.logits_of(card, evaluation.opened(card.path(precision)), shown)
    for suspect in find_suspects(probabilities(logits, card.temperature(precision)), pictures, at_most):
        typer.echo(f"{suspect.name}\t{suspect.said}\t{suspect.probability_of_label:.4f}")


@app.command("digits")
def digits_(
    out: Annotated[Path, typer.Option(help="The model's folder.")] = Path("models/digits-lenet5"),
    run: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/digits"),
    seed: Seed = 0,
) -> None:
    """Make the small example: LeNet-5 on digits written with a pen, in a minute or two."""
    _use_threads(0)
    with Bar("lenet5") as bar:
        trainer, recipe, training, validation = digit_example.train_digits(run, bar, seed)
    kept = digit_example.KEPT_FLOAT
    card = export(trainer.finished(), recipe, training, out, digit_example.WORDS, keep_float=kept)
    found = evaluation.evaluate(card, validation, corruptions=False)
    amend(out, found.measured)
    Console().print(figures_table(found.measured.metrics))


def _draw(folder: Path, found: evaluation.Evaluation, validation: Pictures) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    answers = {name: probabilities(logits, found.measured.temperatures[name]) for name, logits in found.logits.items()}
    first = next(iter(answers.values()))
    plots.confusion(first, validation.targets, validation.labels, folder / "confusion.png")
    plots.reliability_diagram(answers, validation.targets, folder / "reliability.png")
    plots.worst_mistakes(first, validation, folder / "worst-mistakes.png")
    evaluation.save_logits(folder, found)
