"""Video4Linux devices, and which of them are cameras according to the kernel. Standard library only."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from lookout.errors import CameraAbsent, CameraBusy, CameraDenied, CameraError, CameraUnsupported

_QUERYCAP = 0x80685600  # VIDIOC_QUERYCAP: _IOR('V', 0, struct v4l2_capability), 104 bytes
_CAPABILITY = struct.Struct("16s32s32sIII12x")
_VIDEO_CAPTURE, _VIDEO_CAPTURE_MPLANE = 0x00000001, 0x00001000
_STREAMING, _DEVICE_CAPS = 0x04000000, 0x80000000
# On a Pi most video nodes are not cameras but codecs, image processors and raw sensors, which only libcamera can use.
_NO_CAMERAS = re.compile(r"^(bcm2835-(codec|isp)|bcm2835 mmal|unicam|rp1-cfe|pispbe|rpi-hevc-dec|rpivid)")
BY_ID = Path("/dev/v4l/by-id")
DEV = Path("/dev")


@dataclass(frozen=True, slots=True)
class Device:
    """A node under /dev. address: a name that stays the same in another USB port, if there is one."""

    path: str
    driver: str
    card: str
    camera: bool
    address: str


def query(path: str) -> Device:
    """Query the kernel about a node. Raises CameraAbsent, CameraDenied, CameraBusy or CameraUnsupported."""
    answer = bytearray(_CAPABILITY.size)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _reason(path, error) from None
    try:
        fcntl.ioctl(descriptor, _QUERYCAP, answer)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            raise CameraUnsupported(f"{path} is not a video device.", "'lookout cameras' lists those found.") from None
        raise _reason(path, error) from None
    finally:
        os.close(descriptor)
    driver, card, _, _, capabilities, own = _CAPABILITY.unpack(answer)
    flags = own if capabilities & _DEVICE_CAPS else capabilities
    name, model = _text(driver), _text(card)
    captures = bool(flags & (_VIDEO_CAPTURE | _VIDEO_CAPTURE_MPLANE)) and bool(flags & _STREAMING)
    return Device(path, name, model, captures and not _NO_CAMERAS.match(name), _stable_name(path))


def cameras() -> tuple[list[Device], list[CameraError]]:
    """Return the nodes that are cameras, ordered by number, and the errors of those that could not be queried."""
    found, refused = [], []
    for path in sorted(DEV.glob("video*"), key=lambda path: (len(path.name), path.name)):
        try:
            device = query(str(path))
        except CameraUnsupported:
            continue
        except CameraError as error:
            refused.append(error)
            continue
        if device.camera:
            found.append(device)
    return found, refused


def resolve(rest: str) -> str:
    """The node for the part after `usb:`: a number, a path under /dev, or a name under /dev/v4l/by-id."""
    if rest.isdecimal():
        return str(DEV / f"video{rest}")
    path = Path(rest) if rest.startswith("/") else BY_ID / rest
    return str(path.resolve()) if path.is_symlink() else str(path)


def _stable_name(path: str) -> str:
    if BY_ID.is_dir():
        for link in sorted(BY_ID.iterdir()):
            if str(link.resolve()) == path:
                return f"usb:{link}"
    return f"usb:{path}"


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def _reason(path: str, error: OSError) -> CameraError:
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return CameraAbsent(f"There is no camera at {path}.", "Plug it in; 'lookout cameras' lists those found.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return CameraDenied(
            f"This user may not open {path}.",
            "Add the user to the group video (sudo usermod -aG video USER) and log in again.",
        )
    if error.errno == errno.EBUSY:
        return busy(path)
    return CameraError(f"{path} cannot be opened: {error.strerror}.", "Unplug the camera and plug it in again.")


def busy(path: str) -> CameraBusy:
    """The error for a node that another program seems to hold."""
    return CameraBusy(f"Another program holds {path}.", f"'sudo fuser -v {path}' names it; stop that program.")
