"""`lookout classify`: pictures, folders, videos and streams in; table, JSON or CSV out."""

from __future__ import annotations

import base64
import contextlib
import csv
import errno
import http.server
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from lookout.cli import batch

from tests.cli.conftest import Run, environment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, one of them below, one damaged, and a text."""
    where = tmp_path / "pictures"
    (where / "below").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    cv2.imwrite(str(where / "one.jpg"), noise)
    cv2.imwrite(str(where / "below" / "two.png"), noise)
    (where / "three.jpg").write_bytes((where / "one.jpg").read_bytes()[:400])
    (where / "notes.txt").write_text("no picture")
    return where


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            if self.path.startswith("/locked/"):
                self.path = self.path.removeprefix("/locked")
                if self.headers["Authorization"] != "Basic " + base64.b64encode(b"ann:s:cr@t").decode():
                    return self.send_error(401)
            if self.path == "/dripping.jpg":
                return self.drip()
            return super().do_GET()

        def drip(self) -> None:
            """A picture whose pieces come for ever."""
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(600):
                    self.wfile.write(b"-")
                    time.sleep(0.1)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def lines(text: str) -> dict[str, dict[str, object]]:
    entries = [json.loads(line) for line in text.splitlines()]
    return {str(entry.pop("source")).rpartition("/")[2]: entry for entry in entries}


def test_a_folder_as_json_is_one_line_a_picture_and_errors_have_codes(lookout: Run, folder: Path) -> None:
    done = lookout("classify", "--json", folder)
    found = lines(done.stdout)
    assert set(found) == {"one.jpg", "two.png", "three.jpg"}
    good = found["one.jpg"]
    assert (good["width"], good["height"]) == (160, 120)
    assert abs(sum(good["probabilities"].values()) - 1) < 0.01
    assert good["top"][0]["probability"] == max(good["probabilities"].values())
    assert set(good) == {"top", "probabilities", "width", "height", "seen", "timing_ms", "model"}
    assert found["three.jpg"]["error"]["code"] == "picture_unreadable"
    assert found["three.jpg"]["error"]["remedy"]
    assert done.returncode == 1
    assert done.stderr.strip().endswith("1 entry of the folder left out: 1 not pictures that Lookout reads.")


def test_csv_has_a_header_and_a_column_a_label(lookout: Run, folder: Path) -> None:
    done = lookout("classify", "--csv", folder / "one.jpg", folder / "three.jpg")
    good, bad = csv.DictReader(io.StringIO(done.stdout))
    assert {"source", "label", "probability", "cat", "dog", "neither", "error"} == set(good)
    assert float(good["probability"]) == max(float(good[label]) for label in ("cat", "dog", "neither"))
    assert (bad["error"], bad["label"]) == ("picture_unreadable", "")


def test_a_table_names_pictures_on_stdout_and_errors_on_stderr(lookout: Run, folder: Path) -> None:
    done = lookout("classify", folder)
    assert done.returncode == 1
    assert "one.jpg" in done.stdout
    assert "three.jpg" not in done.stdout
    assert "three.jpg: The picture ends too early" in done.stderr


def test_pictures_of_a_folder_are_chosen_by_what_they_hold_and_the_rest_is_counted(lookout: Run, folder: Path) -> None:
    """jpegview#168, motioneye#89, rclip#303."""
    picture = (folder / "one.jpg").read_bytes()
    for name in ("a.jfif", "b.mpo", "c", "below/d.jpe"):
        (folder / name).write_bytes(picture)
    (folder / "._one.jpg").write_bytes(b"Mac OS X")
    (folder / "@eaDir").mkdir()
    (folder / "@eaDir" / "one.jpg").write_bytes(picture)
    os.mkfifo(folder / "pipe.jpg")
    done = lookout("classify", "--json", folder)
    assert set(lines(done.stdout)) == {"one.jpg", "two.png", "three.jpg", "a.jfif", "b.mpo", "c", "d.jpe"}
    assert "4 entries of the folder left out" in done.stderr


def test_only_one_form_at_a_time(lookout: Run, folder: Path) -> None:
    assert lookout("classify", "--json", "--csv", folder).returncode == 2


@pytest.mark.parametrize(
    ("name", "said"), [("nowhere.jpg", "There is no file or folder"), ("empty", "There are no pictures in")]
)
def test_what_is_not_there_is_reported(lookout: Run, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    done = lookout("classify", tmp_path / name)
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("~nobody-is-called-so/one.jpg", "There is no file or folder ~nobody-is-called-so/one.jpg."),
        ("a" * 5000, "There is no file or folder aaa"),
        ("/dev/null", "/dev/null is neither a file nor a folder."),
    ],
)
def test_names_that_no_system_takes_are_said_too(lookout: Run, name: str, said: str) -> None:
    done = lookout("classify", name)
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "This user may not read"),
        (errno.ESTALE, "cannot be read: Stale file handle. Check the disk or share"),
        (errno.ENAMETOOLONG, "There is no file or folder"),
    ],
)
def test_what_cannot_be_looked_into_is_reported(
    number: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "stat", refused)
    monkeypatch.setattr(Path, "is_file", refused)
    [job] = batch.find([str(tmp_path / "theirs" / "one.jpg")], every_s=1)
    assert said in str(job.problem)


def test_a_picture_may_come_through_a_pipe(lookout: Run, folder: Path, tmp_path: Path) -> None:
    """As a shell's <(…) makes one: what is read to find out what it is cannot be read again."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=lambda: pipe.write_bytes((folder / "one.jpg").read_bytes()), daemon=True).start()
    done = lookout("classify", "--json", pipe)
    assert lines(done.stdout)["pipe"]["width"] == 160


def test_a_picture_may_be_piped_in(folder: Path, tmp_path: Path) -> None:
    piped = [sys.executable, "-m", "lookout", "classify", "--json", "-"]
    options: Any = {"timeout": 60, "env": environment(tmp_path)}
    done = subprocess.run(piped, input=(folder / "one.jpg").read_bytes(), capture_output=True, **options)
    assert lines(done.stdout.decode())["stdin"]["width"] == 160
    with (folder / "one.jpg").open("rb") as file:
        assert subprocess.run(piped, stdin=file, capture_output=True, **options).returncode == 0
    nothing = subprocess.run(piped, stdin=subprocess.DEVNULL, capture_output=True, **options)
    assert nothing.returncode == 1
    assert b"There is no picture on the standard input." in nothing.stdout + nothing.stderr


@pytest.mark.parametrize("form", ["--json", "--csv", "--top=1"])
def test_a_name_that_is_not_utf_8_stops_nothing(command: Run, folder: Path, tmp_path: Path, form: str) -> None:
    where = tmp_path / "odd"
    where.mkdir()
    (where / os.fsdecode(b"caf\xe9.jpg")).write_bytes((folder / "one.jpg").read_bytes())
    done = command("classify", form, where, PYTHONIOENCODING="utf-8:strict")
    assert done.returncode == 0, done.stderr
    assert "caf\\udce9.jpg" in done.stdout
    if form == "--json":
        assert os.fsencode(json.loads(done.stdout)["source"]).endswith(b"caf\xe9.jpg")


def test_what_is_not_there_stops_no_other(lookout: Run, folder: Path) -> None:
    done = lookout("classify", "--json", folder / "nowhere.jpg", folder / "one.jpg")
    found = lines(done.stdout)
    assert found["nowhere.jpg"]["error"]["code"] == "picture_unsupported"
    assert found["one.jpg"]["top"]
    assert done.returncode == 1


def test_a_text_is_neither_picture_nor_video(lookout: Run, folder: Path) -> None:
    done = lookout("classify", folder / "notes.txt", "--json")
    assert lines(done.stdout)["notes.txt"]["error"]["code"] == "picture_unsupported"
    assert done.returncode == 1


def film(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (96, 96))
    for shade in range(25):
        writer.write(np.full((96, 96, 3), shade * 10, np.uint8))
    writer.release()
    return path


def test_a_video_whose_name_is_not_utf_8_is_read_like_any_other(command: Run, tmp_path: Path) -> None:
    """In a process of its own: such a name ends the whole process where OpenCV is given it."""
    film(tmp_path / "clip.mp4").rename(tmp_path / os.fsdecode(b"caf\xe9.mp4"))
    done = command("classify", "--json", tmp_path / os.fsdecode(b"caf\xe9.mp4"))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_a_video_is_looked_at_every_second(lookout: Run, tmp_path: Path) -> None:
    path = film(tmp_path / "clip.mp4")
    done = lookout("classify", "--json", path)
    assert done.returncode == 0, done.stderr
    assert list(lines(done.stdout)) == ["clip.mp4#t=0.000", "clip.mp4#t=1.000", "clip.mp4#t=2.000"]
    every = lookout("classify", "--json", "--every", "0.5", path)
    assert len(every.stdout.splitlines()) == 5


def test_a_picture_may_come_from_an_address(lookout: Run, address: str) -> None:
    done = lookout("classify", "--json", f"{address}/one.jpg", f"{address}/none.jpg")
    found = lines(done.stdout)
    assert found["one.jpg"]["width"] == 160
    assert "404" in found["none.jpg"]["error"]["detail"]


@pytest.mark.parametrize(
    "said",
    [
        b"This is not HTTP.\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\nno number",
    ],
)
def test_a_server_that_sends_nonsense_is_reported_and_the_others_go_on(lookout: Run, folder: Path, said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            line, _ = server.accept()
            with line:
                line.recv(4096)
                line.sendall(said)

        threading.Thread(target=answer, daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/bad.jpg"
        done = lookout("classify", "--json", address, "http://127.0.0.1:1/a name.jpg", folder / "one.jpg")
    found = lines(done.stdout)
    assert found["bad.jpg"]["error"]["remedy"]
    assert "Nothing listens" in found["a name.jpg"]["error"]["detail"]
    assert found["one.jpg"]["width"] == 160


def test_a_server_that_drips_is_left_after_a_while(lookout: Run, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "DOWNLOAD_S", 0.5)
    began = time.monotonic()
    done = lookout("classify", "--json", f"{address}/dripping.jpg")
    assert time.monotonic() - began < 20
    assert "too slow" in lines(done.stdout)["dripping.jpg"]["error"]["detail"]


def test_an_address_may_hold_a_user_and_password(lookout: Run, address: str) -> None:
    locked = address.replace("http://", "http://ann:s%3Acr%40t@") + "/locked/one.jpg"
    done = lookout("classify", "--json", locked)
    assert done.returncode == 0, done.stdout
    assert lines(done.stdout)["one.jpg"]["width"] == 160
    assert "s%3A" not in done.stdout
    assert "asks for a user name and password" in lookout("classify", "--json", address + "/locked/one.jpg").stdout


@pytest.mark.parametrize("before", ["rtsp:/", "rtsp//", "http;//", "//", "", "file:rtsp:/", "rtsp:"])
def test_a_mistyped_address_is_reported_without_its_password(lookout: Run, before: str) -> None:
    done = lookout("classify", "--json", f"{before}admin:hunter22@cam/live")
    assert done.returncode == 1
    assert "hunter22" not in done.stdout + done.stderr
    assert "an address begins with rtsp://" in done.stdout


def test_a_camera_gives_one_picture(lookout: Run) -> None:
    done = lookout("classify", "--json", "demo")
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout)["demo"]["width"] == 640


def test_without_an_answer_of_the_camera_it_is_exit_status_4(lookout: Run, folder: Path) -> None:
    done = lookout("classify", "--json", "usb:/dev/video99")
    assert done.returncode == 4
    assert lines(done.stdout)["video99"]["error"]["remedy"]
    broken = folder / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff")
    assert lookout("classify", broken, "usb:/dev/video99").returncode == 1, "not only the camera"


def test_the_cameras_region_says_nothing_of_pictures_from_elsewhere(lookout: Run, folder: Path) -> None:
    setting = {"LOOKOUT_ANSWER__REGION": "0,0,0.5,0.5"}
    seen = lines(lookout("classify", "--json", folder / "one.jpg", **setting).stdout)["one.jpg"]["seen"]
    assert seen == {"x": 0.125, "y": 0.0, "width": 0.75, "height": 1.0}
    asked = lookout("classify", "--json", folder / "one.jpg", "--region", "0,0,0.5,0.5", **setting)
    assert lines(asked.stdout)["one.jpg"]["seen"]["height"] == 0.5


def test_an_unknown_model_or_region_is_exit_status_3(lookout: Run, folder: Path) -> None:
    done = lookout("classify", folder, "--model", "horse")
    assert done.returncode == 3
    assert 'There is no model "horse"' in done.stderr
    assert "cat-dog-resnet18" in done.stderr
    assert lookout("classify", folder, "--region", "0.9,0,0.5,1").returncode == 3
    assert "--region is" in lookout("classify", folder, "--region", "a").stderr
    assert "--model is" in lookout("classify", folder, "--model", "a b").stderr
