"""Classifying many pictures, videos and streams in a row: finding them and reading them."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lookout.camera.interface import CameraOptions, EndOfSource
from lookout.cli.results import Result
from lookout.deadline import Deadline
from lookout.errors import (
    CameraUnsupported,
    CameraWaiting,
    DecoderUnavailable,
    LookoutError,
    PictureError,
    PictureUnreadable,
    PictureUnsupported,
)
from lookout.frame import Pixels
from lookout.geometry import WHOLE, Rect
from lookout.pictures.decoder import Decoder
from lookout.pictures.folder import find_pictures, is_picture_file
from lookout.pictures.limits import MAX_FILE_BYTES, DecodeLimits
from lookout.pipeline.classifier import Classifier
from lookout.pipeline.description import describe
from lookout.redaction import redact
from lookout.registry.catalogue import Catalogue
from lookout.registry.loader import load as load_model
from lookout.settings.layers import LoadedSettings
from lookout.settings.schema import Settings
from lookout.terminal import say

OPEN_S, READ_S = 20.0, 10.0
DOWNLOAD_S = 120.0  # for downloading one picture
PICTURES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
_NO_PATH = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
Kind = Literal["picture", "video", "download", "camera"]


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to classify. every_s: seconds of a video's own time between two classified frames.

    problem: why it cannot be classified.
    """

    kind: Kind
    source: str
    every_s: float = 1.0
    problem: LookoutError | None = None


def find(sources: Iterable[str], *, every_s: float) -> Iterator[Job]:
    """Yield the jobs that the arguments mean. A missing path or a folder without pictures is a job with a problem."""
    for source in sources:
        scheme = source.partition("://")[0].lower() if "://" in source else ""
        path = _path(source)
        if source == "-":
            yield from _standard_input(every_s)
        elif scheme in ("http", "https"):
            yield Job("download", source)
        elif scheme or _is_camera(source, path):
            yield Job("camera", source)
        else:
            try:
                yield from _on_disk(path, every_s)
            except PictureUnsupported as error:
                yield _without_path(source, error)


def _without_path(source: str, error: PictureUnsupported) -> Job:
    """Return the job of an argument that names nothing on disk, which may be a mistyped address with a password."""
    if (shown := redact(source)) == source:
        return Job("picture", source, problem=error)
    remedy = "Check the path; an address begins with rtsp:// or http://."
    return Job("picture", shown, problem=PictureUnsupported(f"There is no file or folder {shown}.", remedy))


def _path(source: str) -> Path:
    path = Path(source.removeprefix("file:"))
    try:
        return path.expanduser()
    except RuntimeError:  # "~" and an unknown user name: it may be a file's name
        return path


def _is_camera(source: str, path: Path) -> bool:
    named = source in ("auto", "demo") or source.startswith(("pi:", "usb:", "scripted:", "/dev/video", "/dev/v4l"))
    return named and not os.path.isfile(path)  # noqa: PTH113 - Path's raises where one may not look


def _on_disk(path: Path, every_s: float) -> Iterator[Job]:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise PictureUnsupported(f"This user may not read {path}.", "Check its permissions.") from error
        if isinstance(error, OSError) and error.errno not in _NO_PATH:
            raise PictureUnsupported(f"{path} cannot be read: {error.strerror}.", _remedy(error)) from error
        raise PictureUnsupported(f"There is no file or folder {path}.", "Check the path.") from error
    if stat.S_ISDIR(mode):
        yield from _in_folder(path)
    elif stat.S_ISREG(mode):
        yield Job(_kind_of(path), str(path), every_s)
    elif stat.S_ISFIFO(mode):  # reading from it to find out would consume it
        yield Job("picture", str(path))
    else:
        raise PictureUnsupported(f"{path} is neither a file nor a folder.", "Check the path.")


def _standard_input(every_s: float) -> Iterator[Job]:
    """Yield the job for the standard input: a pipe, or a file that the shell opened."""
    try:
        yield from _on_disk(Path("/dev/stdin"), every_s)
    except PictureUnsupported:
        remedy = "Pipe a picture in, for example: lookout classify - < picture.jpg"
        yield Job("picture", "-", problem=PictureUnsupported("There is no picture on the standard input.", remedy))


def _in_folder(folder: Path) -> Iterator[Job]:
    try:
        paths, left_out = find_pictures(folder, below=True)
    except OSError as error:
        raise PictureUnsupported(f"The folder {folder} cannot be read: {error.strerror}.", _remedy(error)) from error
    if not paths:
        remedy = left_out.sentence() or "Put JPEG, PNG, WebP, BMP, TIFF or GIF pictures there."
        raise PictureUnsupported(f"There are no pictures in {folder}.", remedy)
    if left_out.total:
        say(f"{folder}: {left_out.sentence()}")
    yield from (Job("picture", str(path)) for path in paths)


def _kind_of(path: Path) -> Kind:
    """Return the kind by the file's content or name; an unreadable file is reported when its turn comes."""
    try:
        return "picture" if path.suffix.lower() in PICTURES or is_picture_file(path) else "video"
    except OSError:
        return "picture"


def classifier(loaded: LoadedSettings) -> Classifier:
    """Load the network selected by the settings. Raises UnknownModel or ModelRejected."""
    return load_model(Catalogue.of(loaded.settings, loaded.state_folder), loaded.settings.model)


def run(
    job: Job, model: Classifier, decoder: Decoder, settings: Settings, region: Rect | None = None
) -> Iterator[Result]:
    """Classify one job. Its errors are results, too: other jobs go on. region: the one given with this call."""
    shown = shown_source(job)
    if region is None:  # the setting is about the camera's view; for a picture from elsewhere it means nothing
        region = settings.answer.region.rect if job.kind == "camera" else WHOLE
    try:
        if job.problem is not None:
            raise job.problem
        if job.kind in ("picture", "download"):
            yield Result(shown, _look_at(job, model, decoder, settings, region))
        else:
            for source, pixels in _frames(job, shown):
                yield Result(source, _classified(model, pixels, region, (pixels.shape[1], pixels.shape[0]), 0.0))
    except _IsStream:
        yield from run(Job("camera", job.source), model, decoder, settings, region)
    except LookoutError as error:
        yield Result(shown, error=error, passing=job.problem is not None or _may_pass(error))


def shown_source(job: Job) -> str:
    """Return the job's name in results. Addresses lose their passwords; paths are unchanged."""
    return redact(job.source) if job.kind in ("download", "camera") else job.source


def _may_pass(error: LookoutError) -> bool:
    """Return whether the picture may be readable later, because a disk, a network or memory failed, not its content."""
    content = isinstance(error, PictureError) and not isinstance(error, DecoderUnavailable)
    return not content or isinstance(error.__cause__, OSError)


def _look_at(job: Job, model: Classifier, decoder: Decoder, settings: Settings, region: Rect) -> dict[str, Any]:
    least = 2 * min(model.card.input.width, model.card.input.height)
    limits = DecodeLimits(MAX_FILE_BYTES, settings.upload.max_pixels, least)
    with contextlib.ExitStack() as files:
        source = _file(Path(job.source), files) if job.kind == "picture" else _download(job.source)
        started = time.perf_counter()
        picture = decoder.read(source, limits)
        decode_ms = (time.perf_counter() - started) * 1e3
    return _classified(model, picture.pixels, region, (picture.width, picture.height), decode_ms)


def _file(path: Path, files: contextlib.ExitStack) -> bytes | int:
    """Return the descriptor of the opened file, or the content of a pipe."""
    try:
        file = files.enter_context(path.open("rb"))
        return file.fileno() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise PictureUnreadable(f"The file cannot be read: {error.strerror}.", _remedy(error)) from error


def _remedy(error: OSError) -> str:
    return "Check its permissions." if isinstance(error, PermissionError) else "Check the disk or share that it is on."


class _IsStream(Exception):
    """The address is a video, which is classified like a camera's stream."""


def _download(address: str) -> bytes:
    """Fetch the picture at an address with the client that cameras use. Raises CameraError, _IsStream."""
    from lookout.camera import fetch_picture

    data, doubts = fetch_picture(address, READ_S, DOWNLOAD_S, MAX_FILE_BYTES)
    for doubt in doubts:
        say(doubt)
    if data is None:
        raise _IsStream
    return data


def _frames(job: Job, shown: str) -> Iterator[tuple[str, Pixels]]:
    from lookout.camera import create

    video = job.kind == "video"
    address = f"file:{Path(job.source).absolute()}" if video else job.source
    try:
        camera = create(address, CameraOptions(pace=not video), isolated=not video)
        camera.open(Deadline.after(OPEN_S))
    except CameraUnsupported as error:
        if video:
            raise PictureUnsupported("This is neither a picture nor a video.", error.remedy) from error
        raise
    try:
        begun, due = None, 0.0
        while True:
            try:
                frame = camera.read(Deadline.after(READ_S))
            except CameraWaiting:  # it works; if it takes too long, it gives up on its own
                continue
            begun = frame.captured_at if begun is None else begun
            position = frame.captured_at - begun
            if not video:
                yield shown, frame.pixels
                return
            if position + 1e-6 >= due:
                due = position + job.every_s
                yield f"{shown}#t={position:.3f}", frame.pixels
    except EndOfSource:
        return
    finally:
        camera.close()


def _classified(
    model: Classifier, pixels: Pixels, region: Rect, size: tuple[int, int], decode_ms: float
) -> dict[str, Any]:
    prediction = model.classify(pixels, region)
    return describe(model.card, model.precision, prediction, size=size, decode_ms=decode_ms)
