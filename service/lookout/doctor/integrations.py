"""Checks of the integrations: whether what the settings enable is installed, and what the service reports."""

from __future__ import annotations

from functools import partial
from typing import Any

from lookout.doctor.check import Check, Context, Finding, ok, skipped
from lookout.doctor.service import ask
from lookout.integrations.registry import KINDS, Kind


def _look(kind: Kind, context: Context) -> Finding:
    if not kind.is_on(context.settings):
        return skipped(f"{kind.title} is off; {kind.switch} switches it on.")
    missing = kind.missing()
    if missing is not None:
        return Finding("fail", missing.detail, missing.remedy)
    said = _said(kind, ask(context.settings.server, "/api/integrations") or {})
    if said is None:
        return ok(f"{kind.title} is set up; no running service reported its state.")
    if said.get("status") in ("ok", "starting"):
        return ok(f"{kind.title} is set up, and the service reports: {said['status']}.")
    return Finding("fail", str(said.get("reason") or f"{kind.title} does not work."), str(said.get("remedy") or ""))


def _said(kind: Kind, answer: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the running service reports about the integration; None if it is not running or needs a token."""
    found = answer.get("integrations")
    entries = found if isinstance(found, list) else []
    return next((one for one in entries if isinstance(one, dict) and one.get("name") == kind.name), None)


INTEGRATION_CHECKS = tuple(Check(kind.name, partial(_look, kind)) for kind in KINDS)
