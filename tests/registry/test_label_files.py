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
