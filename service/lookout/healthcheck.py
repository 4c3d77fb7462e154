"""`python -m lookout.healthcheck`: whether the service in this container is healthy.

Standard library only, since it runs often. Asks where the environment says the service listens; a settings file
with another port needs its own check.
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
    """Return the URL of /healthz on this machine."""
    scheme = "https" if environ.get("LOOKOUT_SERVER__TLS_CERTIFICATE") else "http"
    host = environ.get("LOOKOUT_SERVER__HOST", "")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{environ.get('LOOKOUT_SERVER__PORT') or '8642'}/healthz"


def check(url: str, wait_s: float = WAIT_S, max_bytes: int = 1024) -> bytes:
    """Return the first `max_bytes` of the response. Raises OSError if there is none in time, or on an error status."""
    # The certificate is for the public host name; on the same machine, nothing can intercept the connection.
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unverified)
    )
    try:
        with opener.open(url, timeout=wait_s) as answer:
            content: bytes = answer.read(max_bytes)
            return content
    except http.client.HTTPException as error:
        raise OSError(f"the response is not HTTP ({error})") from error


if __name__ == "__main__":
    try:
        check(address(os.environ))
    except OSError as error:
        sys.exit(f"The service is not healthy: {error}")
