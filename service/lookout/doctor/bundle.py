"""The support file: what a helper needs to see, and nothing that would give access."""

from __future__ import annotations

import io
import json
import platform
import sys
import tarfile
import time
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import BinaryIO

from lookout import __version__
from lookout.doctor.check import Context, Finding
from lookout.doctor.logs import without_secrets
from lookout.errors import LookoutError
from lookout.system.fingerprint import machine


class BundleUnwritable(LookoutError):
    """The support file cannot be written."""

    code = "bundle_unwritable"
    title = "The support file cannot be written"


def open_bundle(path: Path) -> BinaryIO:
    """Open the support file for writing. Raises BundleUnwritable."""
    try:
        return path.open("wb")
    except OSError as error:
        raise BundleUnwritable(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from error


def write_bundle(file: BinaryIO, context: Context, findings: Sequence[tuple[str, Finding]]) -> None:
    """Write a .tar.gz of text files, and close it. Raises BundleUnwritable."""
    source = context.settings.camera.source
    files = {
        "findings.txt": "\n".join(f"{finding.status:8}{name}: {finding.detail}" for name, finding in findings),
        "settings.json": json.dumps(_settings(context), indent=1, ensure_ascii=False),
        "versions.json": json.dumps(_versions(), indent=1),
        "machine.txt": "\n".join(_machine(context)),
        "log.txt": "\n".join(context.log or ["The log was not read: see the finding `log`."]),
    }
    try:
        with file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, text in files.items():
                clean = "\n".join(without_secrets(line, source) for line in text.splitlines()) + "\n"
                _add(archive, f"lookout-support/{name}", clean.encode("utf-8", "replace"))
    except OSError as error:
        raise BundleUnwritable(f"{file.name} cannot be written: {error.strerror}.", "Choose another place.") from error


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o644
    archive.addfile(entry, io.BytesIO(data))


def _settings(context: Context) -> dict[str, object]:
    if context.loaded is None:
        return {"problem": context.problem.detail if context.problem else ""}
    loaded = context.loaded
    return {key: {"value": loaded.value_of(key), "from": str(origin)} for key, origin in loaded.origins.items()}


def _versions() -> dict[str, str]:
    installed = {str(dist.metadata["Name"]): dist.version for dist in distributions() if dist.metadata["Name"]}
    return {"lookout": __version__, "python": sys.version, **dict(sorted(installed.items()))}


def _machine(context: Context) -> list[str]:
    return [
        str(machine(context.root)),
        platform.platform(),
        context.text("etc/os-release"),
        context.text("proc/meminfo"),
        context.text("boot/firmware/config.txt"),
    ]
