"""Label files as they come with networks: one name for each output, or a refusal that names the line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from lookout.errors import ModelRejected
from lookout.registry.label_files import MAX_LABELS, read_labels

FORMS = {
    "lines": "cat\ndog\n",
    "lines with remarks and blanks": "# of the kitchen\n\n cat \n\ndog",
    "synset_words.txt": "n02123045 cat, tabby\nn02106662 dog, shepherd\n",
    "numbered from 0": "0 cat\n1 dog\n",
    "numbered from 1, in another order": "2: dog\n1: cat\n",
    "a JSON list": '["cat", "dog"]',
    "Keras's class index": '{"0": ["n02123045", "cat"], "1": ["n02106662", "dog"]}',
    "Hugging Face's id2label": '{"architectures": [], "id2label": {"0": "cat, tabby", "1": "dog"}}',
    "Hugging Face's label2id": '{"label2id": {"dog": 1, "cat": 0}}',
    "a list of records": '[{"id": 1, "name": "dog"}, {"id": 0, "name": "cat"}]',
    "a dictionary as Python prints it": "{0: 'cat', 1: 'dog'}",
    "TensorFlow's label map": 'item { id: 1 name: "cat" }\nitem { id: 2 display_name: "dog" name: "x" }',
    "YAML, a mapping": "nc: 2\nnames:\n  0: cat\n  1: dog\n",
    "YAML, in brackets": "names: [cat, 'dog']\n",
    "CSV": "index,label\n1,dog\n0,cat\n",
    "tab-separated": "class\tname\n0\tcat\n1\tdog\n",
    "pandas's CSV": ",label,count\n0,cat,5\n1,dog,6\n",
    "numbered with a full stop": "0. cat\n1. dog\n",
    "numbered with a bracket": "1) cat\n2) dog\n",
    "numbered in brackets": "[0] cat\n[1] dog\n",
    "numbered with a dash": "0 - cat\n1 - dog\n",
    "an assignment a line": "0=cat\n1=dog\n",
    "numbered behind": "dog,1\ncat,0\n",
    "numbered behind a tab": "cat\t0\ndog\t1\n",
    "on a single line": "cat,dog\n",
    "quoted, with commas": '"cat",\n"dog",\n',
    "a list of bullets": "- cat\n- dog\n",
    "YAML under another key, with remarks": "labels:  # two\n  - cat  # small\n  - dog\n",
    "a program's list": "CLASSES = ['cat', 'dog']\n",
    "TensorFlow.js's program": "export const CLASSES = {\n  0: 'cat, tabby',\n  1: 'dog'\n};\n",
    "a record of JSON a line": '{"id": 1, "name": "dog"}\n{"id": 0, "name": "cat"}\n',
    "torchvision's class_to_idx": '{"class_to_idx": {"dog": "1", "cat": "0"}}',
}


def read(folder: Path, content: str | bytes) -> list[str]:
    path = folder / "labels"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labels(path)


@pytest.mark.parametrize("form", FORMS)
def test_every_usual_form_gives_the_labels_in_order(tmp_path: Path, form: str) -> None:
    assert read(tmp_path, FORMS[form]) == ["cat", "dog"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_windows_editors_and_shells(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, "貓\r\ndog\r\n".encode(encoding)) == ["貓", "dog"]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("2 wheels\n4 wheels\n", ["2 wheels", "4 wheels"]),
        ("crane\ncup\ncrane\n", ["crane", "cup", "crane 2"]),
        ("crane\ncrane 2\ncrane\n", ["crane", "crane 2", "crane 3"]),
        ("[one]\n[two]\n", ["[one]", "[two]"]),
        ("0.5 mm\n1.5 mm\n", ["0.5 mm", "1.5 mm"]),
        ("0-2 years\n1-3 years\n", ["0-2 years", "1-3 years"]),
        ("grade: 0\ngrade: 1\n", ["grade: 0", "grade: 1"]),
        ("Class 0\nClass 1\n", ["Class 0", "Class 1"]),
    ],
)
def test_what_only_looks_like_another_form_is_kept(tmp_path: Path, content: str, names: list[str]) -> None:
    assert read(tmp_path, content) == names


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "contains no labels"),
        ("cat\n" * (MAX_LABELS + 1), "is the maximum"),
        ("cat\n" + "d" * 101, "line 2: the label has 101 characters"),
        (b"cat\nd\xf6g\n", "line 2, is not UTF-8"),
        ("0 cat\n2 dog\n", 'line 2: "dog" has the number 2, but 1 is next'),
        ('{"0": "cat", "1": 5}', 'entry "1" is not a label, but 5'),
        ('["cat",\n "dog"', "line 2, is not JSON"),
        ("label,id\ncat,0\n,1\n", "line 3, contains no label"),
        ("cat\nd\x1bog\n", "line 2: the label contains unprintable characters"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n", "a pointer of Git LFS"),
        ("<!DOCTYPE html>\n<html>\n404</html>", "a web page"),
    ],
)
def test_a_refusal_names_the_place(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(ModelRejected, match=said) as refusal:
        read(tmp_path, content)
    assert refusal.value.remedy.endswith(".")


@pytest.mark.parametrize("content", ["[" * 5000, "{" * 5000, '{"0": ' * 3000, "names: [" + "[" * 500 + "]"])
def test_brackets_without_end_are_no_traceback(tmp_path: Path, content: str) -> None:
    with contextlib.suppress(ModelRejected):
        assert read(tmp_path, content)
