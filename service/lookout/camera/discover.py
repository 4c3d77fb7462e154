"""Finds the connected cameras, for `lookout cameras` and for the address `auto`. Opens none of them."""

from __future__ import annotations

from dataclasses import dataclass

from lookout.camera.interpreters import INSTALL, candidates, probe
from lookout.camera.sources import v4l2
from lookout.deadline import Deadline


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """A connected camera.

    kind: "pi" or "usb". address: for camera.source. name: the name of the sensor or product. note: its id or device.
    """

    kind: str
    address: str
    name: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Discovery:
    """The result of a search.

    cameras: best first. reasons: why no Pi or USB camera was found, one sentence each, without a full stop.
    """

    cameras: tuple[FoundCamera, ...]
    reasons: tuple[str, ...]
    remedies: tuple[str, ...]


def discover(python: str, deadline: Deadline) -> Discovery:
    """Search for Pi cameras, then USB cameras. python: the setting camera.python. Never raises."""
    pi, pi_reason, pi_remedy = _pi(python, deadline)
    usb, usb_reason, usb_remedy = _usb()
    return Discovery(
        (*pi, *usb),
        tuple(reason for reason in (pi_reason, usb_reason) if reason),
        tuple(remedy for remedy in (pi_remedy, usb_remedy) if remedy),
    )


def _pi(python: str, deadline: Deadline) -> tuple[list[FoundCamera], str, str]:
    errors = []
    for interpreter in candidates(python):
        found = probe(interpreter, deadline, cameras=True)
        if found.error:
            errors.append(f"{interpreter}: {found.error}")
            continue
        cameras = [
            FoundCamera("pi", f"pi:{number}", str(entry.get("Model", "camera")), str(entry.get("Id", "")))
            for number, entry in enumerate(found.cameras)
            if "usb" not in str(entry.get("Id", "")).lower()  # libcamera lists USB cameras too; they come below
        ]
        if cameras:
            return cameras, "", ""
        return [], "libcamera finds no Pi camera", "Check both ends of the ribbon cable and camera_auto_detect=1."
    if all(error.endswith("No module named 'picamera2'") for error in errors):
        return [], "picamera2 is not installed", INSTALL
    return [], f"picamera2 is not usable ({'; '.join(errors)})", INSTALL


def _usb() -> tuple[list[FoundCamera], str, str]:
    devices, refused = v4l2.cameras()
    found = [FoundCamera("usb", device.address, device.card or device.driver, device.path) for device in devices]
    if found:
        return found, "", ""
    if refused:
        return [], refused[0].detail.rstrip("."), refused[0].remedy
    return [], "no USB camera is plugged in", "Plug a camera in; it is picked up by itself."
