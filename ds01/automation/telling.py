"""Telling owners: their mailbox, their terminals, the lab's own program. Words for what the tick does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ds01.automation.decide import Act, Decision, Why
from ds01.errors import Ds01Error
from ds01.journal.notices import Mailboxes, Notice, show_on_terminals
from ds01.lifecycle.record import Record
from ds01.policy.model import Notify
from ds01.system.data import to_json
from ds01.system.programs import run

PATIENCE = 10.0  # seconds that the lab's program may take


@dataclass
class Teller:
    """Delivers notices. `failed` gets a word on what the lab's program did wrong; the mailbox is what counts."""

    mailboxes: Mailboxes
    notify: Notify
    failed: Callable[[str], None]

    def tell(self, record: Record, notice: Notice) -> bool:
        """Tell the owner of a record; whether the notice is in the mailbox."""
        delivered = self.mailboxes.deliver(record.uid, record.gid, notice)
        if self.notify.terminal:
            show_on_terminals(record.uid, notice.text)
        if self.notify.command is not None:
            event = to_json(notice) | {"user": record.user, "uid": record.uid}
            try:
                run(self.notify.command, given=json.dumps(event) + "\n", timeout=PATIENCE)
            except Ds01Error as error:
                self.failed(f"notify.command: {error.message}")
        return delivered


def warning(record: Record, decision: Decision, now: datetime) -> Notice:
    """The warning before something ends: the time, and the one command that changes it."""
    name, at = record.name, _time(decision.deadline)
    if decision.why is Why.CONFLICT:
        text = f"{name} runs on a GPU that somebody else has ({record.conflict}). It is stopped in a few minutes."
        return Notice(now, "conflict", record.container_name, text, f"container-start {name} --recreate")
    if decision.why is Why.REMOVAL:
        text = f"{name} is stopped since {_time(record.stopped_at)} and will be removed {at}; /workspace stays."
        return Notice(now, "removal", record.container_name, text, f"container-start {name}")
    because = "does nothing" if decision.why is Why.IDLE else "has run for long"
    text = f"{name} {because} and will be stopped {at}."
    return Notice(now, decision.why.value, record.container_name, text, f"container-extend {name} 24h")


def outcome(record: Record, decision: Decision, now: datetime) -> Notice:
    """What was done, and what comes next. `record` is the one after it."""
    name = record.name
    texts = {
        (Act.STOP, Why.IDLE): f"{name} was stopped: it did nothing.",
        (Act.STOP, Why.RUNTIME): f"{name} was stopped: its longest running time was over.",
        (Act.STOP, Why.CONFLICT): f"{name} was stopped: its GPU is somebody else's.",
        (Act.RELEASE, Why.HOLD): f"The GPU of {name} is free for others now: it was stopped for long enough.",
        (Act.RELEASE, Why.CREATED): f"The GPU of {name} is free for others now: it was never started.",
        (Act.RELEASE, Why.RECLAIM): f"The GPU of {name}, which is stopped, went to somebody of higher priority.",
        (Act.REMOVE, Why.REMOVAL): f"{name} was removed; /workspace is still there.",
    }
    text = texts[(decision.act, decision.why)]
    if record.held_until is not None:
        text += f" Its GPU is held until {_time(record.held_until)}."
    kind = {Act.STOP: "stopped", Act.RELEASE: "released", Act.REMOVE: "removed"}[decision.act]
    command = f"container-deploy {name}" if decision.act is Act.REMOVE else f"container-start {name}"
    return Notice(now, kind, record.container_name, text, command)


def _time(at: datetime | None) -> str:
    return at.astimezone().strftime("%a %d %b %H:%M") if at is not None else "some time ago"
