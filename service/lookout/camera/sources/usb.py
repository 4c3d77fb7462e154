"""USB cameras through Video4Linux: in MJPG if the camera supports it, and always the newest frame."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from lookout.camera.convert import turned_size, upright
from lookout.camera.interface import CameraInfo, CameraOptions
from lookout.camera.sources import v4l2
from lookout.camera.sources.grabber import Grabber, Taken
from lookout.deadline import Deadline
from lookout.errors import CameraAbsent, CameraError, CameraSilent, CameraUnsupported
from lookout.frame import Frame

FAILED_READS = 2  # in a row: the first may be one corrupt buffer
OLDEST_S = 5.0  # a kernel timestamp further back than this is from another clock

# The names in camera.controls for USB cameras. For the values of a driver, see v4l2-ctl --list-ctrls.
CONTROLS = {
    "brightness": cv2.CAP_PROP_BRIGHTNESS,
    "contrast": cv2.CAP_PROP_CONTRAST,
    "saturation": cv2.CAP_PROP_SATURATION,
    "hue": cv2.CAP_PROP_HUE,
    "gain": cv2.CAP_PROP_GAIN,
    "exposure": cv2.CAP_PROP_EXPOSURE,
    "auto_exposure": cv2.CAP_PROP_AUTO_EXPOSURE,
    "sharpness": cv2.CAP_PROP_SHARPNESS,
    "focus": cv2.CAP_PROP_FOCUS,
    "autofocus": cv2.CAP_PROP_AUTOFOCUS,
    "zoom": cv2.CAP_PROP_ZOOM,
    "backlight": cv2.CAP_PROP_BACKLIGHT,
    "white_balance": cv2.CAP_PROP_WB_TEMPERATURE,
    "auto_white_balance": cv2.CAP_PROP_AUTO_WB,
}


class UsbCamera:
    """A camera with a /dev/video node. rest: the part after `usb:`, a number, a path or a name under by-id."""

    def __init__(self, rest: str, options: CameraOptions) -> None:
        self._rest, self._options = rest, options
        self._source = f"usb:{rest}" if not rest.isdecimal() else f"usb:{int(rest)}"
        self._path = ""
        self._name = ""
        self._failed = 0
        self._info: CameraInfo | None = None
        self._grabber: Grabber[cv2.VideoCapture] | None = None

    @property
    def info(self) -> CameraInfo:
        if self._info is None:
            raise CameraError(f"The camera {self._source} is not open.", "Open it first.")
        return self._info

    def open(self, deadline: Deadline) -> None:
        """Find the node, ask the kernel whether it is a camera, and start it. Raises CameraError with the reason."""
        self.close()
        self._path = v4l2.resolve(self._rest)
        device = v4l2.query(self._path)
        if not device.camera:
            raise CameraUnsupported(
                f"{self._path} ({device.card or device.driver}) delivers no pictures.",
                "'lookout cameras' lists those that do; a Raspberry Pi camera is pi:0.",
            )
        self._name, self._failed = device.card, 0
        self._grabber = Grabber(self._path, self._started, self._take)
        late = CameraSilent(f"{self._path} did not start in time.", "Unplug the camera and plug it in again.")
        self._grabber.open(deadline, late)

    def read(self, deadline: Deadline) -> Frame:
        """Return the newest frame. Raises CameraAbsent if the camera was unplugged."""
        if self._grabber is None:
            raise CameraError(f"The camera {self._source} was closed.", "Open it again.")
        taken, sequence = self._grabber.next(deadline)
        return Frame(taken.pixels, taken.captured_at, sequence, self._source)

    def close(self) -> None:
        grabber, self._grabber = self._grabber, None
        if grabber is not None:
            grabber.stop()

    def _started(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(self._path, cv2.CAP_V4L2)
        try:
            if not capture.isOpened():
                raise v4l2.busy(self._path)
            notes = self._ask(capture)
            # The first frame shows whether the camera delivers anything, and in which size.
            if not capture.grab():
                raise CameraSilent(
                    f"{self._path} sends no picture.",
                    "Try another USB port, without a hub, and a smaller camera.width and camera.height.",
                )
            _, first = capture.retrieve()
        except CameraError:
            capture.release()
            raise
        options = self._options
        width = first.shape[1] if first is not None else int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = first.shape[0] if first is not None else int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        fps = float(capture.get(cv2.CAP_PROP_FPS)) or None
        if (width, height) != (options.width, options.height):
            notes.append(f"Asked for {options.width} x {options.height}, got {width} x {height}.")
        if fps and options.fps and abs(fps - options.fps) > 0.5:
            notes.append(f"Asked for {options.fps:g} frames per second, got {fps:g}.")
        shown = turned_size(width, height, options.rotate)
        self._info = CameraInfo("usb", self._name or self._path, *shown, fps, live=True, notes=tuple(notes))
        return capture

    def _ask(self, capture: cv2.VideoCapture) -> list[str]:
        options = self._options
        # Try MJPG first; without it, most cameras deliver only a few frames per second at 640 x 480 on a shared bus.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, options.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, options.height)
        if options.fps:
            capture.set(cv2.CAP_PROP_FPS, options.fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        notes = []
        for name, value in options.controls.items():
            prop = CONTROLS.get(name.lower())
            if prop is None:
                notes.append(f"The control '{name}' is unknown for USB cameras and was skipped.")
            elif not isinstance(value, int | float) or not capture.set(prop, float(value)):
                notes.append(f"The camera does not accept '{name}' = {value!r}.")
        return notes

    def _take(self, capture: cv2.VideoCapture) -> Taken | None:
        if not capture.grab():
            self._failed += 1
            if not Path(self._path).exists():
                raise CameraAbsent("The camera was unplugged.", "Plug it in again; it is picked up by itself.")
            if self._failed >= FAILED_READS:
                raise CameraError(f"{self._path} stopped sending.", "Check its cable and hub; it is opened again.")
            return None
        now = time.monotonic()
        got, picture = capture.retrieve()
        if not got or picture is None:
            return None  # a damaged MJPG frame: the next one is a few milliseconds away
        self._failed = 0
        stamp = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        captured_at = stamp if now - OLDEST_S < stamp <= now else now
        pixels = upright(np.asarray(picture, np.uint8), self._options.rotate, self._options.flip)
        return Taken(np.ascontiguousarray(pixels), captured_at)
