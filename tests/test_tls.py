"""A certificate that cannot be used is one sentence before anything starts, never plain HTTP and never a question."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lookout.errors import SettingInvalid
from lookout.server.tls import check_tls
from lookout.settings.schema import ServerSettings

from tests.requires import requires


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two pairs, the second key with a password, the first pair in one file too, and a text."""
    folder = tmp_path_factory.mktemp("tls")
    for name, words in (("one", ["-nodes"]), ("two", ["-passout", "pass:secret"])):
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
