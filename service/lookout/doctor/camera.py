"""Checks of what is between a camera and its pictures: libraries, devices, permissions, other programs."""

from __future__ import annotations

import contextlib
import grp
import os
import re
from pathlib import Path

from lookout.camera.address import parse
from lookout.camera.discover import Discovery, discover
from lookout.camera.interpreters import INSTALL, candidates, probe
from lookout.deadline import Deadline
from lookout.doctor.check import Check, Context, Finding, Status, ok, skipped
from lookout.doctor.runtime import load_runtime
from lookout.doctor.service import ask
from lookout.doctor.sightings import explain
from lookout.errors import CameraError, CameraUnsupported

DEADLINE_S = 40.0
# Seconds for opening a stream, and again for its first picture.
TRY_S = 12.0
_GROUPS = ("video", "render")


def _kind(context: Context) -> str:
    try:
        return parse(context.settings.camera.source).kind
    except CameraUnsupported:
        return ""


def _picamera2(context: Context) -> Finding:
    if _kind(context) not in ("auto", "pi"):
        return skipped(f"The source is {_source(context)}: no Pi camera is needed.")
    if not _may_have_pi_camera(context):
        return skipped("This is not a Raspberry Pi: no Pi camera is needed.")
    errors = []
    for python in candidates(context.settings.camera.python):
        found = probe(python, Deadline.after(DEADLINE_S))
        if not found.error:
            return ok(f"picamera2 works with {python}.")
        errors.append(f"{python}: {found.error}")
    status: Status = "fail" if context.is_pi else "warn"
    known = [sighting.known for sighting in explain(errors)]
    for line in sorted(known, key=lambda line: "picamera2" in line.pattern.pattern):  # the more specific ones first
        return Finding(status, f"The Pi camera cannot be used. {line.detail}", line.remedy)
    return Finding(status, f"picamera2 cannot be used ({'; '.join(errors)}).", INSTALL)


def _found(context: Context) -> Finding:
    try:
        kind = parse(context.settings.camera.source).kind
    except CameraUnsupported as error:
        return Finding("fail", error.detail, error.remedy)
    if kind in ("demo", "scripted"):
        return skipped(f"The source is {_source(context)}: no camera is needed.")
    if kind not in ("auto", "pi", "usb"):
        return _tried(context)
    seen = discover(context.settings.camera.python, Deadline.after(DEADLINE_S))
    if seen.cameras:
        return ok("Found " + ", ".join(f"{camera.name} ({camera.address})" for camera in seen.cameras) + ".")
    return _not_found(seen, about_pi=_may_have_pi_camera(context))


def _tried(context: Context) -> Finding:
    """Open a stream or file and take one picture, unless the running service already gets its pictures."""
    ready = ask(context.settings.server, "/readyz")
    if ready and ready.get("camera") == "streaming":
        return ok("The running service gets the source's pictures.")
    if load_runtime()[0] != 0:
        return skipped("A stream or file is read with OpenCV, which cannot be loaded with onnxruntime: see below.")
    from lookout.camera import create
    from lookout.camera.interface import CameraOptions

    camera = context.settings.camera
    try:
        with contextlib.closing(create(camera.source, CameraOptions(pace=False), isolated=True)) as source:
            source.open(Deadline.after(TRY_S))
            frame = source.read(Deadline.after(TRY_S))
    except CameraError as error:
        return Finding("fail", f"{_source(context)}: {error.detail}", error.remedy or "Check the address.")
    height, width = frame.pixels.shape[:2]
    return ok(f"{_source(context)} delivers pictures of {width}×{height} pixels.")


def _not_found(seen: Discovery, *, about_pi: bool) -> Finding:
    """Return the finding that there is no camera; what interpreters report about picamera2 is left to their check."""
    if not about_pi:
        fix = f"{seen.remedies[-1]} Or use a stream with --source rtsp://…, or try: lookout demo."
        return Finding("fail", f"No camera was found: {seen.reasons[-1]}.", fix)
    reasons = [reason.partition(" (")[0] if "picamera2" in reason else reason for reason in seen.reasons]
    if "picamera2" in seen.reasons[0]:
        fix = seen.remedies[0]
    else:
        fix = "Switch off, push both ends of the ribbon in again; then check: rpicam-hello --list-cameras."
    return Finding("fail", f"No camera was found: {'; '.join(reasons)}.", fix)


def _may_have_pi_camera(context: Context) -> bool:
    return context.is_pi or _kind(context) == "pi"


def _source(context: Context) -> str:
    from lookout.redaction import redact

    return redact(context.settings.camera.source)


def _devices(context: Context) -> Finding:
    nodes = [
        path for pattern in ("video*", "media*", "dma_heap/*") for path in sorted((context.root / "dev").glob(pattern))
    ]
    if not nodes:
        return skipped("There are no camera devices (/dev/video*, /dev/media*).")
    closed = [path for path in nodes if not os.access(path, os.R_OK | os.W_OK)]
    if not closed:
        return ok(f"This user may use all {len(nodes)} camera devices.")
    groups = {_group_of(path) for path in closed} & set(_GROUPS) or {"video"}
    return Finding(
        "fail",
        f"This user may not use {_listed(closed)}.",
        f"sudo usermod -aG {','.join(sorted(groups))} {_user()}, then log in again. In a container: "
        f"--device {closed[0]}.",
    )


def _listed(paths: list[Path]) -> str:
    names = [str(path) for path in paths[:3]]
    return ", ".join(names) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _group_of(path: Path) -> str:
    try:
        return grp.getgrgid(path.stat().st_gid).gr_name
    except (OSError, KeyError):
        return ""


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _holders(context: Context) -> Finding:
    """Return the programs that have a camera device open; /proc/*/fd shows them without fuser."""
    seen: dict[str, set[str]] = {}
    own = {os.getpid(), os.getppid()}
    for process in (context.root / "proc").glob("[0-9]*"):
        if int(process.name) in own:
            continue
        try:
            targets = {str(link.readlink()) for link in (process / "fd").iterdir()}
        except OSError:
            continue
        held = {target for target in targets if re.match(r"/dev/(video|media)\d+$", target)}
        if held:
            name = context.text(f"proc/{process.name}/comm") or "a program"
            seen.setdefault(f"{name} (process {process.name})", set()).update(held)
    if not seen:
        hidden = "" if os.geteuid() == 0 else " that this user can see; sudo shows all"
        return ok(f"No other program holds a camera{hidden}.")
    who = "; ".join(f"{name} holds {', '.join(sorted(held))}" for name, held in sorted(seen.items()))
    return Finding("warn", f"{who}.", "If that is not Lookout itself, stop it: only one program can use a camera.")


def _legacy(context: Context) -> Finding:
    for path in ("boot/firmware/config.txt", "boot/config.txt"):
        text = context.text(path)
        if not text:
            continue
        lines = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
        if any(re.match(r"start_x\s*=\s*1", line) for line in lines):
            return Finding(
                "fail",
                f"/{path} turns the old camera system on (start_x=1).",
                f"Remove that line from /{path} and restart.",
            )
        if not any(re.match(r"(camera_auto_detect\s*=\s*1|dtoverlay\s*=\s*(imx|ov))", line) for line in lines):
            return Finding(
                "warn",
                f"/{path} neither detects cameras nor names one.",
                "Add camera_auto_detect=1 (for a camera of another maker: its dtoverlay=…) and restart.",
            )
        return ok(f"/{path} enables the detection of cameras.")
    return skipped("There is no config.txt: this is not a Raspberry Pi.")


CAMERA_CHECKS = (
    Check("pi camera", _picamera2),
    Check("config.txt", _legacy),
    Check("camera", _found),
    Check("permissions", _devices),
    Check("camera in use", _holders, as_root=True),
)
