"""`python -m lookout.healthcheck`: whether the service in this container is well.

Standard library alone, since it runs often. Looks where the environment says that the service listens; a
settings file with another port needs a check of its own.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
import urllib.request
from collections.abc import Mapping

WAIT_S = 4.0


def address(environ: Mapping[str, str]) -> str:
    """Of /healthz, on this machine."""
    scheme = "https" if environ.get("LOOKOUT_SERVER__TLS_CERTIFICATE") else "http"
    host = environ.get("LOOKOUT_SERVER__HOST", "")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{environ.get('LOOKOUT_SERVER__PORT') or '8642'}/healthz"


def check(url: str, wait_s: float = WAIT_S, max_bytes: int = 1024) -> bytes:
    """What is answered, its first `max_bytes`. Raises OSError when nobody answers in time, or with an error."""
    # The certificate names the host that visitors know, and here nobody can stand in between.
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unverified)
    )
    try:
        with opener.open(url, timeout=wait_s) as answer:
            told: bytes = answer.read(max_bytes)
            return told
    except http.client.HTTPException as error:
        raise OSError(f"what answers does not speak HTTP ({error})") from error


if __name__ == "__main__":
    try:
        check(address(os.environ))
    except OSError as error:
        sys.exit(f"The service is not well: {error}")
