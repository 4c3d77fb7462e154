"""`lookout classify`: what the network says about pictures, videos and streams."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from lookout.cli.settings_flags import CONFIG_HELP
from lookout.errors import SettingInvalid


def classify(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|FOLDER|VIDEO|URL…",
            help="Pictures, folders, videos, streams; - for what is piped in.",
        ),
    ],
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help="Name of the model.")] = None,
    precision: Annotated[str | None, typer.Option("--precision", metavar="NAME", help="auto, fp32 or int8.")] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="X,Y,W,H", help="The part to classify, in shares of the picture.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="How many labels to show.")] = 3,
    every: Annotated[
        float, typer.Option("--every", min=0.0, metavar="S", help="Seconds between classified frames of a video.")
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per picture and line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values with a header.")] = False,
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help=CONFIG_HELP)] = None,
) -> None:
    """Say what pictures, videos or streams show.

    One that cannot be read is reported, the others go on, and the exit status is 1; 4 if it was a camera.
    """
    if as_json and as_csv:
        raise typer.BadParameter("Choose one of --json and --csv.")
    from lookout.cli import batch
    from lookout.pictures.decoder import Decoder
    from lookout.settings.sources import load
    from lookout.terminal import progress

    given = {"model.name": model, "model.precision": precision, "answer.region": region}
    try:
        loaded = load({key: text for key, text in given.items() if text is not None}, config)
    except SettingInvalid as error:
        raise SettingInvalid(_as_given(error.detail), _as_given(error.remedy)) from error
    asked = loaded.settings.answer.region.rect if region is not None else None
    jobs = list(batch.find(sources, every_s=every))
    failed: set[int] = set()
    with contextlib.closing(Decoder()) as decoder:
        decoder.warm()  # while the network is loaded
        classifier = batch.classifier(loaded)
        printer = batch.printer("json" if as_json else "csv" if as_csv else "table", classifier.card, top)
        with progress(jobs, "Classifying", len(jobs)) as watched:
            for job in watched:
                for result in batch.run(job, classifier, decoder, loaded.settings, asked):
                    if result.error is not None:
                        failed.add(result.error.exit_code)
                    printer.add(result)
        printer.finish()
    sys.stdout.flush()
    if failed:
        raise typer.Exit(failed.pop() if len(failed) == 1 else 1)


def _as_given(text: str) -> str:
    """Flag names as they are spelt in this command."""
    for setting, flag in (("model.name", "model"), ("model.precision", "precision"), ("answer.region", "region")):
        text = text.replace(f"--{setting}", f"--{flag}")
    return text
