"""Run `ds01 doctor`: collect facts, examine them, and apply fixes on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ds01.gate.installation import Installation
from ds01.host.checks.collect import FactSources, collect_facts
from ds01.host.checks.doctor import apply_fixes, examine
from ds01.host.checks.findings import Finding, Fix
from ds01.host.checks.fixer import Fixer
from ds01.host.layout import FILE_MODE
from ds01.journal.events import EventLog
from ds01.system.users import Actor


def run_doctor(installation: Installation, actor: Actor, *, fix: bool) -> tuple[Finding, ...]:
    """Return the findings; with `fix`, after applying all fixes."""
    findings = _examine(installation)
    if not fix:
        return findings
    fixer = Fixer(actor, lambda: installation.context, lambda kind, event: _emit(installation, kind, event))

    def apply(item: Fix, why: str) -> None:
        installation.reopen()
        fixer.apply(item, why)

    return apply_fixes(findings, apply, lambda: _examine(installation))


def _examine(installation: Installation) -> tuple[Finding, ...]:
    sources = FactSources(
        settings=installation.settings,
        users=installation.users,
        now=installation.now(),
        policy=lambda: installation.policy,
        ledger=lambda: installation.ledger,
        inventory=lambda: installation.inventory,
        engine=lambda: installation.engine.info(),
        context=lambda: installation.context,
    )
    return examine(collect_facts(sources))


def _emit(installation: Installation, kind: str, event: Mapping[str, Any]) -> None:
    """Emit an event. On a server this works even if policy and records are unreadable."""
    settings = installation.settings
    mode = installation.ledger.file_mode if settings.sandbox else FILE_MODE
    EventLog(settings.log / "events.jsonl", clock=installation.now, mode=mode).emit(kind, event)
