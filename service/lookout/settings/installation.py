"""The command line that reaches this installation, whether a Pi's service, a container or a private folder."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from lookout.settings.folders import default_config
from lookout.settings.layers import LoadedSettings
from lookout.settings.schema import ServerSettings

SERVICE_FOLDER = Path("/var/lib/lookout")
UNIT_FOLDER = Path("/etc/systemd/system")
_CONTAINER_MARKS = {Path("/.dockerenv"): "docker", Path("/run/.containerenv"): "podman"}


def command(loaded: LoadedSettings, verb: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the command line by which `lookout VERB` uses this process's settings and state folder."""
    environ = os.environ if environ is None else environ
    if engine := _container(environ):
        return f"{engine} exec {socket.gethostname()} lookout {verb}"
    origin = loaded.origins["state.folder"].kind
    words = []
    if "STATE_DIRECTORY" in environ:  # systemd's
        words += ["sudo", "-u", user_name(os.geteuid())]
        if origin != "file":
            words.append(f"STATE_DIRECTORY={shlex.quote(str(loaded.state_folder))}")
    elif origin in ("flag", "environment"):
        words.append(f"LOOKOUT_STATE__FOLDER={_path(loaded.state_folder)}")
    words += [_program(), verb]
    if loaded.config is not None and loaded.config != default_config(environ):
        words += ["--config", _path(loaded.config)]
    return " ".join(words)


def address_for_others(server: ServerSettings) -> str:
    """Return the URL of a service with these settings, for other machines if they can reach it. Ends in a slash."""
    host = server.host
    if host in ("0.0.0.0", "::"):
        host = f"{socket.gethostname().partition('.')[0]}.local"
    scheme = "https" if server.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}{server.root_path}/"


def service_owner() -> int | None:
    """Return the id of the user that the installed system service runs as; None if no such service is installed."""
    try:
        is_installed = any(UNIT_FOLDER.glob("lookout*.service"))
        return SERVICE_FOLDER.stat().st_uid if is_installed else None
    except OSError:
        return None


def user_name(number: int) -> str:
    """Return a user's name, or the number if there is no name."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _container(environ: Mapping[str, str]) -> str:
    """Return docker or podman if this is Lookout's image (recognised by its state folder), else ""."""
    if environ.get("LOOKOUT_STATE__FOLDER") != str(SERVICE_FOLDER):
        return ""
    return next((engine for mark, engine in _CONTAINER_MARKS.items() if mark.exists()), "")


def _program() -> str:
    """Return how to call this program from any folder."""
    started = Path(sys.argv[0]).absolute()
    if started.name != "lookout":
        return f"{_path(Path(sys.executable))} -m lookout"
    found = shutil.which("lookout")
    return "lookout" if found and Path(found).resolve() == started.resolve() else _path(started)


def _path(path: Path) -> str:
    """Quoted for a shell; a path in the home folder starts with ~, so that it does not show the user's name."""
    home = os.environ.get("HOME", "")
    if len(home) > 1 and path.is_relative_to(home):
        return f"~/{shlex.quote(str(path.relative_to(home)))}"
    return shlex.quote(str(path))
