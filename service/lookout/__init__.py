"""Lookout: says, truthfully and at once, what a camera sees. This package imports nothing heavy."""

import os

__version__ = "0.1.0"

# What a camera in somebody's home sees belongs to them: from 1.29 on, onnxruntime's Linux builds report models and
# sessions to Microsoft unless this is set before the library is loaded. Nothing leaves the machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
