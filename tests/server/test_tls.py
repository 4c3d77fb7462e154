"""A certificate that cannot be used is one sentence before anything starts, never plain HTTP and never a question."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from lookout.errors import SettingInvalid
from lookout.server.tls import check_tls, renew_certificate
from lookout.settings.schema import ServerSettings

from tests.requires import requires


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three pairs, the second key with a password, the first pair in one file too, and a text."""
    folder = tmp_path_factory.mktemp("tls")
    for name, words in (("one", ["-nodes"]), ("two", ["-passout", "pass:secret"]), ("three", ["-nodes"])):
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-subj", "/CN=cats.example", *words]
        files = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")]
        subprocess.run([*command, *files], check=True, capture_output=True)
    (folder / "both").write_text((folder / "one.crt").read_text() + (folder / "one.key").read_text())
    (folder / "text").write_text("hello")
    return folder


def checked(folder: Path, certificate: str | None, key: str | None) -> None:
    named = {"tls_certificate": certificate, "tls_key": key}
    check_tls(ServerSettings(**{name: folder / file for name, file in named.items() if file}))  # type: ignore[arg-type]


@requires("openssl")
@pytest.mark.parametrize(("certificate", "key"), [(None, None), ("one.crt", "one.key"), ("both", None)])
def test_what_fits_passes(made: Path, certificate: str | None, key: str | None) -> None:
    checked(made, certificate, key)


@requires("openssl")
@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        (None, "one.key", "in the open"),
        ("none.crt", "one.key", "server.tls_certificate .*none.crt cannot be read: No such file"),
        ("one.crt", "none.key", "server.tls_key .*none.key cannot be read: No such file"),
        ("one.crt", None, "cannot be used"),
        ("one.crt", "two.key", "cannot be used with server.tls_key"),
        ("two.crt", "two.key", "cannot be used with server.tls_key"),
        ("one.key", "one.crt", "cannot be used"),
        ("text", "text", "cannot be used"),
    ],
)
def test_what_does_not_fit_is_a_wrong_setting(made: Path, certificate: str | None, key: str, said: str) -> None:
    with pytest.raises(SettingInvalid, match=said) as caught:
        checked(made, certificate, key)
    assert caught.value.remedy
    assert caught.value.exit_code == 3


@requires("openssl")
def test_a_renewed_certificate_is_taken_for_new_connections_and_a_wrong_one_is_not(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = tmp_path / "site.crt", tmp_path / "site.key"
    settings = ServerSettings(tls_certificate=certificate, tls_key=key)

    def put(name: str) -> bytes:
        shutil.copy(made / f"{name}.crt", certificate)
        shutil.copy(made / f"{name}.key", key)
        return ssl.PEM_cert_to_DER_cert((made / f"{name}.crt").read_text())

    first = put("one")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    assert shown(context) == first
    renewed = put("three")
    asyncio.run(renew_certificate(context, settings))
    assert shown(context) == renewed != first
    put("two")  # its key has a password
    asyncio.run(renew_certificate(context, settings))
    assert shown(context) == renewed
    assert "The certificate in use stays as it was." in caplog.text


def shown(context: ssl.SSLContext) -> bytes:
    """The certificate that a client sees now."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(ours, theirs)
    answering = context.wrap_bio(theirs, ours, server_side=True)
    for _ in range(4):
        for side in (asking, answering):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return asking.getpeercert(binary_form=True) or b""
