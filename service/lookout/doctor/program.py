"""Checks of Lookout itself: settings, folders, port, runtime, model."""

from __future__ import annotations

import errno
import socket
import sys

from lookout.doctor.check import Check, Context, Finding, ok, output_of, skipped
from lookout.doctor.service import ask, unread_config
from lookout.errors import LookoutError
from lookout.registry.catalogue import Catalogue
from lookout.server.tls import check_tls
from lookout.settings.folders import prepare_state_folder

# A killed child's status is minus the signal's number.
SIGILL = -4
RUNTIME_S = 60.0


def _settings(context: Context) -> Finding:
    if context.problem is not None:
        return Finding("fail", context.problem.detail, context.problem.remedy)
    try:
        check_tls(context.settings.server)
    except LookoutError as error:
        return Finding("fail", error.detail, error.remedy)
    if hidden := unread_config(context):
        return Finding(
            "warn",
            f"This user may not read the service's settings file {hidden}: these checks are about the defaults.",
            "sudo lookout doctor",
        )
    config = context.loaded.config if context.loaded else None
    return ok(f"The settings are valid ({config or 'no settings file'}).")


def _state(context: Context) -> Finding:
    if context.loaded is None:
        return skipped("The settings are not valid.")
    try:
        prepare_state_folder(context.loaded.state_folder)
    except LookoutError as error:
        return Finding("fail", error.detail, error.remedy)
    return ok(f"The state folder {context.loaded.state_folder} is writable.")


def _port(context: Context) -> Finding:
    server = context.settings.server
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host, server.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                if (ask(server, "/healthz") or {}).get("status") == "ok":
                    return ok(f"Port {server.port} on {server.host} is used by Lookout, which is running and healthy.")
                return Finding(
                    "warn",
                    f"Port {server.port} on {server.host} is used by another program or an unhealthy Lookout.",
                    f"To see which: ss -ltnp 'sport = :{server.port}'. Another port: --server.port.",
                )
            return Finding(
                "fail",
                f"Lookout cannot listen on {server.host}, port {server.port}: {error.strerror or error}.",
                "Set server.host to 127.0.0.1, or to 0.0.0.0 for all, and server.port to 1024 or more.",
            )
    return ok(f"Port {server.port} on {server.host} is free.")


def _runtime(_: Context) -> Finding:
    """Import in a separate process, because a wheel built for a newer processor crashes it."""
    code = "import onnxruntime, cv2, numpy; print(onnxruntime.__version__, cv2.__version__, numpy.__version__)"
    status, text = output_of([sys.executable, "-c", code], RUNTIME_S)
    lines = text.strip().splitlines() or [""]
    if status == 0:
        runtime, vision, arrays = lines[-1].split()
        return ok(f"onnxruntime {runtime}, OpenCV {vision} and NumPy {arrays} can be loaded.")
    if status == SIGILL:
        return Finding(
            "fail",
            "onnxruntime or OpenCV uses instructions that this processor lacks (illegal instruction).",
            "Install another release: pip install 'onnxruntime!=1.21.0' in Lookout's environment.",
        )
    return Finding(
        "fail",
        f"onnxruntime or OpenCV cannot be loaded: {lines[-1] or f'exit status {status}'}.",
        "Reinstall Lookout in a fresh environment.",
    )


def _model(context: Context) -> Finding:
    from lookout.registry.loader import load

    state_folder = context.loaded.state_folder if context.loaded else None
    try:
        classifier = load(Catalogue.of(context.settings, state_folder), context.settings.model)
    except LookoutError as error:
        return Finding("fail", error.detail, error.remedy)
    return ok(f"The model {classifier.card.name} ({classifier.precision}) loads and runs.")


PROGRAM_CHECKS = (
    Check("settings", _settings),
    Check("state folder", _state),
    Check("port", _port),
    Check("runtime", _runtime),
    Check("model", _model),
)
