"""The demo: a live scene made of three shipped photographs and a drawn room, for trying Lookout without a camera.

It shows an empty room, a cat, the room again, a dog and a cup of coffee, in a loop. The pictures' licences are in
`pictures/LICENCES.md`.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lookout.camera.convert import turned_size, upright
from lookout.camera.interface import CameraInfo, CameraOptions
from lookout.deadline import Deadline
from lookout.errors import CameraError, CameraSilent
from lookout.frame import Frame, Pixels

PICTURES = Path(__file__).resolve().parent / "pictures"
FADE_S = 0.7
MARGIN = 1.16  # stills are prepared this much larger than the frame, which leaves room to pan
NOISE = 6  # the range of the sensor noise, in grey levels
MAX_FPS = 240.0  # frames per second; more are useless for an artificial scene
_EMPTY_FPS = 15.0


@dataclass(frozen=True, slots=True)
class Scene:
    """name: the still's name. seconds: how long it is shown. swing: how far it pans, as a share of the margin."""

    name: str
    seconds: float
    swing: float


SCENES = (
    Scene("room", 5.0, 0.8),
    Scene("cat", 10.0, 0.7),
    Scene("room", 4.0, 0.8),
    Scene("dog", 10.0, 0.7),
    Scene("coffee", 5.0, 0.8),
)
LENGTH_S = sum(scene.seconds for scene in SCENES)


def scene_at(seconds: float) -> tuple[int, float]:
    """Return the index of the current scene in SCENES, and for how many seconds it has been shown."""
    left = seconds % LENGTH_S
    for index, scene in enumerate(SCENES):
        if left < scene.seconds:
            return index, left
        left -= scene.seconds
    return 0, 0.0


class DemoScene:
    """Draws the scene at any time; the same time gives the same pixels."""

    def __init__(self, width: int, height: int) -> None:
        self._size = (width, height)
        self._stills = {scene.name: self._still(scene.name) for scene in SCENES}
        grain = np.random.default_rng(20).integers(0, NOISE + 1, (height + 64, width + 64, 3), dtype=np.uint8)
        self._grain = grain

    def at(self, seconds: float) -> Pixels:
        """Draw the scene `seconds` after its start: height x width x 3, uint8, BGR."""
        index, since = scene_at(seconds)
        picture = self._view(index, since, seconds)
        if since < FADE_S and seconds >= FADE_S:
            before = (index - 1) % len(SCENES)
            old = self._view(before, SCENES[before].seconds + since, seconds)
            share = since / FADE_S
            picture = np.asarray(cv2.addWeighted(picture, share, old, 1.0 - share, 0.0), dtype=np.uint8)
        self._mark(picture, seconds)
        tick = round(seconds * 1000)
        down, right = tick * 7 % 64, tick * 13 % 61
        width, height = self._size
        grain = self._grain[down : down + height, right : right + width]
        return np.asarray(cv2.add(picture, grain, dst=picture), dtype=np.uint8)

    def _view(self, index: int, since: float, seconds: float) -> Pixels:
        """Draw a slow pan and zoom over a still, with one bilinear warp."""
        scene = SCENES[index]
        still = self._stills[scene.name]
        width, height = self._size
        zoom = 1.0 + 0.05 * math.sin(seconds * 0.4) - 0.03
        spare_x = (still.shape[1] * zoom - width) / 2
        spare_y = (still.shape[0] * zoom - height) / 2
        phase = since / scene.seconds * math.pi
        shift_x = -spare_x - max(0.0, spare_x) * scene.swing * math.cos(phase) * (1 if index % 2 else -1)
        shift_y = -spare_y + max(0.0, spare_y) * scene.swing * math.sin(phase * 2) * 0.5
        matrix = np.array([[zoom, 0.0, shift_x], [0.0, zoom, shift_y]])
        return np.asarray(
            cv2.warpAffine(still, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
            dtype=np.uint8,
        )

    def _mark(self, picture: Pixels, seconds: float) -> None:
        """Draw a small clock in the corner, so that no two frames are equal and the scene is seen to be live."""
        radius = max(6, picture.shape[0] // 34)
        middle = radius + 6
        cv2.circle(picture, (middle, middle), radius, (235, 235, 235), -1, cv2.LINE_AA)
        turn = seconds % 2.0 * math.pi
        tip = (round(middle + radius * 0.8 * math.sin(turn)), round(middle - radius * 0.8 * math.cos(turn)))
        cv2.line(picture, (middle, middle), tip, (40, 40, 40), max(1, radius // 6), cv2.LINE_AA)

    def _still(self, name: str) -> Pixels:
        width, height = round(self._size[0] * MARGIN), round(self._size[1] * MARGIN)
        picture = draw_room() if name == "room" else cv2.imread(str(PICTURES / f"{name}.jpg"), cv2.IMREAD_COLOR)
        if picture is None:
            raise CameraError(
                f"The demo's picture {name}.jpg is missing or damaged.",
                "Install Lookout again, its files are incomplete.",
            )
        scale = max(width / picture.shape[1], height / picture.shape[0])
        size = (math.ceil(picture.shape[1] * scale), math.ceil(picture.shape[0] * scale))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        large = cv2.resize(picture, size, interpolation=way)
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        return np.ascontiguousarray(large[top : top + height, left : left + width], dtype=np.uint8)


def draw_room() -> Pixels:
    """Draw an empty living room, 720 x 540: wall, floor, window, sofa, lamp and a picture."""
    wall = np.linspace(188, 222, 720)[None, :, None] * np.array([0.93, 0.99, 1.0])
    room = np.repeat(wall.astype(np.uint8), 540, axis=0)
    room[380:] = (np.linspace(96, 130, 160)[:, None, None] * np.array([0.58, 0.80, 1.08])).clip(0, 255).astype(np.uint8)
    for x in range(-400, 1200, 74):
        cv2.line(room, (360 + (x - 360) // 2, 380), (x, 540), (62, 84, 112), 2, cv2.LINE_AA)
    cv2.rectangle(room, (0, 366), (720, 382), (226, 232, 236), -1)
    _draw_window(room)
    _draw_furniture(room)
    light = np.linspace(1.06, 0.86, 720, dtype=np.float32)[None, :, None]
    return np.asarray(cv2.GaussianBlur((room * light).clip(0, 249).astype(np.uint8), (5, 5), 0), dtype=np.uint8)


def _draw_window(room: Pixels) -> None:
    cv2.rectangle(room, (60, 60), (280, 290), (240, 244, 246), -1)
    for top, bottom, sky in ((72, 170, (236, 214, 178)), (178, 278, (244, 228, 200))):
        for left, right in ((72, 165), (175, 268)):
            cv2.rectangle(room, (left, top), (right, bottom), sky, -1)
    cv2.ellipse(room, (170, 290), (98, 46), 0, 180, 360, (112, 168, 128), -1, cv2.LINE_AA)
    cv2.rectangle(room, (48, 288), (292, 304), (214, 222, 228), -1)
    for x in (36, 276):
        cv2.rectangle(room, (x, 44), (x + 30, 330), (150, 166, 190), -1)


def _draw_furniture(room: Pixels) -> None:
    cv2.ellipse(room, (450, 500), (240, 30), 0, 0, 360, (112, 104, 142), -1, cv2.LINE_AA)
    cv2.rectangle(room, (350, 270), (650, 380), (128, 112, 82), -1)
    cv2.rectangle(room, (330, 350), (670, 440), (146, 128, 94), -1)
    cv2.line(room, (500, 352), (500, 436), (118, 100, 70), 3)
    for x in (312, 642):
        cv2.rectangle(room, (x, 318), (x + 46, 446), (120, 104, 76), -1)
        cv2.rectangle(room, (x + 8, 446), (x + 22, 464), (52, 62, 80), -1)
    cv2.rectangle(room, (420, 90), (580, 206), (70, 86, 106), -1)
    cv2.rectangle(room, (430, 100), (570, 196), (214, 206, 190), -1)
    cv2.circle(room, (470, 150), 24, (120, 170, 224), -1, cv2.LINE_AA)
    cv2.rectangle(room, (430, 170), (570, 196), (150, 140, 96), -1)
    cv2.line(room, (692, 190), (692, 452), (60, 62, 66), 5)
    cv2.fillConvexPoly(room, np.array([[664, 200], [720, 200], [708, 140], [676, 140]]), (188, 224, 244))


class DemoCamera:
    """The demo scene as a live camera."""

    def __init__(self, options: CameraOptions) -> None:
        self._options = options
        self._scene: DemoScene | None = None
        self._info: CameraInfo | None = None
        self._closed = threading.Event()
        self._started = 0.0
        self._next = 0

    @property
    def info(self) -> CameraInfo:
        if self._info is None:
            raise CameraError("The demo is not open.", "Open it first.")
        return self._info

    def open(self, deadline: Deadline) -> None:  # noqa: ARG002 - drawing the stills takes a few milliseconds
        """Prepare the stills."""
        options = self._options
        self._closed.clear()
        self._scene = DemoScene(options.width, options.height)
        width, height = turned_size(options.width, options.height, options.rotate)
        fps = min(options.fps, MAX_FPS) if options.fps > 0 else _EMPTY_FPS
        self._info = CameraInfo("demo", "Demo scene", width, height, fps, live=True)
        self._started, self._next = time.monotonic(), 0

    def read(self, deadline: Deadline) -> Frame:
        """Return the current scene, once per frame interval. Raises CameraSilent if none is due by the deadline."""
        scene, fps = self._scene, self.info.fps or _EMPTY_FPS
        if scene is None or self._closed.is_set():
            raise CameraError("The demo was closed.", "Open it again.")
        due = self._started + self._next / fps
        wait = due - time.monotonic()
        if self._closed.wait(max(0.0, min(wait, deadline.remaining()))):
            raise CameraError("The demo was closed.", "Open it again.")
        now = time.monotonic()
        if now < due:
            raise CameraSilent("The demo's next frame is not due yet.", "Wait a little longer.")
        sequence = max(self._next, int((now - self._started) * fps))
        self._next = sequence + 1
        pixels = upright(scene.at(now - self._started), self._options.rotate, self._options.flip)
        return Frame(pixels, now, sequence, "demo")

    def close(self) -> None:
        self._closed.set()
        self._scene = None
