"""Lines that libraries and the kernel print when something is wrong: what each means, and the one thing that helps.

A failing camera process, `lookout doctor` and docs/troubleshooting.md all use this one table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lookout.errors import CameraAbsent, CameraBusy, CameraDenied, CameraError, CameraSilent, CameraUnsupported


@dataclass(frozen=True, slots=True)
class KnownLine:
    """pattern: found anywhere in the line. harmless: nothing needs doing.

    camera_error: what the line means when a camera's process prints it; None if it says nothing about the camera.
    camera_pattern: further words that mean the same, but only when a camera's process prints them.
    """

    pattern: re.Pattern[str]
    detail: str
    remedy: str
    harmless: bool = False
    camera_error: type[CameraError] | None = None
    camera_pattern: re.Pattern[str] | None = None


def _line(
    pattern: str,
    detail: str,
    remedy: str,
    *,
    harmless: bool = False,
    camera_error: type[CameraError] | None = None,
    camera_pattern: str = "",
) -> KnownLine:
    further = re.compile(camera_pattern, re.IGNORECASE) if camera_pattern else None
    return KnownLine(re.compile(pattern, re.IGNORECASE), detail, remedy, harmless, camera_error, further)


KNOWN_LINES = (
    _line(
        r"Camera frontend has timed out|Dequeue timer of .* has expired|camera sensor connector is attached securely|"
        r"Device timeout detected",
        "The camera's sensor sends no picture to the Pi: a loose ribbon, interference or a weak supply.",
        "Switch off, push both ends of the ribbon cable in again, and check the power supply.",
        camera_error=CameraSilent,
    ),
    _line(
        r"Pipeline handler in use by another process|Failed to acquire camera|unexpected code: -16",
        "Another program holds the camera.",
        "sudo fuser -v /dev/media* /dev/video* names it; stop that program.",
        camera_error=CameraBusy,
        camera_pattern=r"in use by another|\bbusy\b|-16\b",
    ),
    _line(
        r"Camera __init__ sequence did not complete",
        "The camera cannot be opened; usually another program holds it.",
        "sudo fuser -v /dev/media* /dev/video* names it; stop that program.",
        camera_error=CameraError,
    ),
    _line(
        r"no cameras available|Camera\(s\) not found|No camera number \d+ found|IndexError: list index out of range",
        "libcamera finds no camera.",
        "Push the ribbon in again, check that config.txt has camera_auto_detect=1 and no start_x=1, and restart.",
    ),
    _line(
        r"No module named 'picamera2'",
        "picamera2 is not installed for this Python.",
        "sudo apt install python3-picamera2 (on the Lite edition with --no-install-recommends); leave camera.python at "
        "auto.",
    ),
    _line(
        r"No module named 'libcamera'",
        "This Python has no binding for libcamera.",
        "sudo apt install python3-libcamera python3-picamera2, and leave camera.python at auto.",
        camera_error=CameraUnsupported,
    ),
    _line(
        r"cannot import name '?\w+'? from 'libcamera'",
        "A folder called libcamera, or another build, hides the real binding.",
        "Remove that folder, then: sudo apt install --reinstall python3-libcamera python3-picamera2.",
        camera_error=CameraUnsupported,
    ),
    _line(
        r"numpy\.dtype size changed|compiled using NumPy 1\.x|numpy\.core\.multiarray failed",
        "A part of picamera2 was built for another NumPy than the one installed.",
        "Leave camera.python at auto: the camera then runs with the system's own Python and NumPy.",
        camera_error=CameraUnsupported,
    ),
    _line(
        r"failed to allocate capture buffers|Unable to request \d+ buffers|dmaHeap allocation failure|"
        r"\[Errno 12\] Cannot allocate memory|Failed to start camera: Cannot allocate memory",
        "The Pi has no contiguous memory (CMA) left for the camera's pictures.",
        "Restart; if it happens again, set dtoverlay=vc4-kms-v3d,cma-256 in config.txt.",
        camera_error=CameraError,
        camera_pattern=r"Cannot allocate memory",
    ),
    _line(
        r"Could not open any (dmaHeap device|dma-buf provider)",
        "This user may not use /dev/dma_heap.",
        "sudo usermod -aG video lookout and restart the service; in a container add --device /dev/dma_heap.",
        camera_error=CameraDenied,
    ),
    _line(
        r"Cannot open '?/dev/(video|media)\d+'?.*(13|Permission denied)",
        "This user may not open the camera's device.",
        "Add the user to the group video: sudo usermod -aG video lookout, then log in again; in a unit: "
        "SupplementaryGroups=video render.",
        camera_error=CameraDenied,
        camera_pattern=r"Permission denied",
    ),
    _line(
        r"no element \"?libcamerasrc",
        "GStreamer has no libcamera plugin.",
        "sudo apt install gstreamer1.0-libcamera (Lookout itself does not need it).",
    ),
    _line(
        r"\bselect\(\) timeout",
        "The USB camera sends nothing: too little bandwidth or power, or the wrong device.",
        "Use another USB port without a hub, and a smaller camera.width and camera.height.",
        camera_error=CameraSilent,
    ),
    _line(
        r"VIDIOC_DQBUF.*No such device",
        "The USB camera was unplugged, or its cable is loose.",
        "Plug it in again; Lookout picks it up by itself.",
        camera_error=CameraAbsent,
        camera_pattern=r"No such device",
    ),
    _line(
        r"can't open camera by index|Could not obtain specifications of capture window",
        "That video device is not a camera (a Pi has many such), or it is in use.",
        "Use the address that lookout cameras shows (usb:/dev/v4l/by-id/…).",
    ),
    _line(
        r"Corrupt JPEG data|premature end of data segment",
        "The USB camera sent a damaged picture; it is dropped.",
        "Nothing, unless it becomes frequent: then use another cable, without a hub.",
        harmless=True,
    ),
    _line(
        r"error while decoding MB|RTP: missed \d+ packets",
        "Parts of the stream were lost on the way.",
        "Connect camera and Pi by cable, or lower the camera's bit rate; Lookout already asks for RTSP over TCP.",
    ),
    _line(
        r"Option stimeout not found",
        "This FFmpeg has another name for the option.",
        "Nothing: Lookout sets both.",
        harmless=True,
    ),
    _line(
        r"Illegal instruction|status=4/ILL|code=dumped, status=4",
        "A library uses instructions that this processor lacks.",
        "pip install 'onnxruntime!=1.21.0' in Lookout's environment; lookout doctor shows whether it then loads.",
    ),
    _line(
        r"Error in cpuinfo: failed to parse the list of possible processors",
        "/sys is hidden from the program.",
        "Mount /sys read-only into the container, or let the unit see it.",
    ),
    _line(r"Error in cpuinfo: prctl\(PR_SVE_GET_VL\) failed", "The processor has no SVE.", "Nothing.", harmless=True),
    _line(
        r"GPU device discovery failed|/sys/class/drm/card\d+/device/vendor",
        "onnxruntime looked for a graphics card that a Pi does not have.",
        "Nothing.",
        harmless=True,
    ),
    _line(
        r"pthread_setaffinity_np failed",
        "onnxruntime wanted more cores than the container or unit allows.",
        "Set model.threads to the number of cores it may use.",
    ),
    _line(
        r"No matching distribution found for onnxruntime",
        "There is no onnxruntime for this system: it is 32-bit, or its Python is too new.",
        "Write the 64-bit Raspberry Pi OS to the card (getconf LONG_BIT must say 64).",
    ),
    _line(
        r"Under-?voltage detected",
        "The supply drops below 4.63 V.",
        "Use the official supply (Pi 5: 5 V 5 A; Pi 4: 5 V 3 A) with its own cable.",
    ),
    _line(
        r"VCHI initialization failed|Can't open device file: /dev/vcio",
        "This user may not query the firmware.",
        "sudo usermod -aG video lookout. Lookout reads /sys instead and does not need it.",
        harmless=True,
    ),
    _line(
        r"jemalloc.*Unsupported system page size",
        "A program was built for memory pages of 4 KiB, but a Pi 5 has 16.",
        "Set kernel=kernel8.img in /boot/firmware/config.txt and restart.",
    ),
    _line(
        r"EXT4-fs error|Aborting journal on device|mmcblk\d: error -110|\[Errno 30\] Read-only file system|"
        r"Remounting filesystem read-only",
        "The SD card is failing, or lost its power while writing.",
        "Back up what matters and write the system to a new card.",
    ),
    _line(
        r"\[Errno 28\] No space left on device",
        "The card is full.",
        "Free some space: sudo apt clean; sudo journalctl --vacuum-size=50M. Or lower state.max_bytes.",
    ),
    _line(
        r"database is locked|database disk image is malformed",
        "The history's database is in use twice, or was damaged by a power cut.",
        "Check that only one Lookout runs (systemctl status lookout); a damaged one is set aside and recreated.",
    ),
    _line(
        r"Time has been changed",
        "The clock was set after the start, as on every Pi without a battery.",
        "Nothing: Lookout measures with another clock.",
        harmless=True,
    ),
    _line(
        r"Out of memory: Killed process|oom-kill|OOM killer",
        "The machine ran out of memory.",
        "Close other programs, a browser above all, or choose model.precision int8.",
    ),
    _line(
        r"status=9/KILL",
        "Lookout was killed: by kill -9, or because memory ran out, which the kernel's log then shows.",
        "journalctl -k | grep -i oom shows whether it was memory. Lookout is restarted by itself.",
    ),
    _line(
        r"Waiting for connections to close|timeout graceful shutdown exceeded",
        "Viewers were still connected at the stop; they are cut off after three seconds.",
        "Nothing.",
        harmless=True,
    ),
    _line(
        r"\[Errno 98\]|address already in use",
        "Another program, or a second Lookout, listens on the port.",
        "ss -ltnp shows it; another port: --server.port.",
    ),
)
