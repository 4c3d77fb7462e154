"""Settings of the integrations that send to other programs: MQTT and notices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from lookout.settings.section import Probability, Section


class MqttSettings(Section):
    """The MQTT broker to publish what the camera sees; Home Assistant discovers the device there."""

    url: str | None = Field(
        None,
        description="mqtt://user@host:1883, or mqtts:// for TLS; none: off. The password goes into password_file.",
    )
    password_file: Path | None = Field(None, description="A file whose first line is the password.")
    ca: Path | None = Field(None, description="PEM file of the authority that signed the broker's certificate.")
    client_certificate: Path | None = Field(None, description="PEM file, for brokers that require one.")
    client_key: Path | None = Field(None, description="PEM file with the private key of client_certificate.")
    base: str = Field(
        "lookout",
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$",
        description="Topics start with this and the device's id: lookout/5f0c12ab/answer.",
    )
    discovery: bool = Field(True, description="Announce the device to Home Assistant.")
    discovery_prefix: str = Field(
        "homeassistant",
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$",
        description="The discovery prefix that Home Assistant's MQTT integration is set to.",
    )
    heartbeat_s: float = Field(
        60.0, ge=1.0, le=86_400.0, description="Seconds between messages about the device's health."
    )
    keepalive_s: int = Field(
        10,
        ge=2,
        le=3600,
        description="MQTT keep-alive in seconds; after one and a half times as long, the broker reports it offline.",
    )
    picture: Literal["event", "minute", "none"] = Field(
        "event",
        description='Pictures to send: "event" for the best of each visit, "minute" for one per minute, or "none".',
    )
    control: bool = Field(
        False, description="Let clients of the broker pause the camera, choose the model and set thresholds."
    )

    @field_validator("url")
    @classmethod
    def _is_broker(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            address = urlsplit(value)
            good = address.scheme in ("mqtt", "mqtts") and bool(address.hostname) and address.port != 0
        except ValueError:
            good = False
        if not good or address.path.strip("/") or address.query or address.fragment:
            raise ValueError("it is not the address of a broker: write it as mqtt://host or mqtts://user@host:8883")
        if address.password is not None:
            raise ValueError("it holds a password: write it into a file of its own and name that in mqtt.password_file")
        return value

    @model_validator(mode="after")
    def _certificates_fit(self) -> MqttSettings:
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("client_certificate and client_key belong together: set both or neither")
        encrypted = self.url is None or self.url.startswith("mqtts:")
        if not encrypted and (self.ca is not None or self.client_certificate is not None):
            raise ValueError("ca and client_certificate are of no use without TLS: begin mqtt.url with mqtts://")
        return self


class NotifyRule(Section):
    """When to send a notice, and to which targets."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    when: Literal["begins", "ends", "first_today", "after_absence", "rare", "unsure", "health"] = "begins"
    view: str = "main"
    labels: list[str] = Field(default_factory=list)
    min_probability: Probability = 0.0
    after_s: float = Field(0.0, ge=0.0, le=86_400.0)
    absence_h: float = Field(8.0, gt=0.0, le=8760.0)
    rare_visits: int = Field(3, ge=1, le=20)
    quiet: str = Field("", pattern=r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$")
    cooldown_s: float = Field(300.0, ge=0.0, le=604_800.0)
    per_hour: int = Field(6, ge=1, le=60)
    to: list[str] = Field(min_length=1)
    picture: bool = False


class NotifyTarget(Section):
    """Exactly one of url_file (a file whose first line is an Apprise URL), webhook (with secret_file) and exec."""

    url_file: Path | None = None
    webhook: SecretStr | None = None
    secret_file: Path | None = None
    exec: list[str] = Field(default_factory=list)

    @field_validator("webhook")
    @classmethod
    def _is_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                address = urlsplit(value.get_secret_value())
                good = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
            except ValueError:
                good = False
            if not good:
                raise ValueError("webhook is not an address: write it as https://host/path")
        return value

    @model_validator(mode="after")
    def _is_one(self) -> NotifyTarget:
        if (self.url_file is not None) + (self.webhook is not None) + bool(self.exec) != 1:
            raise ValueError("a target has one of url_file, webhook and exec")
        if self.exec and not self.exec[0].startswith("/"):
            raise ValueError('exec begins with the whole path of a program, such as ["/usr/local/bin/ring"]')
        if self.secret_file is not None and self.webhook is None:
            raise ValueError("secret_file belongs to a webhook")
        return self


class NotifySettings(Section):
    """Who is notified of what. In the settings file only; docs/notices.md has examples."""

    rules: list[NotifyRule] = Field(
        default_factory=list, description="[[notify.rules]]: name, when, labels, to and more; none: no notices."
    )
    targets: dict[str, NotifyTarget] = Field(
        default_factory=dict, description="[notify.targets.NAME]: a webhook, a program, or a file with an Apprise URL."
    )
    links_h: float = Field(
        24.0,
        ge=0.0,
        le=168.0,
        description="Hours for which the link in a notice shows the visit and accepts an answer without a login.",
    )

    @model_validator(mode="after")
    def _fit(self) -> NotifySettings:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("two rules have the same name: give each its own")
        if "all" in names:
            raise ValueError('"all" means every rule: choose another name')
        for name in self.targets:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}", name):
                raise ValueError(f'"{name}" is not a name for a target: use letters, digits, dashes and underscores')
        for rule in self.rules:
            for name in rule.to:
                if name not in self.targets:
                    raise ValueError(f'rule "{rule.name}" names a target "{name}" that does not exist')
        return self
