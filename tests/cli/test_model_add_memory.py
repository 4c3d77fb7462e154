"""`lookout models add` takes a few times the file's size, not more for every step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.cli.conftest import environment

MATRICES = 10  # of 4 MiB
# It is 4 to 5: the message, sessions with their own copies, the heap between them. With two copies more it was 6.4.
MAX_RATIO = 5.8
_ADD_BOTH = """
import re, sys
from pathlib import Path
from lookout.__main__ import main

def peak_bytes():
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

def add(graph):
    sys.argv = ["lookout", "models", "add", graph, "--labels", labels, "--yes"]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
    return peak_bytes()

small, large, labels = sys.argv[1:]
before = add(small)
print(add(large) - before)
"""


def chain(path: Path, matrices: int) -> Path:
    """A classifier whose weights are this many dense matrices."""
    random = np.random.default_rng(0)
    stored = {"W": random.normal(0, 0.3, (1024, 3, 3, 3)), "Z": random.normal(0, 0.03, (1024, 3))}
    nodes = [
        helper.make_node("Conv", ["in", "W"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["x0"]),
    ]
    for i in range(matrices):
        stored[f"D{i}"] = random.normal(0, 0.03, (1024, 1024))
        nodes.append(helper.make_node("MatMul", [f"x{i}", f"D{i}"], [f"x{i + 1}"]))
    nodes.append(helper.make_node("MatMul", [f"x{matrices}", "Z"], ["out"]))
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in stored.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_adding_takes_a_few_times_the_size_of_the_file(tmp_path: Path) -> None:
    small, large = chain(tmp_path / "small.onnx", 0), chain(tmp_path / "large.onnx", MATRICES)
    (tmp_path / "labels.txt").write_text("cat\ndog\nneither\n")
    done = subprocess.run(
        [sys.executable, "-c", _ADD_BOTH, str(small), str(large), str(tmp_path / "labels.txt")],
        capture_output=True, text=True, timeout=110, env=environment(tmp_path) | {"PYTHONPATH": str(Path.cwd())},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ratio = int(done.stdout.splitlines()[-1]) / large.stat().st_size
    assert ratio < MAX_RATIO, f"{ratio:.1f} times the file's size"
