"""The addresses of other streamers, under which programs look for a stream: mjpg-streamer's and µStreamer's.

They are read as our own before anything is checked, so that tokens, links and headers are the same for each name.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

_STREAM, _SNAPSHOT = "/api/stream.mjpg", "/api/snapshot.jpg"
_USTREAMER = {"/stream": _STREAM, "/snapshot": _SNAPSHOT}
# Only input plugin 0 exists here, by whatever name.
_MJPG_STREAMER = {"stream": _STREAM, "stream_0": _STREAM, "snapshot": _SNAPSHOT, "snapshot_0": _SNAPSHOT}


def canonical(method: str, path: str, query: bytes) -> str:
    """Our own path for another streamer's; all others as they are. path: without a proxy's sub-path."""
    if method not in ("GET", "HEAD"):
        return path
    if path == "/" and b"action=" in query:
        asked = dict(parse_qsl(query.decode("latin-1"))).get("action", "")
        return _MJPG_STREAMER.get(asked, path)
    return _USTREAMER.get(path, path)
