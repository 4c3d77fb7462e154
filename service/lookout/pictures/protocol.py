"""The messages between the service and its decoding process, over a SOCK_SEQPACKET pair.

The service sends the import path, then jobs, each with two descriptors. The process sends "R" when it is ready, then
for each job "P" and the picture's sizes, "E" and an error as JSON, or "X" and an internal error.
"""

from __future__ import annotations

import struct

MAX_MESSAGE = 65_536
# max_bytes, max_pixels, min_side; sent with the descriptors of the file and of the memory file for the pixels.
JOB = struct.Struct("<QQI")
JOB_DESCRIPTORS = 2
# Rows and columns of the pixels, width and height of the original, and its format.
PICTURE = struct.Struct("<IIII8s")
