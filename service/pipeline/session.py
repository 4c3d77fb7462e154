"""Opening an onnxruntime session, from the shipped graph or from one optimised for this machine before.

Optimising at load keeps the weights twice. Loading a graph that was saved already optimised does not, and is valid
only for the same graph, onnxruntime, options and processor: all of that is in its name. Deleting the folder is safe.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort

from service.errors import ModelRejected
from service.pipeline.card import Card, sha256_of

log = logging.getLogger(__name__)

# Only errors: from 1.23 on onnxruntime warns about the graphics card that a Pi does not have.
_LOG_ERRORS_ONLY = 3
# Weights outside the graph's file are looked for here. Without it, loading from bytes looks in the working folder.
_NOWHERE = os.devnull
_PROVIDERS = ["CPUExecutionProvider"]
# A key of the cache: enough of a digest that no two are alike.
_KEY_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class GraphCache:
    """Where optimised graphs are kept. machine: a word for this kind of processor, see system/fingerprint.py."""

    folder: Path
    machine: str

    def entry(self, sha256: str, threads: int) -> _Entry:
        """The place of one graph. Threads count: onnxruntime lays weights out by them."""
        parts = (sha256, ort.__version__, str(threads), self.machine)
        key = hashlib.sha256("|".join(parts).encode()).hexdigest()[:_KEY_CHARACTERS]
        return _Entry(self.folder / f"{key}.ort", self.folder / f"{key}.sha256", self.folder / f"{key}.loading")


@dataclass(frozen=True, slots=True)
class _Entry:
    graph: Path
    digest: Path
    loading: Path

    def discard(self) -> None:
        for path in (self.graph, self.digest, self.loading):
            with contextlib.suppress(OSError):
                path.unlink()


def session_options(threads: int) -> ort.SessionOptions:
    """How every session is set up. Threads do not spin: between two frames that would burn the processor."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _LOG_ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NOWHERE)
    return options


def open_session(card: Card, precision: str, threads: int, cache: GraphCache | None = None) -> ort.InferenceSession:
    """The session of one of the card's files. Raises ModelRejected when the file is not the one the card describes."""
    sha256 = _checked_sha256(card, precision)
    if cache is None:
        return _from_graph(card, precision, session_options(threads))
    entry = cache.entry(sha256, threads)
    return _from_cache(entry, threads) or _from_graph_into_cache(card, precision, threads, entry)


def _checked_sha256(card: Card, precision: str) -> str:
    path, expected = card.path(precision), card.files[precision].sha256
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelRejected(
            f"The model file {path} cannot be read ({error.strerror}).", "Restore the file, or choose another model."
        ) from error
    if found != expected:
        raise ModelRejected(
            f"The model file {path} is not the one its card describes (its SHA-256 differs).",
            "Restore the file, or make a new card with `lookout models add`.",
        )
    return found


def _from_graph(card: Card, precision: str, options: ort.SessionOptions) -> ort.InferenceSession:
    """From bytes and with nowhere to look for more, so that weights outside the file are refused."""
    path = card.path(precision)
    try:
        return ort.InferenceSession(path.read_bytes(), options, providers=_PROVIDERS)
    except Exception as error:  # onnxruntime's errors have no common base class
        raise ModelRejected(
            f"The model file {path} is no ONNX graph that can run here: {one_line(error)}.",
            "Export it again with opset 17 or newer and the weights inside the file.",
        ) from error


def _from_cache(entry: _Entry, threads: int) -> ort.InferenceSession | None:
    """None when there is none, it is damaged, or the process died while loading it last time."""
    try:
        if entry.loading.exists():
            log.warning("The last start ended while loading %s; it is made anew.", entry.graph.name)
            entry.discard()
        if not entry.graph.exists() or sha256_of(entry.graph) != entry.digest.read_text("ascii"):
            return None
        entry.loading.touch()
        try:
            return ort.InferenceSession(str(entry.graph), session_options(threads), providers=_PROVIDERS)
        finally:
            entry.loading.unlink(missing_ok=True)
    except Exception as error:  # a cache that fails is no reason to fail
        log.warning("The optimised graph %s cannot be used and is made anew: %s.", entry.graph.name, one_line(error))
        entry.discard()
        return None


def _from_graph_into_cache(card: Card, precision: str, threads: int, entry: _Entry) -> ort.InferenceSession:
    options = session_options(threads)
    temporary = entry.graph.with_suffix(f".{os.getpid()}.ort")
    try:
        entry.graph.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.info("No optimised graphs are kept: %s (%s).", entry.graph.parent, error.strerror)
        return _from_graph(card, precision, options)
    options.optimized_model_filepath = str(temporary)
    try:
        session = _from_graph(card, precision, options)
        _keep(temporary, entry)
        return session
    except ModelRejected:
        # Perhaps the disk is full and the graph itself is sound: that must not cost the answer.
        return _from_graph(card, precision, session_options(threads))
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _keep(temporary: Path, entry: _Entry) -> None:
    """After a power cut the entry is whole or not there."""
    try:
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        digest = sha256_of(temporary)
        entry.digest.write_text(digest, "ascii")
        temporary.replace(entry.graph)
    except OSError as error:
        log.info("The optimised graph is not kept: %s.", error.strerror)


def one_line(error: Exception) -> str:
    """The first line of an error, short enough for a sentence."""
    text = str(error).strip().splitlines()
    return text[0][:200].rstrip(".") if text else type(error).__name__
