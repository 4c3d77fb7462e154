"""The certificate for HTTPS: checked before anything starts, so that a mistake becomes a clear error."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from lookout.errors import SettingInvalid
from lookout.settings.schema import ServerSettings
from lookout.system.regular_files import open_regular

log = logging.getLogger(__name__)

# A certificate with its chain and key is a few kilobytes.
_MAX_BYTES = 2**20


def check_tls(settings: ServerSettings) -> None:
    """Raise SettingInvalid for a certificate or key that cannot be used, and for a key without a certificate."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None:
        if key is None:
            return
        raise SettingInvalid(
            "server.tls_key is set, but server.tls_certificate is not: pictures and tokens would travel in the open.",
            "Set both, or neither.",
        )
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        if path is None:  # the key may be in the certificate's file
            continue
        try:
            open_regular(path, _MAX_BYTES, follow_links=True).close()
        except OSError as error:
            raise SettingInvalid(
                f"server.{name} {path} cannot be read: {error.strerror}.",
                "Correct the path, and make the file readable for the service's user.",
            ) from error
    try:
        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, key)
    except (ssl.SSLError, ValueError) as error:
        beside = f" with server.tls_key {key}" if key else ""
        raise SettingInvalid(
            f"server.tls_certificate {certificate} cannot be used{beside}: {_reason(error)}.",
            "Both must be PEM files, and the key the certificate's own, without a password.",
        ) from error


async def renew_certificate(context: ssl.SSLContext, settings: ServerSettings) -> None:
    """Load the certificate's current files for new connections. If they cannot be used, nothing changes."""
    certificate = settings.tls_certificate
    if certificate is None:
        return
    try:
        await asyncio.to_thread(check_tls, settings)
        # On the event loop, which does the handshakes: the context must not change in the middle of one.
        _load(context, certificate, settings.tls_key)
    except (SettingInvalid, OSError, ValueError) as error:  # ssl.SSLError is an OSError
        log.error("The certificate in use stays as it was. %s", error)
    else:
        log.info("The certificate was read again.")


def _load(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    # With a password, OpenSSL would ask for it on the terminal, which a service does not have.
    context.load_cert_chain(certificate, key, password="")


def _reason(error: Exception) -> str:
    words = {"KEY_VALUES_MISMATCH": "the key is that of another certificate", "NO_START_LINE": "it is not a PEM file"}
    code = getattr(error, "reason", None) or ""
    return words.get(code, code.lower().replace("_", " ") or "it contains no readable certificate and key")
