"""The broker's address and credentials from the settings, and the meaning of its errors."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lookout.errors import LookoutError, SettingInvalid
from lookout.settings.integrations import MqttSettings
from lookout.system.regular_files import read_regular

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_MAX_SECRET_BYTES = 4096
# MQTT 5 reason codes; paho maps those of MQTT 3 to them.
_UNSUPPORTED_VERSION, _BAD_PASSWORD, _NOT_AUTHORISED, _BANNED = 132, 134, 135, 138


class BrokerUnreachable(LookoutError):
    """The connection to the broker cannot be established, or was lost."""

    code = "broker_unreachable"
    title = "The MQTT broker cannot be reached"
    status = 503


class BrokerLost(BrokerUnreachable):
    """An established connection to the broker has ended."""

    code = "broker_lost"
    title = "The connection to the MQTT broker ended"


class BrokerDenied(BrokerUnreachable):
    """The broker does not accept the user or the password, or forbids the topics."""

    code = "broker_denied"
    title = "The MQTT broker does not let Lookout in"


class BrokerUntrusted(BrokerUnreachable):
    """The broker's certificate is not one that this machine trusts."""

    code = "broker_untrusted"
    title = "The MQTT broker's certificate is not trusted"


@dataclass(frozen=True, slots=True)
class Broker:
    """Built anew for each connection, because password and certificates are read from files that may change."""

    host: str
    port: int
    user: str | None
    password: str | None
    context: ssl.SSLContext | None

    @classmethod
    def of(cls, settings: MqttSettings) -> Broker:
        """Read the settings' files. May wait for the disk. Raises SettingInvalid if one cannot be used."""
        assert settings.url is not None
        address = urlsplit(settings.url)
        password = None if settings.password_file is None else _secret(settings.password_file)
        return cls(
            host=address.hostname or "",
            port=address.port or _PORTS[address.scheme],
            user=unquote(address.username) if address.username else None,
            password=password,
            context=_context(settings) if address.scheme == "mqtts" else None,
        )

    @property
    def place(self) -> str:
        """Host and port for people, without user and password."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def _secret(path: Path) -> str:
    try:
        text = read_regular(path, _MAX_SECRET_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(
            f"mqtt.password_file {path} cannot be read ({getattr(error, 'strerror', None) or 'it is not text'}).",
            "Write the password into it, and let the service's user read it.",
        ) from error
    return text.split("\n", 1)[0].strip("\r")


def _context(settings: MqttSettings) -> ssl.SSLContext:
    """Return a TLS context that always verifies: a broker that cannot be identified gets no password."""
    try:
        context = ssl.create_default_context(cafile=None if settings.ca is None else str(settings.ca))
    except (OSError, ssl.SSLError) as error:
        raise SettingInvalid(
            f"mqtt.ca {settings.ca} cannot be used ({error.strerror or error}).",
            "Name a PEM file with the certificate of the authority that signed the broker's.",
        ) from error
    if settings.client_certificate is not None:
        try:
            context.load_cert_chain(settings.client_certificate, settings.client_key)
        except (OSError, ssl.SSLError) as error:
            raise SettingInvalid(
                f"mqtt.client_certificate {settings.client_certificate} cannot be used with mqtt.client_key "
                f"({error.strerror or error}).",
                "Name two PEM files without a passphrase that the service's user can read.",
            ) from error
    return context


def refused(place: str, code: int, words: str) -> BrokerUnreachable:
    """Return the error for a connection that the broker refused. code: the MQTT 5 reason code."""
    if code in (_BAD_PASSWORD, _NOT_AUTHORISED, _BANNED):
        return BrokerDenied(
            f"The broker {place} does not let Lookout in: {words}.",
            "Set the user in mqtt.url (mqtt://user@host) and the password in the file mqtt.password_file.",
        )
    if code == _UNSUPPORTED_VERSION:
        return BrokerUnreachable(f"The broker {place} does not speak MQTT 5.", "Update it: mosquitto does since 1.6.")
    return BrokerUnreachable(f"The broker {place} refuses the connection: {words}.", "Its log says why.")


def unreachable(place: str, error: OSError) -> BrokerUnreachable:
    """Return the error for a connection that failed, with the reason in a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return BrokerUntrusted(
            f"The certificate of the broker {place} cannot be trusted: {error.verify_message}.",
            "Set mqtt.ca to the certificate of the authority that signed it, and name the host as it does.",
        )
    if isinstance(error, ssl.SSLError):
        return BrokerUnreachable(
            f"The broker {place} does not agree on TLS ({error.reason or error}).",
            "Use its TLS port (usually 8883). If it requires a client certificate, set mqtt.client_certificate.",
        )
    if isinstance(error, socket.gaierror):
        return BrokerUnreachable(f"There is no address for the broker {place}.", "Check the host's name in mqtt.url.")
    if isinstance(error, ConnectionRefusedError):
        return BrokerUnreachable(f"Nothing listens on {place}.", "Start the broker, or correct mqtt.url.")
    if isinstance(error, TimeoutError):
        return BrokerUnreachable(f"The broker {place} does not answer.", "Check the network and mqtt.url.")
    return BrokerUnreachable(
        f"The broker {place} cannot be reached ({error.strerror or type(error).__name__}).",
        "Check the network and mqtt.url.",
    )
