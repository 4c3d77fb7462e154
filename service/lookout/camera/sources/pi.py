"""The Raspberry Pi's own camera, through picamera2. Needs only the standard library, NumPy and picamera2.

It usually runs in a separate process under the system's Python (`isolation/`), which leaves the conversion of the
result of `read_raw` to the service. `read` converts here, and needs OpenCV.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from typing import TYPE_CHECKING, Protocol

from lookout.camera.interface import CameraInfo, CameraOptions
from lookout.camera.raw import RawFrame
from lookout.camera.symptoms import diagnose
from lookout.deadline import Deadline, run_with_deadline
from lookout.errors import CameraAbsent, CameraError, CameraSilent, CameraUnsupported
from lookout.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

FORMAT = "RGB888"  # a little-endian name: B, G, R in memory, as in a frame
BUFFERS = 4  # fewer make the sensor wait when a copy is slow; more cost contiguous memory, of which a Pi has little
CLOSE_S = 2.0
GIVE_UP_S = 2.0  # a capture without a result by then is stuck; left in the queue, it would be served before later ones
OLD_S = 1.0  # picamera2 may return a frame completed before the request; a frame older than this is skipped
AF_CONTINUOUS = 2  # libcamera.controls.AfModeEnum.Continuous
TUNING = "tuning_file"  # the one entry of `camera.controls` that is not a libcamera control
INSTALL = "On Raspberry Pi OS: sudo apt install python3-picamera2."


class Job(Protocol):
    def get_result(self, timeout: float | None = None) -> tuple[list[NDArray[np.uint8]], Mapping[str, object]]: ...


class Library(Protocol):
    """The part of the interface of picamera2.Picamera2 that is used here."""

    camera_controls: Mapping[str, tuple[object, ...]]
    camera_properties: Mapping[str, object]

    def create_video_configuration(self, **arguments: object) -> dict[str, object]: ...
    def configure(self, configuration: dict[str, object]) -> None: ...
    def camera_configuration(self) -> Mapping[str, object]: ...
    def start(self) -> None: ...
    def capture_arrays(self, names: list[str], wait: bool) -> Job: ...
    def cancel_all_and_flush(self) -> None: ...
    def close(self) -> None: ...


class PiCamera:
    """A camera of libcamera. which: its number in libcamera's list, or its model or id."""

    def __init__(self, which: str, options: CameraOptions) -> None:
        self._which, self._options = which, options
        self._source = f"pi:{which}"
        self._library: Library | None = None
        self._info: CameraInfo | None = None
        self._job: Job | None = None
        self._asked_at = 0.0
        self._last_stamp, self._sequence = 0, 0
        self._format, self._size = FORMAT, (0, 0)
        self._rotate, self._flip = options.rotate, options.flip

    @property
    def info(self) -> CameraInfo:
        if self._info is None:
            raise CameraError(f"The camera {self._source} is not open.", "Open it first.")
        return self._info

    def open(self, deadline: Deadline) -> None:
        """Find the camera, configure it once and start it, by the deadline.

        Raises CameraUnsupported without picamera2, CameraAbsent, CameraBusy, and CameraSilent if a step hangs.
        """
        self.close()
        self._job, self._last_stamp, self._sequence = None, 0, 0
        try:
            self._library, model = run_with_deadline(self._constructed, deadline, "finding the camera")
            run_with_deadline(lambda: self._configured(self._open_library(), model), deadline, "configuring the camera")
            run_with_deadline(self._library.start, deadline, "starting the camera")
        except TimeoutError as error:
            self.close()
            raise CameraSilent(
                f"The camera {self._source} does not answer: {error}.", "Check the ribbon cable; restart the Pi."
            ) from None
        except CameraError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise _as_camera_error(error, self._source) from error

    def read(self, deadline: Deadline) -> Frame:
        """Return the newest frame, converted here."""
        from lookout.camera.convert import finished

        raw = self.read_raw(deadline)
        pixels = finished(raw.pixels, raw.format, raw.width, raw.height, raw.rotate, raw.flip)
        return Frame(pixels, raw.captured_at, raw.sequence, self._source)

    def read_raw(self, deadline: Deadline) -> RawFrame:
        """Return the newest frame as libcamera delivered it, with the sensor's timestamp."""
        for attempt in range(BUFFERS + 1):
            (pixels, *_), metadata = self._captured(deadline)
            said, now = metadata.get("SensorTimestamp"), time.monotonic_ns()
            stamp = said if isinstance(said, int) else 0
            captured_at = monotonic(stamp, now, time.clock_gettime_ns(time.CLOCK_BOOTTIME) - now)
            stale = now / 1e9 - captured_at > OLD_S or 0 < stamp <= self._last_stamp
            if not stale or attempt == BUFFERS:
                break
        self._last_stamp = stamp
        self._sequence += 1
        return RawFrame(pixels, self._format, *self._size, captured_at, self._sequence - 1, self._rotate, self._flip)

    def close(self) -> None:
        """Close the camera without `stop`, which hangs after a stuck capture; `close` ends picamera2's loop first."""
        library, self._library, self._job = self._library, None, None
        if library is not None:
            with contextlib.suppress(Exception):
                run_with_deadline(library.close, Deadline.after(CLOSE_S), "closing the camera")

    def _constructed(self) -> tuple[Library, str]:
        try:
            from picamera2 import Picamera2
        except Exception as error:  # damaged installations raise AttributeError, ValueError and more
            raise CameraUnsupported(f"picamera2 cannot be imported: {error}.", INSTALL) from error
        number, model = self._found(Picamera2.global_camera_info())
        tuning = self._options.controls.get(TUNING)
        if tuning is None:
            return Picamera2(number), model
        return Picamera2(number, tuning=Picamera2.load_tuning_file(str(tuning))), model

    def _found(self, cameras: list[dict[str, object]]) -> tuple[int, str]:
        """Return the number for picamera2 (the position in its list, not libcamera's `Num`), and the model."""
        for number, entry in enumerate(cameras):
            if self._which in (str(number), entry.get("Id"), entry.get("Model")):
                return number, str(entry.get("Model", "camera"))
        if cameras:
            names = ", ".join(f"pi:{number} ({entry.get('Model')})" for number, entry in enumerate(cameras))
            raise CameraAbsent(f"There is no camera {self._source}.", f"These are here: {names}.")
        raise CameraAbsent(
            "libcamera finds no camera.",
            "Switch off and check both ends of the ribbon cable; config.txt needs camera_auto_detect=1, or the "
            "dtoverlay of another maker's sensor.",
        )

    def _configured(self, library: Library, model: str) -> None:
        """Configure the camera and read the result back, since format and size may be changed silently."""
        options = self._options
        notes: list[str] = []
        controls = self._controls(library, notes)
        main = {"size": (options.width, options.height), "format": FORMAT}
        asked: dict[str, object] = {"main": main, "buffer_count": BUFFERS, "controls": controls, "queue": True}
        flips = sensor_flips(options) if is_sensor(library.camera_properties) else None
        if flips is not None:
            from libcamera import Transform

            asked["transform"] = Transform(hflip=flips[0], vflip=flips[1])
        library.configure(library.create_video_configuration(**asked))
        given = library.camera_configuration()
        stream = given["main"]
        assert isinstance(stream, dict)
        self._format, self._size = str(stream["format"]), stream["size"]
        self._rotate, self._flip = options.rotate, options.flip
        if flips is not None and _has_flips(given.get("transform"), flips):
            self._rotate, self._flip = 0, "none"
        width, height = self._size
        if (width, height) != (options.width, options.height):
            notes.append(f"Asked for {options.width} x {options.height}, got {width} x {height}.")
        shown = (height, width) if options.rotate in (90, 270) else (width, height)
        fps = self._rate(controls)
        self._info = CameraInfo("pi", model, *shown, fps, live=True, notes=tuple(notes))

    def _controls(self, library: Library, notes: list[str]) -> dict[str, object]:
        """The controls for frame rate and autofocus, and the user's own without unknown ones.

        libcamera rejects a whole set because of one unknown control.
        """
        known = library.camera_controls
        controls: dict[str, object] = {}
        limits = known.get("FrameDurationLimits")
        if limits and self._options.fps > 0:
            controls["FrameDurationLimits"] = _period(self._options.fps, limits, notes)
        own = {name: value for name, value in self._options.controls.items() if name != TUNING}
        if "AfMode" in known and not own.keys() & {"AfMode", "LensPosition"}:
            controls["AfMode"] = AF_CONTINUOUS
        for name, value in own.items():
            if name in known:
                controls[name] = tuple(value) if isinstance(value, list) else value
            else:
                notes.append(f"This camera has no control '{name}'; it was skipped.")
        return controls

    def _rate(self, controls: Mapping[str, object]) -> float | None:
        match controls.get("FrameDurationLimits"):
            case (int(least), *_):
                return 1e6 / least
        return None

    def _captured(self, deadline: Deadline) -> tuple[list[NDArray[np.uint8]], Mapping[str, object]]:
        """Wait for a capture. There is at most one; it continues after a short deadline, and is cancelled if stuck."""
        library = self._open_library()
        try:
            if self._job is None:
                self._job, self._asked_at = library.capture_arrays(["main"], wait=False), time.monotonic()
            result = self._job.get_result(timeout=deadline.remaining())
        except (TimeoutError, concurrent.futures.TimeoutError):
            if time.monotonic() - self._asked_at > self._timeout_s():
                self._cancel(library)
            raise CameraSilent(
                f"The camera {self._source} delivers no frame.",
                "Switch off, push both ends of the ribbon cable in again, and check the power supply.",
            ) from None
        except concurrent.futures.CancelledError:
            self._job = None
            raise CameraError(f"The camera {self._source} was closed.", "Open it again.") from None
        except Exception as error:
            self._job = None
            raise _as_camera_error(error, self._source) from error
        self._job = None
        return result

    def _timeout_s(self) -> float:
        fps = self._info.fps if self._info else None
        return max(GIVE_UP_S, 4 / fps if fps else 0.0)

    def _cancel(self, library: Library) -> None:
        self._job = None
        try:
            run_with_deadline(library.cancel_all_and_flush, Deadline.after(CLOSE_S), "cancelling a capture")
        except TimeoutError:
            raise CameraError(f"The camera {self._source} hangs.", "It is started again.") from None

    def _open_library(self) -> Library:
        if self._library is None:
            raise CameraError(f"The camera {self._source} was closed.", "Open it again.")
        return self._library


def is_sensor(properties: Mapping[str, object]) -> bool:
    """Whether this is a sensor behind the Pi's own image processor.

    Only such a camera can flip its pictures. Others (USB cameras, libcamera's virtual one) report a transform that they
    do not apply, so their report cannot be trusted. A sensor is recognised by its colour filter, as in picamera2.
    """
    return "ColorFilterArrangement" in properties


def sensor_flips(options: CameraOptions) -> tuple[bool, bool] | None:
    """Rotation by 0 or 180 degrees followed by flips, as (horizontal, vertical) flips; None for a quarter turn.

    A sensor cannot do a quarter turn. Then both are done in software, since rotation has to come before flipping.
    """
    if options.rotate not in (0, 180):
        return None
    half = options.rotate == 180
    return half != (options.flip in ("horizontal", "both")), half != (options.flip in ("vertical", "both"))


def monotonic(stamp_ns: int, now_ns: int, boot_ahead_ns: int) -> float:
    """A sensor's timestamp in seconds on the monotonic clock; the current time if it is implausible.

    libcamera documents CLOCK_BOOTTIME, but some drivers use CLOCK_MONOTONIC; they differ by the time spent suspended.
    """
    for candidate in (stamp_ns, stamp_ns - boot_ahead_ns):
        if 0 < candidate <= now_ns and now_ns - candidate < 60_000_000_000:
            return candidate / 1e9
    return now_ns / 1e9


def _period(fps: float, limits: tuple[object, ...], notes: list[str]) -> tuple[int, int]:
    """The frame duration in microseconds, as minimum and maximum, within the camera's limits."""
    asked = round(1e6 / fps)
    least, most = (int(limit) if isinstance(limit, int | float) else asked for limit in limits[:2])
    period = max(least, min(asked, most)) if least <= most else asked
    if abs(period - asked) > asked * 0.02:
        notes.append(f"Asked for {fps:g} frames per second, the camera does {1e6 / period:.1f}.")
    return period, period


def _has_flips(transform: object, flips: tuple[bool, bool]) -> bool:
    given = (bool(getattr(transform, "hflip", False)), bool(getattr(transform, "vflip", False)))
    return given == flips and not getattr(transform, "transpose", False)


def _as_camera_error(error: Exception, source: str) -> CameraError:
    """Convert picamera2's errors, most of which are RuntimeErrors that hide their cause, to ours."""
    causes: list[str] = []
    link: BaseException | None = error
    while link is not None and len(causes) < 5:
        causes.append(f"{type(link).__name__}: {link}")
        link = link.__cause__ or link.__context__
    words = "; ".join(causes)
    if "No camera number" in words or "IndexError" in words:
        return CameraAbsent("libcamera finds no camera.", "Check both ends of the ribbon cable.")
    return diagnose(causes) or CameraError(f"The camera {source} fails: {words}.", "It is opened again.")
