"""ds01 tick"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import click

from ds01.automation.lastgood import policy_or_last
from ds01.automation.telling import Teller
from ds01.automation.tick import Item, Report, Tick
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.errors import Busy, Ds01Error, Refused
from ds01.journal.notices import Mailboxes
from ds01.lifecycle.ledger import Ledger
from ds01.lifecycle.world import World
from ds01.system.data import to_json


@verb(example="ds01 tick --dry-run", guided=False, user=False)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
def command(session: Session, dry_run: bool) -> int:
    """One pass of the automation; root's cron runs it every few minutes.

    It brings the records to what Docker says, warns, stops what is idle or has run for long, gives held
    GPUs back, and removes what was stopped for long. Exit code 1 if anything could not be judged or done.
    """
    session.policy, trouble = policy_or_last(session.settings.config, session.ledger)
    if not session.gate.is_admin(session.actor):
        raise Refused("the tick is root's", hint="sudo ds01 tick")
    try:
        with session.ledger.tick_lock():
            report = _tick(session, dry_run).run()
            report.errors += [Item("", "policy", trouble)] if trouble else []
            if not dry_run:
                _keep(session, report)
    except Busy:
        session.say("Another tick runs.")
        nothing: dict[str, Any] = {key: [] for key in ("acted", "warned", "unknown", "errors")}
        session.answer({"started_at": None, "seconds": 0, "looked_at": 0} | nothing)
        return 0
    session.answer(dataclasses.asdict(report))
    for title, items in (
        ("acted", report.acted), ("warned", report.warned), ("unknown", report.unknown), ("errors", report.errors),
    ):  # fmt: skip
        _show(session, title, items)
    session.say(f"{'Would look' if dry_run else 'Looked'} at {report.looked_at}, in {report.seconds:.2f} s.")
    return 0 if report.good else 1


def _tick(session: Session, dry_run: bool) -> Tick:
    world = session.world
    teller = Teller(
        Mailboxes(session.settings.mailboxes),
        session.policy.notify,
        lambda problem: world.emit("notice", {"actor": "tick", "why": problem}),
    )

    def another() -> World:
        ledger = Ledger(session.settings.state, own=session.settings.own)
        return dataclasses.replace(world, ledger=ledger, engine=session.another_engine(), _limits={})

    return Tick(world, another, teller, dry_run)


def _keep(session: Session, report: Report) -> None:
    try:
        session.ledger.write_tick(to_json(dataclasses.asdict(report)))
    except OSError as error:
        raise Ds01Error("tick.json cannot be written", why=str(error)) from error


def _show(session: Session, title: str, items: Iterable[Item]) -> None:
    for item in items:
        session.say(f"{title:8} {item.container or '–'}: {item.action}, {item.why}")
