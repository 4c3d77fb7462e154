"""`lookout update`: shows the installed version, installs another one from a wheel, or goes back.

The wheel brings its own installer, which builds the new version beside the running one, switches to it, and switches
back if it fails.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from lookout import __version__
from lookout.errors import LookoutError
from lookout.resources import systemd_folder
from lookout.terminal import say, show

APP = Path("/opt/lookout")
MAX_WHEEL_BYTES = 200_000_000
DOWNLOAD_S = 600.0
# Building the environment on a Pi Zero 2 W with a slow card takes many minutes.
INSTALL_S = 3600.0
_VERSION_S = 30.0
_NAME = re.compile(r"lookout_camera-([0-9][0-9A-Za-z.+!_]*)-py3-none-any\.whl")
_INSTALLER = ("install.sh", "uninstall.sh", "lookout.service", "lookout@.service")


class NotUpdated(LookoutError):
    """The other version could not be installed; the current one stays."""

    code = "not_updated"
    title = "Nothing was changed"


def update(
    wheel: Annotated[
        str | None, typer.Argument(metavar="[WHEEL]", help="File or https:// URL of lookout_camera-….whl.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Return to the version from before the last update.")] = False,
) -> None:
    """Show the version that is installed, install another one from a wheel, or go back.

    The other version is built beside the running one; if it does not start, the previous one runs again.
    """
    if back and wheel is not None:
        raise typer.BadParameter("Choose one of WHEEL and --back.")
    if wheel is None and not back:
        _report()
        return
    _require_service("--back" if back else str(wheel))
    if back:
        _run(systemd_folder() / "install.sh", "--back")
        return
    assert wheel is not None
    with tempfile.TemporaryDirectory(prefix="lookout-update-") as folder:
        file = _fetch(wheel, Path(folder))
        say(f"{version_of(file.name)} replaces {__version__} if it starts.")
        _run(installer_of(file, Path(folder)), str(file))


def _report() -> None:
    show(f"Lookout {__version__}, in {sys.prefix}")
    if not is_service():
        show("Not installed as a system service by install.sh: update it the way it was installed, such as with pip.")
        return
    kept = _version_at(APP / "venv.old")
    show(f"Kept from before: {kept}" if kept else "No version from before is kept.")
    show("Another version:   sudo lookout update WHEEL      a file or an https:// address")
    if kept:
        show("Back to the other: sudo lookout update --back")


def is_service() -> bool:
    """Return whether this program runs in the environment that install.sh made."""
    return Path(sys.prefix).resolve() == (APP / "venv").resolve()


def _require_service(argument: str) -> None:
    """Raise NotUpdated unless this is the system service's program, run by root."""
    if not is_service():
        raise NotUpdated(
            f"This Lookout is in {sys.prefix}, not a system service's in {APP}.",
            "Update it the way it was installed: with pip, or as a new image.",
        )
    if os.geteuid() != 0:
        raise NotUpdated("Only root may replace the program.", f"Run: sudo lookout update {argument}")


def version_of(name: str) -> str:
    """Return the version in a wheel's name. Raises NotUpdated if it is not a wheel of Lookout."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise NotUpdated(
            f"{name} is not a wheel of Lookout.", "Its name is of the form lookout_camera-VERSION-py3-none-any.whl."
        )
    return found[1]


def installer_of(wheel: Path, folder: Path) -> Path:
    """Unpack the wheel's own install.sh with its units and return its path. Raises NotUpdated."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in _INSTALLER:
                archive.extract(f"lookout/systemd/{name}", folder)
    except (OSError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise NotUpdated(
            f"{wheel.name} is damaged, or older than `lookout update`.", "Fetch it again, or take a newer one."
        ) from error
    return folder / "lookout" / "systemd" / "install.sh"


def _fetch(wheel: str, folder: Path) -> Path:
    """Copy or download the wheel into the folder and return its path. Raises NotUpdated."""
    name = wheel.rstrip("/").rpartition("/")[2]
    version_of(name)
    target = folder / name
    try:
        if wheel.startswith("https://"):
            _download(wheel, target)
        elif "://" in wheel:
            raise NotUpdated(f"{wheel} is not fetched: anybody in between could change it.", "Use an https:// address.")
        else:
            shutil.copyfile(wheel, target)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise NotUpdated(f"{wheel} cannot be read: {reason}.", "Check the path or address.") from error
    return target


def _download(address: str, target: Path) -> None:
    """Download the wheel. Raises OSError, ValueError."""
    say(f"Downloading {address}")
    with contextlib.ExitStack() as files:
        import urllib.request  # with the modules of HTTP, TLS and mail 1.4 MB, which every other command would carry

        answer = files.enter_context(urllib.request.urlopen(address, timeout=30))
        if not answer.url.startswith("https://"):
            raise ValueError("it leads to an address without encryption")
        file = files.enter_context(target.open("wb"))
        while block := answer.read(2**20):
            if file.tell() > MAX_WHEEL_BYTES:
                raise ValueError("it is too large for a wheel of Lookout")
            file.write(block)


def _run(installer: Path, *arguments: str) -> None:
    """Run the installer. Raises NotUpdated."""
    # Run from /, because the environment of this program is replaced.
    command = ["/bin/sh", str(installer), *arguments]
    try:
        done = subprocess.run(command, cwd="/", timeout=INSTALL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotUpdated("The installer could not run to its end.", "Look at: systemctl status lookout") from error
    if done.returncode:
        raise NotUpdated("The installer failed, see above.", "What the service says: journalctl -u lookout -n 40")


def _version_at(environment: Path) -> str | None:
    """Return the version of Lookout in another environment; None if there is none that runs."""
    command = [str(environment / "bin" / "python"), "-c", "import lookout; print(lookout.__version__)"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_VERSION_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
