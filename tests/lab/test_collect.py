"""What "Collect" hands over: an archive that any program reads, of labels that are folders on any system."""

from __future__ import annotations

import io
import zipfile

import pytest

from tests.lab.conftest import Call
from tests.requires import requires

pytestmark = [requires("node")]


def test_the_archive_is_read_by_others_whole_and_with_its_names(call: Call) -> None:
    files = {"cat/camera-00001.jpg": bytes(range(256)) * 3, "貓/camera-00001.jpg": b"", "dog/a.jpg": b"\xff\xd8 a"}
    packed = call("zip", "archiveOf", [{"name": name, "bytes": list(data)} for name, data in files.items()])
    with zipfile.ZipFile(io.BytesIO(bytes(packed))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files


@pytest.mark.parametrize(
    ("typed", "folder"),
    [
        ("cat", "cat"),
        ("  my   cat ", "my cat"),
        ("../etc/passwd", "etc passwd"),
        ("a\\b:c*?", "a b c"),
        ("...", ""),
        ("貓", "貓"),
        ("x" * 80, "x" * 60),
    ],
)
def test_a_label_is_the_name_of_one_folder(call: Call, typed: str, folder: str) -> None:
    assert call("zip", "folderOf", typed) == folder
