"""Response schemas for integrations and notices."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IntegrationResponse(_Response):
    name: str
    status: Literal["off", "missing", "starting", "ok", "failed"] = Field(
        description="missing: a package it needs is not installed. failed: it does not work now, and keeps trying."
    )
    since: str | None = Field(description="RFC 3339; null if it is off.")
    code: str | None = Field(description="Stable, for programs and translations; null while nothing is wrong.")
    reason: str | None
    remedy: str | None


class IntegrationsResponse(_Response):
    integrations: list[IntegrationResponse]


class NotifyRuleResponse(_Response):
    name: str
    when: str
    labels: list[str]
    to: list[str]
    snoozed_for_s: float = Field(description="Seconds for which it stays snoozed; 0: it is not.")
    sent_last_hour: int
    held: int = Field(description="Notices held back since the last one was sent.")


class NotifyTargetResponse(_Response):
    name: str
    kind: Literal["webhook", "program", "apprise"]
    waiting: int
    delivered: int
    lost: int = Field(description="Notices given up after a day, or displaced by newer ones.")
    off: bool = Field(description="Whether the target has answered that it is gone: it is sent no more.")
    code: str | None = Field(description="Why the last notice did not arrive; null if it did.")
    reason: str | None
    remedy: str | None


class NotifyResponse(_Response):
    rules: list[NotifyRuleResponse]
    targets: list[NotifyTargetResponse]


class NoticeResponse(_Response):
    id: str
    rule: str
    title: str
    text: str
    time: str
    label: str | None
    event: int | None
    probability: float | None
    held: int
    url: str


class NoticesResponse(_Response):
    notices: list[NoticeResponse]


class NotifyTrialResponse(_Response):
    id: str
