"""Tell owners what happened: through their mailbox, their terminals and the program in `notify.command`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Protocol

from ds01.dataclass import dataclass
from ds01.errors import Ds01Error
from ds01.journal.events import Emit
from ds01.journal.notices import Mailboxes, Notice, show_on_terminals
from ds01.policy.model import NotificationSettings
from ds01.system.data import to_json
from ds01.system.programs import run

COMMAND_TIMEOUT = 10.0  # seconds that the program may take


def _ignore_event(kind: str, event: Mapping[str, Any]) -> None:
    pass


class Recipient(Protocol):
    """Whom a notice is for, such as a record's owner."""

    @property
    def uid(self) -> int: ...

    @property
    def gid(self) -> int: ...

    @property
    def user(self) -> str: ...


@dataclass
class Notifier:
    """Delivers notices. The mailbox decides whether a notice was delivered; a failed program is an event."""

    mailboxes: Mailboxes
    notify: NotificationSettings
    emit: Emit = _ignore_event
    show: Callable[[int, str], None] = show_on_terminals
    actor: str = "tick"
    _command_hangs: bool = field(default=False, init=False)

    def notify_owner(self, record: Recipient, notice: Notice) -> bool:
        """Tell the owner of a record in all ways. Returns whether the notice is in the mailbox."""
        delivered = self.deliver(record, notice)
        self.announce(record, notice)
        return delivered

    def deliver(self, record: Recipient, notice: Notice) -> bool:
        """Put a notice into the mailbox of a record's owner, and return whether that worked. Fast."""
        delivered = self.mailboxes.deliver(record.uid, record.gid, notice)
        event = {"actor": self.actor, "container": notice.container, "user": record.user, "why": notice.kind}
        self.emit("notice", event | {"delivered": delivered})
        return delivered

    def announce(self, record: Recipient, notice: Notice) -> None:
        """Show a notice on the owner's terminals and pass it to the program, which may be slow."""
        if self.notify.terminal:
            self.show(record.uid, notice.text)
        if self.notify.command is None or self._command_hangs:
            return
        message = to_json(notice) | {"user": record.user, "uid": record.uid}
        try:
            run(self.notify.command, stdin=json.dumps(message) + "\n", timeout=COMMAND_TIMEOUT)
        except Ds01Error as error:
            # A program that hangs is not started again in this pass: sixty warnings would take ten minutes.
            self._command_hangs = (error.data or {}).get("problem") == "timeout"
            event = {"actor": self.actor, "container": notice.container, "user": record.user}
            self.emit("notice", event | {"why": f"notify.command: {error.message}"})
