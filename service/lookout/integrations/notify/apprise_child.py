"""Apprise's own process: one JSON object per line on standard input, one reply per line. Exits after a minute idle."""

from __future__ import annotations

import base64
import json
import select
import sys
from typing import Any

IDLE_S = 60.0


def main() -> None:
    while select.select([sys.stdin], [], [], IDLE_S)[0]:
        line = sys.stdin.buffer.readline()
        if not line:
            return
        try:
            answer = _send(json.loads(line))
        except Exception as error:
            answer = type(error).__name__
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _send(wanted: dict[str, Any]) -> str:
    import apprise

    sender = apprise.Apprise()
    if not sender.add(wanted["url"]):
        return "Apprise does not recognise its address"
    attach = None
    if wanted["picture"]:
        from apprise.attachment.memory import AttachMemory

        content = base64.b64decode(wanted["picture"])
        attach = AttachMemory(content, name="lookout.jpg", mimetype="image/jpeg")  # type: ignore[no-untyped-call]
    sent = sender.notify(body=wanted["body"], title=wanted["title"], attach=attach)
    return "ok" if sent else "the receiver did not take it"


if __name__ == "__main__":
    main()
