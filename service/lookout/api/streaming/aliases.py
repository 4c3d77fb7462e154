"""The paths of mjpg-streamer and µStreamer, at which other programs look for a stream.

They are replaced by Lookout's own before anything is checked, so that tokens, links and headers work the same.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

_STREAM, _SNAPSHOT = "/api/stream.mjpg", "/api/snapshot.jpg"
_USTREAMER = {"/stream": _STREAM, "/snapshot": _SNAPSHOT}
# mjpg-streamer numbers its inputs; here there is only input 0.
_MJPG_STREAMER = {"stream": _STREAM, "stream_0": _STREAM, "snapshot": _SNAPSHOT, "snapshot_0": _SNAPSHOT}


def canonical(method: str, path: str, query: bytes) -> str:
    """Return Lookout's path for another streamer's, and any other path unchanged. path: without a proxy's sub-path."""
    if method not in ("GET", "HEAD"):
        return path
    if path == "/" and b"action=" in query:
        asked = dict(parse_qsl(query.decode("latin-1"))).get("action", "")
        return _MJPG_STREAMER.get(asked, path)
    return _USTREAMER.get(path, path)
