"""Opening an onnxruntime session, from the shipped graph or from one optimised earlier for this machine.

Optimising at load time holds the weights in memory twice; loading a graph that was saved optimised does not. A saved
graph is only valid for the same graph, onnxruntime version, options and processor, so its name is derived from all of
them. Deleting the folder is safe. onnxruntime saves into memory, from where the writer thread stores the graph, so that
a slow disk delays no answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import mmap
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort

from lookout.errors import ModelRejected, StateFolderUnusable
from lookout.pipeline.card import MAX_GRAPH_BYTES, Card, sha256_of
from lookout.storage import CACHE_DEADLINE_S, Storage, Writer, with_timeout
from lookout.system.regular_files import read_regular

log = logging.getLogger(__name__)

# Since 1.23, onnxruntime warns about the graphics card that a Pi does not have.
_LOG_ERRORS_ONLY = 3
# Where onnxruntime looks for weights outside the graph's file: nowhere. By default, a graph loaded from bytes may read
# them from the current folder.
_NOWHERE = os.devnull
_PROVIDERS = ["CPUExecutionProvider"]
# Enough characters of a digest for a cache key to be unique.
_KEY_CHARACTERS = 32
# Enough for both precisions of the model in use and of the previous one; up to 45 MB each.
_KEPT_GRAPHS = 4
_DIGEST_BYTES = 64


@dataclass(frozen=True, slots=True)
class GraphCache:
    """Where optimised graphs are stored. machine: a key for this kind of processor, see system/fingerprint.py."""

    folder: Path
    machine: str
    storage: Storage

    def entry(self, sha256: str, threads: int) -> _Entry:
        """The cache entry of one graph. It depends on the thread count, by which onnxruntime lays out the weights."""
        parts = (sha256, ort.__version__, str(threads), self.machine)
        key = hashlib.sha256("|".join(parts).encode()).hexdigest()[:_KEY_CHARACTERS]
        return _Entry(self.folder / f"{key}.ort", self.folder / f"{key}.sha256", self.folder / f"{key}.loading")


@dataclass(frozen=True, slots=True)
class _Entry:
    graph: Path
    digest: Path
    loading: Path

    def is_whole(self) -> bool:
        """Whether the entry exists and is undamaged. May block on the disk. Raises OSError."""
        return self.graph.exists() and sha256_of(self.graph) == read_regular(self.digest, _DIGEST_BYTES).decode()

    def discard(self, writer: Writer) -> None:
        for path in (self.graph, self.digest, self.loading):
            writer.remove(path)

    def keep(self, writer: Writer, graph: mmap.mmap) -> None:
        """Store the entry and remove old ones. After a power cut it is complete, missing, or recognisably damaged."""
        writer.trim(self.graph.parent, "*.ort", _KEPT_GRAPHS - 1)
        for path in self.graph.parent.glob("*.sha256"):
            if not path.with_suffix(".ort").exists():
                writer.remove(path)
        writer.replace(self.digest, hashlib.sha256(graph).hexdigest().encode("ascii"))
        writer.replace(self.graph, graph)


def session_options(threads: int) -> ort.SessionOptions:
    """The options of every session. Threads do not spin, which would waste processor time between two frames."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _LOG_ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NOWHERE)
    return options


def open_session(card: Card, precision: str, threads: int, cache: GraphCache | None = None) -> ort.InferenceSession:
    """Open a session for one of the card's files. Raises ModelRejected if it is not the file the card describes."""
    sha256 = _checked_sha256(card, precision)
    if cache is None:
        return _from_graph(card, precision, session_options(threads))
    entry = cache.entry(sha256, threads)
    return (
        _from_cache(cache.storage, entry, threads)
        or _optimised(cache.storage, card, precision, threads, entry)
        or _from_graph(card, precision, session_options(threads))
    )


def _checked_sha256(card: Card, precision: str) -> str:
    path, expected = card.path(precision), card.files[precision].sha256
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelRejected(
            f"The model file {path} cannot be read ({error.strerror}).", "Restore the file, or choose another model."
        ) from error
    if found != expected:
        raise _another(path)
    return found


def _another(path: Path) -> ModelRejected:
    return ModelRejected(
        f"The model file {path} is not the one its card describes (its SHA-256 differs).",
        "Restore the file, or make a new card with `lookout models add`.",
    )


def _from_graph(card: Card, precision: str, options: ort.SessionOptions) -> ort.InferenceSession:
    """Open the graph from bytes, so that weights outside the file are refused (see _NOWHERE)."""
    path = card.path(precision)
    try:
        graph = read_regular(path, MAX_GRAPH_BYTES)
        if hashlib.sha256(graph).hexdigest() != card.files[precision].sha256:
            raise _another(path)  # replaced since it was checked; it would be cached under the wrong key
        return ort.InferenceSession(graph, options, providers=_PROVIDERS)
    except ModelRejected:
        raise
    except Exception as error:  # onnxruntime's errors have no common base class
        raise ModelRejected(
            f"The model file {path} is not an ONNX graph that can run here: {one_line(error)}.",
            "Export it again with opset 17 or newer and the weights inside the file.",
        ) from error


def _from_cache(storage: Storage, entry: _Entry, threads: int) -> ort.InferenceSession | None:
    """Open the cached graph. None if it is missing or damaged, or the process died while loading it last time."""
    try:
        if with_timeout(entry.graph.parent, entry.loading.exists, CACHE_DEADLINE_S):
            log.warning("The last start ended while loading %s; it is recreated.", entry.graph.name)
            storage.run(entry.discard)
        if not with_timeout(entry.graph.parent, entry.is_whole, CACHE_DEADLINE_S):
            return None
        with _marked(storage, entry.loading):
            return ort.InferenceSession(str(entry.graph), session_options(threads), providers=_PROVIDERS)
    except (OSError, StateFolderUnusable) as error:
        log.info("The optimised graph %s cannot be used now: %s", entry.graph.name, one_line(error))
    except Exception as error:  # a failing cache must not fail the service
        log.warning("The optimised graph %s cannot be used and is recreated: %s.", entry.graph.name, one_line(error))
        storage.later(entry.discard, "The removal of the optimised graph")
    return None


@contextlib.contextmanager
def _marked(storage: Storage, mark: Path) -> Iterator[None]:
    """Keep a marker file while the body runs; it remains if the process dies. Raises StateFolderUnusable."""
    storage.run(lambda writer: writer.mark(mark))
    try:
        yield
    finally:
        storage.run(lambda writer: writer.remove(mark))


def _optimised(
    storage: Storage, card: Card, precision: str, threads: int, entry: _Entry
) -> ort.InferenceSession | None:
    """Optimise the graph, open the result, and let the writer store it later. None if that fails.

    The session that optimised the graph is dropped, because it holds the weights twice.
    """
    saving, loading = session_options(threads), session_options(threads)
    saving.add_session_config_entry("session.save_model_format", "ORT")
    loading.add_session_config_entry("session.load_model_format", "ORT")
    memory = os.memfd_create("optimised graph", os.MFD_CLOEXEC)
    try:
        saving.optimized_model_filepath = f"/proc/self/fd/{memory}"
        _from_graph(card, precision, saving)
        session = ort.InferenceSession(f"/proc/self/fd/{memory}", loading, providers=_PROVIDERS)
        graph = mmap.mmap(memory, 0, prot=mmap.PROT_READ)
    except Exception as error:  # the graph may be fine and only memory be short
        log.info("The graph is used as it is: %s.", one_line(error))
        return None
    finally:
        os.close(memory)
    storage.later(lambda writer: entry.keep(writer, graph), "The optimised graph")
    return session


_MAX_REASON = 200
# The parts that onnxruntime adds to a reason: its error class, the place in its source, the node.
_ERROR_CLASS = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_SOURCE_PLACE = re.compile(r"\S*/onnxruntime/\S+\.(?:cc|h):\d+ .*?\) (?=[A-Z])")
_IN_NODE = re.compile(r"^Non-zero status code returned while running (\w+) node\..*?Status Message: (.*)$")
_NEWER_IR = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
_NEWER_OPSET = re.compile(r"Opset (\d+) is under development.*support for domain (\S+) is till opset (\d+)")


def one_line(error: Exception) -> str:
    """The reason for an error, short enough for a sentence and without onnxruntime's internals."""
    text = " ".join(str(error).split())
    text = _SOURCE_PLACE.sub("", _ERROR_CLASS.sub("", text)).removeprefix("This is an invalid model. ")
    if found := _NEWER_IR.search(text):
        return f"its ONNX IR version is {found[1]}, onnxruntime {ort.__version__} reads {found[2]} at most"
    if found := _NEWER_OPSET.search(text):
        return f"its opset of {found[2]} is {found[1]}, onnxruntime {ort.__version__} knows {found[3]} at most"
    if "Failed to allocate memory" in text or "bad_alloc" in text:
        return "it takes more memory than there is"
    if found := _IN_NODE.match(text):
        text = f"{found[1]}: {found[2]}" if found[2] else f"{found[1]} failed"
    if len(text) > _MAX_REASON:
        text = text[: _MAX_REASON - 1].rpartition(" ")[0] + "…"
    return text.rstrip(".") or type(error).__name__
