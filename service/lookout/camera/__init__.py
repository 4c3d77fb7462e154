"""Cameras: from an address to a source of frames. Importing this loads neither OpenCV nor NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lookout.camera.address import Address, is_live, parse, shows_one_scene

if TYPE_CHECKING:
    from lookout.camera.interface import Camera, CameraOptions

__all__ = [
    "create",
    "fetch_picture",
    "is_live",
    "parse",
    "shows_one_scene",
]


def create(address: str, options: CameraOptions, *, isolated: bool) -> Camera:
    """Create the camera for an address. It is not open yet.

    isolated: run it in a separate process, so that a driver, decoder or disk that hangs or fails affects nothing else.
    Raises CameraUnsupported if the address is not valid.
    """
    parsed = parse(address)
    if parsed.kind == "auto":
        from lookout.camera.auto import AutoCamera

        return AutoCamera(options, lambda found: create(found, options, isolated=isolated))
    if isolated:
        from lookout.camera.isolation.camera import IsolatedCamera

        return IsolatedCamera(address, options)
    return _in_process(parsed, options)


def fetch_picture(address: str, answer_s: float, whole_s: float, limit: int) -> tuple[bytes | None, list[str]]:
    """Fetch the picture at a web address; see `sources.http_feed.fetch_picture`. Raises CameraError."""
    from lookout.camera.sources import http_feed

    return http_feed.fetch_picture(address, answer_s, whole_s, limit)


def _in_process(address: Address, options: CameraOptions) -> Camera:
    # Each source is imported on demand: the Pi camera's process must not load OpenCV.
    match address.kind:
        case "pi":
            from lookout.camera.sources.pi import PiCamera

            return PiCamera(address.rest, options)
        case "usb":
            from lookout.camera.sources.usb import UsbCamera

            return UsbCamera(address.rest, options)
        case "rtsp" | "http":
            from lookout.camera.sources.stream import StreamCamera

            return StreamCamera(address.rest, options)
        case "file":
            from lookout.camera.sources.files import open_file

            return open_file(address.rest, options)
        case "folder":
            from lookout.camera.sources.folder import FolderCamera

            return FolderCamera(address.rest, options)
        case "scripted":
            from lookout.camera.sources.scripted import ScriptedCamera

            return ScriptedCamera(address.rest, options)
        case _:
            from lookout.camera.sources.demo import DemoCamera

            return DemoCamera(options)
