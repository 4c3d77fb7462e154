"""The errors for a server's status, the same for RTSP and HTTP, for streams, snapshots and `classify`."""

from __future__ import annotations

from lookout.camera.sources.http_login import challenges, is_answerable
from lookout.errors import CameraAbsent, CameraDenied, CameraError

SIGNS = "/ ? # @ : % in them as %2F %3F %23 %40 %3A %25"


def refusal(shown: str, scheme: str, status: int, asked: str = "", *, with_login: bool) -> CameraError:
    """The error for a status of 400 or more. asked: its `WWW-Authenticate`. with_login: whether a password was sent."""
    if status in (401, 403, 407):
        return _denied(shown, scheme, asked, with_login=with_login)
    if status in (404, 410, 454):
        return CameraAbsent(
            f"The server of {shown} knows no such path (error {status}).", "Look the path up in the camera's manual."
        )
    if status in (429, 503):
        return CameraError(
            f"The server of {shown} is busy (error {status}).", "Close other viewers of the camera, or restart it."
        )
    return CameraError(f"The server of {shown} answers with error {status}.", "Restart the camera.")


def _denied(shown: str, scheme: str, asked: str, *, with_login: bool) -> CameraDenied:
    if not with_login:
        return CameraDenied(
            f"{shown} asks for a user name and password.", f"Use {scheme}://USER:PASSWORD@HOST/PATH as the address."
        )
    if not is_answerable(asked):
        named = ", ".join(f"{kind} {found.get('algorithm', '')}".strip() for kind, found in challenges(asked))
        ways = "".join(filter(str.isprintable, named))
        return CameraDenied(
            f"{shown} asks for the password in an unknown way ({ways[:60]}).",
            "Choose Basic or Digest in the camera's settings.",
        )
    return CameraDenied(f"{shown} refuses the user name or password.", f"Correct them; write signs such as {SIGNS}.")
