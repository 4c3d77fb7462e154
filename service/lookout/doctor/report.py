"""Runs all checks and prints what they found; explains a log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lookout.doctor.bundle import open_bundle, write_bundle
from lookout.doctor.camera import CAMERA_CHECKS
from lookout.doctor.check import Check, Context, Finding
from lookout.doctor.integrations import INTEGRATION_CHECKS
from lookout.doctor.logs import from_file, journal, without_secrets
from lookout.doctor.machine import MACHINE_CHECKS
from lookout.doctor.program import PROGRAM_CHECKS
from lookout.doctor.service import SERVICE_CHECKS, SERVICE_USER, become_service_user
from lookout.doctor.sightings import Sighting, explain
from lookout.errors import SettingInvalid
from lookout.printable import printable_json
from lookout.settings.sources import load
from lookout.terminal import console, progress, say

if TYPE_CHECKING:
    from rich.console import Console

ALL_CHECKS: tuple[Check, ...] = SERVICE_CHECKS + MACHINE_CHECKS + CAMERA_CHECKS + PROGRAM_CHECKS + INTEGRATION_CHECKS
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "skipped": "dim"}
_NAME_WIDTH = max(len(check.name) for check in ALL_CHECKS)


def context_of(config: Path | None, log: tuple[str, ...] | None = None, *, was_root: bool = False) -> Context:
    """Return what the checks read. Invalid settings are a finding and do not end the checks."""
    try:
        loaded = load({}, config)
    except SettingInvalid as error:
        return Context(problem=error, log=log, was_root=was_root)
    return Context(loaded=loaded, settings=loaded.settings, log=log, was_root=was_root)


def run_and_print(*, bundle: Path | None, log: Path | None, as_json: bool, config: Path | None) -> bool:
    """Run all checks and print their findings. Return whether none fails. Raises LogUnreadable, BundleUnwritable."""
    if log is not None and bundle is None:
        _print_sightings(explain(from_file(log)), context_of(config), as_json=as_json)
        return True
    # Checks that need root run first; the others run with the service's rights.
    lines = tuple(from_file(log) if log is not None else journal())
    archive = open_bundle(bundle) if bundle is not None else None
    early = {check.name: check.run(Context()) for check in ALL_CHECKS if check.as_root}
    config = config.absolute() if config else None
    was_root = become_service_user()
    if was_root:
        say(f"Checking with the rights of the service's user, {SERVICE_USER}.")
    context = context_of(config, lines, was_root=was_root)
    with progress(ALL_CHECKS, "Looking", len(ALL_CHECKS)) as checks:
        findings = [(check.name, early.get(check.name) or check.run(context)) for check in checks]
    _print_findings(findings, as_json=as_json)
    seen = explain(lines)
    if seen:
        if not as_json:
            print("\nIn the log:")
        _print_sightings(seen, context, as_json=as_json)
    if archive is not None:
        write_bundle(archive, context, findings)
        say(f"Wrote {bundle}. Check it before you pass it on: tar -xzf {bundle}")
    failed = sum(finding.status == "fail" for _, finding in findings)
    warned = sum(finding.status == "warn" for _, finding in findings)
    say(_summary(failed, warned, arrows=not as_json))
    return not failed


def _summary(failed: int, warned: int, *, arrows: bool) -> str:
    if not failed and not warned:
        return "Nothing is wrong."
    parts = [f"{failed} failed"] * bool(failed) + [f"{warned} to look at"] * bool(warned)
    return f"{' and '.join(parts)}{': see the arrows' if arrows else ''}."


def _print_findings(findings: Sequence[tuple[str, Finding]], *, as_json: bool) -> None:
    out = console()
    for name, finding in findings:
        if as_json:
            entry = {"name": name, "status": finding.status, "sentence": finding.detail, "fix": finding.remedy}
            print(printable_json(entry))
            continue
        _print(out, finding.status, name, finding.detail, finding.remedy)


def _print_sightings(seen: Sequence[Sighting], context: Context, *, as_json: bool) -> None:
    out = console()
    if not seen and not as_json:
        say("No line of this log is known to indicate a problem.")
    for sighting in seen:
        known = sighting.known
        line = without_secrets(sighting.last, context.settings.camera.source)
        if as_json:
            entry = {"count": sighting.count, "line": line, "cause": known.detail, "fix": known.remedy}
            print(printable_json(entry | {"harmless": known.harmless}))
            continue
        status = "ok" if known.harmless else "warn"
        _print(out, status, f"{sighting.count} ×", f"{known.detail} ({line[-120:]})", known.remedy)


def _print(out: Console, status: str, name: str, detail: str, remedy: str) -> None:
    from rich.table import Table
    from rich.text import Text

    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(width=7)
    row.add_column(width=_NAME_WIDTH)
    row.add_column(overflow="fold")
    row.add_row(Text(status, _STYLES[status]), Text(name), Text(detail))
    if remedy:
        row.add_row("", "", Text(f"→ {remedy}", "bold"))
    out.print(row)
