"""Checks of the service installed or running here: what systemd reports, what it reports itself, its log."""

from __future__ import annotations

import grp
import json
import os
import pwd
import urllib.error
from typing import Any

from lookout.doctor.check import Check, Context, Finding, ok, output_of, skipped
from lookout.healthcheck import check
from lookout.settings.schema import ServerSettings

ANSWER_S = 2.0
_MAX_ANSWER_BYTES = 256 * 1024
SERVICE_USER = "lookout"
# The same as in the unit.
_GROUPS = ("video", "render")
_UNIT = "lookout.service"
_PROPERTIES = (
    *("LoadState", "UnitFileState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "StatusText"),
    "NeedDaemonReload",
)
_READ_LOG = "journalctl -u lookout -n 20"
# The exit statuses of `lookout serve`.
_STATUS = {
    "2": "its command line is not valid",
    "3": "a setting, a model or the state folder cannot be used",
    "5": "its port or its state folder is in use",
}


def become_service_user() -> bool:
    """Switch to the rights of the installed service's user for good, if this is root. Return whether that was done.

    Root may do everything, so that its checks of permissions would show nothing about the service.
    """
    if os.geteuid() != 0 or not unit():
        return False
    try:
        user = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return False
    groups = [found.gr_gid for name in _GROUPS if (found := _group(name))]
    os.setgroups([user.pw_gid, *groups])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    for name in [name for name in os.environ if name.startswith("XDG_")]:
        del os.environ[name]
    os.environ["HOME"] = user.pw_dir
    return True


def _group(name: str) -> grp.struct_group | None:
    try:
        return grp.getgrnam(name)
    except KeyError:
        return None


def unit() -> dict[str, str]:
    """Return what systemd knows about the installed service; empty without systemd or such a unit."""
    status, text = output_of(["systemctl", "show", _UNIT, *(f"--property={name}" for name in _PROPERTIES)])
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line) if status == 0 else {}
    return found if found.get("LoadState") not in (None, "", "not-found") else {}


def ask(server: ServerSettings, path: str) -> dict[str, Any] | None:
    """Return the JSON object, be it an error, that a Lookout with these settings returns here; None if none runs."""
    scheme = "https" if server.tls_certificate else "http"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)
    name = f"[{host}]" if ":" in host else host
    try:
        text = check(f"{scheme}://{name}:{server.port}{path}", ANSWER_S, _MAX_ANSWER_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(_MAX_ANSWER_BYTES)
    except OSError:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _service(context: Context) -> Finding:
    installed = unit()
    if trouble := _unit_trouble(installed):
        return trouble
    ready = ask(context.settings.server, "/readyz")
    if ready is None or not ({"camera", "code"} & set(ready)):
        return _silent(context, installed)
    if "camera" not in ready:
        said = f"Lookout is running here, but is not ready: {ready.get('detail') or ready.get('title')}"
        return Finding("fail", said, str(ready.get("remedy") or _READ_LOG))
    if ready["camera"] == "streaming":
        return _after_a_restart(installed) or ok("Lookout is running here and gets pictures.")
    if ready["camera"] == "paused":
        return Finding("warn", "Lookout is running here, and its camera is paused.", "Resume it on the dashboard.")
    return _camera_trouble(context, str(ready["camera"]), installed)


def _unit_trouble(installed: dict[str, str]) -> Finding | None:
    """Return what systemd reports as wrong; None if nothing is."""
    if trouble := _file_trouble(installed):
        return trouble
    state, status = installed.get("ActiveState"), installed.get("ExecMainStatus", "")
    why = f"exit status {status}" + (f": {_STATUS[status]}" if status in _STATUS else "")
    if state == "failed":
        fix = f"{_READ_LOG} says more; when that is fixed: sudo systemctl restart lookout."
        return Finding("fail", f"The service has failed ({installed.get('Result')}, {why}).", fix)
    if state == "activating" and installed.get("SubState") == "auto-restart":
        times = installed.get("NRestarts", "?")
        return Finding("fail", f"The service keeps ending ({why}) and was restarted {times} times.", _READ_LOG)
    if state == "inactive":
        return Finding("warn", "The service is installed, but not running.", "sudo systemctl enable --now lookout")
    return None


def _file_trouble(installed: dict[str, str]) -> Finding | None:
    """What keeps systemd from using the unit as it is installed; None if nothing."""
    loaded = installed.get("LoadState", "loaded")
    if loaded == "masked":
        fix = "sudo systemctl unmask lookout; then: sudo systemctl enable --now lookout"
        return Finding("fail", "The service is masked, so that nothing can start it.", fix)
    if loaded != "loaded":
        fix = "systemd-analyze verify lookout.service shows the line; the installer writes the file anew."
        return Finding("fail", f"systemd cannot use the service's unit file ({loaded}).", fix)
    return None


def _after_a_restart(installed: dict[str, str]) -> Finding | None:
    """What will be different after a restart of a service that runs now; None if nothing."""
    if installed.get("NeedDaemonReload") == "yes":
        fix = "sudo systemctl daemon-reload; then: sudo systemctl restart lookout"
        return Finding("warn", "The service's unit file was changed, and systemd still uses the old one.", fix)
    if installed.get("UnitFileState") == "disabled" and installed.get("ActiveState") == "active":
        fix = "sudo systemctl enable lookout"
        return Finding("warn", "The service is running, but will not start with the machine: it is disabled.", fix)
    return None


def _silent(context: Context, installed: dict[str, str]) -> Finding:
    server = context.settings.server
    if installed.get("ActiveState") not in ("active", "reloading"):
        return skipped(f"No Lookout answers on {server.host}, port {server.port}.")
    if unread_config(context):
        said = installed.get("StatusText") or "nothing"
        return ok(f"The service is running (this user may not read where it listens) and reports: {said}")
    return Finding(
        "fail",
        f"The service is running, but does not answer on {server.host}, port {server.port}, within {ANSWER_S:g} s.",
        "If the settings were changed since it started: sudo systemctl restart lookout.",
    )


def _camera_trouble(context: Context, status: str, installed: dict[str, str]) -> Finding:
    state = ask(context.settings.server, "/api/state") or {}
    camera = state.get("camera")
    if isinstance(camera, dict) and camera.get("reason"):
        reason, remedy = str(camera["reason"]), str(camera.get("remedy") or _READ_LOG)
    else:  # it needs a token before it reports more
        reason, remedy = installed.get("StatusText", ""), f"{_READ_LOG} says why."
    return Finding("fail", f"Lookout is running here, and its camera is {status}. {reason}".strip(), remedy)


def unread_config(context: Context) -> str:
    """Return the service's settings file if it exists but this user may not read it, else empty."""
    path = context.root / "etc/lookout/lookout.toml"
    if context.loaded is not None and context.loaded.config is not None:
        return ""
    try:
        hidden = path.exists() and not os.access(path, os.R_OK)
    except PermissionError:
        hidden = True
    return str(path) if hidden else ""


def _log(context: Context) -> Finding:
    if context.log is None:
        return skipped("The log was not requested.")
    if context.log:
        return ok(f"The log's last {len(context.log)} lines were read; their meaning is below.")
    if not unit():
        return skipped("There is no journal of an installed service.")
    if os.geteuid() == 0 or context.was_root:
        return skipped("The journal contains no line of the service.")
    return Finding("warn", "This user may not read the service's log, so it was not checked.", "sudo lookout doctor")


SERVICE_CHECKS = (
    Check("service", _service),
    Check("log", _log),
)
