"""Small changes to the installed picamera2 that let it use libcamera's virtual camera. Safe to repeat."""

from __future__ import annotations

import sysconfig
from pathlib import Path

PICAMERA2 = Path(sysconfig.get_path("purelib")) / "picamera2"


def replace(file: str, old: str, new: str, count: int = 1) -> None:
    """Replace `old` by `new`; fails when the file no longer holds `old` as often as it should."""
    path = PICAMERA2 / file
    text = path.read_text()
    if new in text:
        return
    assert text.count(old) == count, (file, old, text.count(old))
    path.write_text(text.replace(old, new))


# The virtual camera has no raw stream: take what the viewfinder would get.
raw = "self.camera.generate_configuration([libcamera.StreamRole.Raw])"
replace(
    "picamera2.py",
    f"raw_config = {raw}\n",
    f"raw_config = {raw} or self.camera.generate_configuration([VIEWFINDER])\n",
    count=2,
)

# It wants the buffers of NV12 as two planes.
length = "                plane[0].length = stream_config.frame_size\n"
replace(
    "allocators/dmaallocator.py",
    length,
    f"""{length}                if str(stream_config.pixel_format) == "NV12":  # virtual camera
                    plane[0].length = stream_config.stride * stream_config.size.height
                    plane.append(libcamera.FrameBuffer.Plane())
                    plane[1].fd = fd.get()
                    plane[1].offset = plane[0].length
                    plane[1].length = stream_config.frame_size - plane[0].length
""",
)

# It delivers as fast as it can. Hand on one frame a tick (PI_FPS a second), and none while the file PI_STALL exists.
replace(
    "picamera2.py",
    """            events = sel.select(0.2)
            for key, _ in events:
                callback = key.data
                callback()

        sel.unregister""",
    """            held = getattr(self, "_held", None)  # virtual camera
            events = [(key, 0) for key in sel.get_map().values()] if held else sel.select(0.2)
            while self.running and os.path.exists(os.environ.get("PI_STALL", "/tmp/pi-stall")):
                time.sleep(0.02)
            if events:
                time.sleep(1 / float(os.environ.get("PI_FPS", "30")))
            for key, _ in events:
                callback = key.data
                callback()

        sel.unregister""",
)
replace(
    "picamera2.py",
    """            for req in self.cms.get_ready_requests():
                if req.status""",
    """            for req in self._paced(flushid):  # virtual camera
                if req.status""",
)
replace(
    "picamera2.py",
    """    def handle_request(self, flushid=None) -> None:
""",
    """    def _paced(self, flushid):  # virtual camera
        held = getattr(self, "_held", []) + list(self.cms.get_ready_requests())
        out, rest, seen = [], [], set()
        for request in held:
            (rest if flushid is None and request.cookie in seen else out).append(request)
            seen.add(request.cookie)
        self._held = rest
        return out

    def handle_request(self, flushid=None) -> None:
""",
)
