"""Checks of Lookout itself: settings, folders, access, port, runtime, model."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from urllib.parse import urlsplit

from lookout.auth.names import is_loopback
from lookout.auth.tokens import TokenStore
from lookout.doctor.check import Check, Context, Finding, ok, skipped
from lookout.doctor.runtime import load_runtime
from lookout.doctor.service import ask, unread_config
from lookout.errors import LookoutError
from lookout.registry.catalogue import Catalogue
from lookout.server.door import refuse_open_door
from lookout.server.tls import check_tls
from lookout.settings.folders import prepare_state_folder
from lookout.storage.lock import holder_of

# A killed child's status is minus the signal's number.
SIGILL = -4


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
    return _other_holder(context, context.loaded.state_folder) or ok(
        f"The state folder {context.loaded.state_folder} is writable."
    )


def _other_holder(context: Context, folder: Path) -> Finding | None:
    """Another service that uses the folder than the one on these settings' port: it keeps that one from starting."""
    holder, server = holder_of(folder), context.settings.server
    if holder is None or urlsplit(holder.address).port == server.port:
        return None
    where = f", which listens on {holder.address}" if holder.address else ""
    return Finding(
        "fail",
        f"The state folder {folder} is used by process {holder.process}{where}, not on port {server.port} as set here.",
        "Stop that one, or give this one another folder with --state.folder.",
    )


def _door(context: Context) -> Finding:
    server = context.settings.server
    if context.loaded is None:
        return skipped("The settings are not valid.")
    try:
        tokens = TokenStore(context.loaded.state_folder, server.token_file).tokens()
        if is_loopback(server.host):
            return ok(f"Only this machine can reach server.host {server.host}.")
        refuse_open_door(server, has_token=bool(tokens))
    except LookoutError as error:
        return Finding("fail", error.detail, error.remedy)
    if server.auth == "none":
        return Finding(
            "warn",
            f"server.auth is none: everybody who can reach {server.host}, port {server.port}, sees the camera.",
            "If that is not meant: set server.auth to token, and make a token with `lookout token`.",
        )
    return ok(f"Other machines can reach Lookout on {server.host}, with a token ({len(tokens)} made).")


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
    """A wheel built for a newer processor crashes the process that loads it."""
    status, text = load_runtime()
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
    if load_runtime()[0] != 0:  # loading it here could end this process as well
        return skipped("A model needs onnxruntime and OpenCV, which cannot be loaded: see above.")
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
    Check("access", _door),
    Check("port", _port),
    Check("runtime", _runtime),
    Check("model", _model),
)
