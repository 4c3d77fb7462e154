"""Uploads: our endpoint against the same work in a bare thread, and against FastAPI + Pillow + PyTorch eager."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.common import environment, lookout, median, running, spread, table
from tests.support.ports import free_port

CLIENTS = 4
ROUND_S = 4.0
GOAL_BARE, GOAL_PEER = 0.85, 3.5


def photograph(folder: Path, width: int, height: int, quality: int = 90) -> Path:
    """A real photograph (scikit-image's `chelsea`) at the size asked for."""
    import cv2
    from skimage import data

    pixels = cv2.resize(data.chelsea()[:, :, ::-1], (width, height), interpolation=cv2.INTER_CUBIC)
    path = folder / f"chelsea-{width}x{height}.jpg"
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return path


def _load(port: int, path: str, file: Path) -> float:
    """Answers a second that CLIENTS clients got."""
    script = Path(__file__).with_name("load.py")
    done = subprocess.run(
        [sys.executable, script, str(port), path, str(ROUND_S), str(CLIENTS), file],
        capture_output=True,
        text=True,
        timeout=ROUND_S + 60,
        check=True,
    )
    good, other = map(int, done.stdout.split())
    if other:
        print(f"{other} of {good + other} requests to {path} were not answered with 200", file=sys.stderr)
    return good / ROUND_S


_BARE = """
import sys, time
import cv2
cv2.setNumThreads(1)
from lookout.registry.catalogue import Catalogue
from lookout.pipeline.classifier import Classifier
from lookout.pictures.decode import read_picture
from lookout.pictures.limits import DecodeLimits
from lookout.settings.schema import Settings

data = open(sys.argv[1], "rb").read()
card = Catalogue.of(Settings()).card("cat-dog-resnet18")
classifier = Classifier.load(card, sys.argv[2], 1)
def once():
    picture = read_picture(data, DecodeLimits(10**8, 10**8))
    classifier.classify(picture.pixels)
for _ in range(20):
    once()
print("ready", flush=True)
for line in sys.stdin:
    end, count = time.perf_counter() + float(line), 0
    began = time.perf_counter()
    while time.perf_counter() < end:
        once()
        count += 1
    print(count / (time.perf_counter() - began), flush=True)
"""


def run(*, quick: bool) -> None:
    """Run the comparison and print its table."""
    rounds = 3 if quick else 9
    peer_python = environment("pytorch", "torch==2.13.0", "fastapi", "uvicorn", "pillow", "numpy")
    peer_port = free_port()
    flags = ["--answer.max_rate", "1", "--upload.max_concurrent", "1", "--model.threads", "1"]
    for precision in ("fp32", "int8"):
        ours: list[float] = []
        bare: list[float] = []
        peer: list[float] = []
        command, port = lookout("demo", *flags, "--model.precision", precision)
        with (
            tempfile.TemporaryDirectory() as folder,
            running(command, port=port, ready="/readyz") as service,
            running(
                [peer_python, Path(__file__).with_name("peer_pytorch.py"), str(peer_port)],
                port=peer_port,
                ready="/healthz",
            ) as torch,
        ):
            file = photograph(Path(folder), 640, 480)
            thread = subprocess.Popen(
                [sys.executable, "-c", _BARE, file, precision],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
            )
            assert thread.stdin is not None
            assert thread.stdout is not None
            thread.stdout.readline()
            service.hold()
            torch.hold()
            for turn in range(rounds + 1):
                service.go_on()
                answered = _load(port, "/api/classify", file)
                service.hold()
                thread.stdin.write(f"{ROUND_S}\n")
                alone = float(thread.stdout.readline())
                torch.go_on()
                usual = _load(peer_port, "/predict", file)
                torch.hold()
                if turn:  # the first round warms caches up
                    ours.append(answered)
                    bare.append(alone)
                    peer.append(usual)
                time.sleep(0.2)
            thread.stdin.close()
            thread.wait(10)
        to_bare = [a / b for a, b in zip(ours, bare, strict=True)]
        to_peer = [a / b for a, b in zip(ours, peer, strict=True)]
        table(
            f"Uploads of a 640x480 JPEG, {CLIENTS} clients, {precision}, {rounds} rounds of {ROUND_S:g} s in turn",
            [
                ("who", "pictures a second (median, range)", "Lookout is", "goal"),
                (f"Lookout, POST /api/classify, pool of one, {precision}", spread(ours), "", ""),
                (
                    f"decode + resize + session in a bare thread, {precision}",
                    spread(bare),
                    f"{100 * median(to_bare):.0f} % of it",
                    f"{100 * GOAL_BARE:.0f} %",
                ),
                (
                    "FastAPI + Pillow + PyTorch eager ResNet-18, fp32",
                    spread(peer),
                    f"{median(to_peer):.1f} times as fast",
                    f"{GOAL_PEER} times",
                ),
            ],
        )
