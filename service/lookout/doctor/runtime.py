"""Whether onnxruntime and OpenCV can be loaded here, found out in another process: they may end the one that tries."""

from __future__ import annotations

import functools
import sys

from lookout.doctor.check import output_of

_RUNTIME_S = 60.0
_CODE = "import onnxruntime, cv2, numpy; print(onnxruntime.__version__, cv2.__version__, numpy.__version__)"


@functools.cache
def load_runtime() -> tuple[int, str]:
    """Exit status and output of a process that loads them and prints their versions; tried once."""
    return output_of([sys.executable, "-c", _CODE], _RUNTIME_S)
