"""`lookout classify`: what the network says about pictures, videos and streams."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookout.cli.settings_flags import CONFIG_HELP
from lookout.errors import SettingInvalid

if TYPE_CHECKING:
    from lookout.cli.batch import Job
    from lookout.cli.results import Printer, Result
    from lookout.cli.results_file import ResultsFile
    from lookout.geometry import Rect
    from lookout.pipeline.card import Card
    from lookout.pipeline.classifier import Classifier
    from lookout.settings.layers import LoadedSettings


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
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="RESULTS",
            help="Write JSON lines, or CSV or Parquet by its name, to this file, and skip what is in it already.",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, max=64, metavar="N", help="How many pictures at once, in any order.")
    ] = 1,
    dask: Annotated[
        str | None,
        typer.Option("--dask", metavar="ADDRESS", help="On the workers of a Dask scheduler: tcp://host:8786"),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help=CONFIG_HELP)] = None,
) -> None:
    """Say what pictures, videos or streams show.

    One that cannot be read is reported, the others go on, and the exit status is 1; 4 if it was a camera.
    """
    if as_json + as_csv + (resume is not None) > 1:
        raise typer.BadParameter(
            "Choose one of --json, --csv and --resume; a file for --resume may end in .csv or .parquet."
        )
    from lookout.cli import batch
    from lookout.cli.results import printer

    loaded = _settings({"model.name": model, "model.precision": precision, "answer.region": region}, config)
    asked = loaded.settings.answer.region.rect if region is not None else None
    found = list(batch.find(sources, every_s=every))
    classifier = batch.classifier(loaded)
    with contextlib.ExitStack() as closing:
        output: Printer
        if resume is not None:
            from lookout.cli import parquet
            from lookout.cli.results_file import ResultsFile

            table = resume if resume.suffix.lower() == ".parquet" else None
            if table is not None:
                parquet.check()
                resume = parquet.lines_beside(table)
            file = closing.enter_context(contextlib.closing(ResultsFile(resume, classifier.card, top)))
            found = [job for job in found if not file.has(batch.shown_source(job))]
            output = _Kept(file, resume, table, classifier.card)
        else:
            output = printer("json" if as_json else "csv" if as_csv else "table", classifier.card, top)
        failed = _print(_results(found, classifier, loaded, asked, jobs, dask), output, len(found))
    sys.stdout.flush()
    if failed:
        raise typer.Exit(failed.pop() if len(failed) == 1 else 1)


def _settings(given: dict[str, str | None], config: Path | None) -> LoadedSettings:
    from lookout.settings.sources import load

    try:
        return load({key: text for key, text in given.items() if text is not None}, config)
    except SettingInvalid as error:
        raise SettingInvalid(_as_given(error.detail), _as_given(error.remedy)) from error


def _results(
    found: Sequence[Job],
    classifier: Classifier,
    loaded: LoadedSettings,
    region: Rect | None,
    jobs: int,
    dask: str | None,
) -> Iterator[Result | None]:
    """Yield each result, and None after those of each job."""
    from lookout.cli import batch
    from lookout.cli.parallel import run_jobs

    def here(some: Sequence[Job]) -> Iterator[Result | None]:
        return run_jobs(some, lambda job, decoder: batch.run(job, classifier, decoder, loaded.settings, region), jobs)

    if dask is None:
        return here(found)
    from lookout.cli.cluster import Order, run_on_cluster

    order = Order.of(classifier, loaded.settings.upload.max_pixels, region)
    return run_on_cluster(found, dask, order, here)


def _print(results: Iterator[Result | None], output: Printer, total: int) -> set[int]:
    """Hand all results to the output and return the exit statuses of those that failed."""
    from lookout.terminal import counter

    failed: set[int] = set()
    with counter("Classifying", total) as count, contextlib.closing(results):  # type: ignore[type-var]
        try:
            for result in results:
                if result is None:
                    count()
                    continue
                if result.error is not None:
                    failed.add(result.error.exit_code)
                output.add(result)
        finally:
            output.finish()
    return failed


class _Kept:
    """Writes results to a file; failures that may succeed in a later run are reported and left to it."""

    def __init__(self, file: ResultsFile, path: Path, table: Path | None, card: Card) -> None:
        """table: the Parquet table to make of them at the end, if any."""
        self._file, self._path, self._table, self._card = file, path, table, card
        self._new = self._bad = self._left = 0

    def add(self, result: Result) -> None:
        from lookout.terminal import say

        if result.passing:
            self._left += 1
            say(f"{result.source}: {result.error}")
        elif self._file.add(result):
            self._new += 1
            self._bad += result.error is not None

    def finish(self) -> None:
        """Report the counts. Also called after Ctrl+C, when they are just as true."""
        from lookout.terminal import say

        bad = f", {self._bad} of them not readable" if self._bad else ""
        left = f" {self._left} failed for now: the same command tries them again." if self._left else ""
        say(f"{self._path}: {self._file.before} results from before, {self._new} new{bad}.{left}")
        if self._table is not None:
            from lookout.cli.parquet import write_table

            write_table(self._table, self._card.label_names)
            say(f"Wrote {self._table}.")


def _as_given(text: str) -> str:
    """Replace the names of flags by those of this command."""
    for setting, flag in (("model.name", "model"), ("model.precision", "precision"), ("answer.region", "region")):
        text = text.replace(f"--{setting}", f"--{flag}")
    return text
