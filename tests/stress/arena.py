"""The surroundings of a stress run: a small file system, a simulated engine, and switches for all processes."""

from __future__ import annotations

import grp
import mmap
import os
import pwd
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ds01.automation.tick import Tick
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.journal.events import EventLog
from ds01.journal.lease_log import LeaseLog
from ds01.journal.notices import Mailboxes
from ds01.journal.notifier import Notifier
from ds01.lifecycle.context.context import Context
from ds01.records.ledger import Ledger
from ds01.system import clock
from ds01.system.users import Users
from tests.harness import Harness

GROUP = 70100
MEMBERS = ("user1", "user3")  # of the Unix group that the policy names
USERS = {f"user{number}": 70101 + number for number in range(6)}
PEOPLE = {**USERS, "boss": 70109, "root": 0}
GPUS = "4xA100,2xA100:3x2g.10gb+1x1g.5gb"
UNIX_GROUP, UNIX_GROUP_ID = "stress-researchers", 70150
# Short enough for every rule to fire many times within a minute.
POLICY = f"""\
defaults: {{max_mig_instances: 2, max_gpus_per_container: 2, max_containers_per_user: 4, idle_timeout: 1s,
           max_runtime: 3s, gpu_hold_after_stop: 1s, container_hold_after_stop: 2s, max_extension: 10s}}
groups:
  researchers: {{members: [], unix_groups: [{UNIX_GROUP}], max_mig_instances: 3, max_containers_per_user: 5,
                 idle_timeout: 1h, max_runtime: 1h, gpu_hold_after_stop: 1h, container_hold_after_stop: null,
                 priority: 50}}
  admins: {{members: [boss], admin: true, max_mig_instances: null, max_containers_per_user: null}}
policies: {{created_timeout: 2s, stop_grace: 0s}}
"""
_LAYOUT = struct.Struct("=qq")  # the clock's offset in seconds, whether the user database is silent


@dataclass
class Switches:
    """What the parent changes and every process obeys at once: shared memory."""

    page: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, mmap.PAGESIZE))
    began: float = field(default_factory=time.monotonic)
    start: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def set(self, *, clock_offset: int = 0, silent: bool = False) -> None:
        """Move the clock by `clock_offset` seconds, and let the user database answer or not."""
        _LAYOUT.pack_into(self.page, 0, clock_offset, silent)

    @property
    def silent(self) -> bool:
        """Whether the user database does not answer."""
        return bool(_LAYOUT.unpack_from(self.page, 0)[1])

    def now(self) -> datetime:
        """The time as the server's clock has it."""
        elapsed = time.monotonic() - self.began + _LAYOUT.unpack_from(self.page, 0)[0]
        return self.start + timedelta(seconds=elapsed)


def install_user_database(switches: Switches, home: Callable[[str], Path]) -> None:
    """Replace the C library's user database in this process and its children.

    It can fall silent: then it knows nobody and no group, which is how `pwd` and `grp` show that LDAP does not answer.
    """
    gids = {UNIX_GROUP: UNIX_GROUP_ID}
    people = {
        login: pwd.struct_passwd((login, "x", uid, uid, "", str(home(login)), "/bin/sh"))
        for login, uid in PEOPLE.items()
    }
    by_uid = {entry.pw_uid: entry for entry in people.values()}

    def look_up(table: Mapping[Any, pwd.struct_passwd], key: Any) -> pwd.struct_passwd:
        entry = table[key]
        if switches.silent and entry.pw_uid != 0:
            raise KeyError(key)
        return entry

    def group(name: str) -> grp.struct_group:
        if switches.silent:
            raise KeyError(name)
        return grp.struct_group((name, "x", gids[name], list(MEMBERS)))

    def groups(login: str, gid: int) -> list[int]:
        return [gid, UNIX_GROUP_ID] if login in MEMBERS and not switches.silent else [gid]

    pwd.getpwuid = lambda uid: look_up(by_uid, uid)  # type: ignore[assignment]
    pwd.getpwnam = lambda login: look_up(people, login)  # type: ignore[assignment]
    grp.getgrnam = group  # type: ignore[assignment]
    os.getgrouplist = groups  # type: ignore[assignment]


class Arena:
    """One installation of ds01 below `root`, which `disk` (the state and the homes) is a part of."""

    def __init__(self, root: Path, disk: Path) -> None:
        self.root = root
        self.switches = Switches()
        self.switches.set()
        self.harness = Harness(disk / "bed", policy=POLICY, gpus=GPUS, people=PEOPLE, shared=GROUP)
        install_user_database(self.switches, self.harness.home)
        self.log = disk / "bed" / "state" / "log"
        self._engine = root / "engine" / "simulated.json"
        for folder in (self.log, self._engine.parent):
            folder.mkdir()
            os.chown(folder, 0, GROUP)
            folder.chmod(0o2775)
        self.engine().info()

    def engine(self) -> SimulatedEngine:
        """The engine as another process sees it. It is not on the small disk: Docker's data rarely is."""
        return SimulatedEngine(self._engine, clock=self.switches.now)

    def context(self) -> Context:
        """What one command works on."""
        ledger = Ledger(self.harness.state, sandbox=True, leases=LeaseLog(self.log / "gpu-allocations.log"))
        events = EventLog(self.log / "events.jsonl", clock=self.switches.now, mode=ledger.file_mode)
        return self.harness.make_context(
            engine=self.engine(),
            ledger=ledger,
            users=Users(),
            clock=self.switches.now,
            emit=events.emit,
            sleep=lambda seconds: time.sleep(min(seconds, 0.05)),
        )

    def tick(self) -> Tick:
        """One pass of the automation."""
        context = self.context()
        mailboxes = Mailboxes(self.harness.state / "notices")
        notifier = Notifier(mailboxes, context.rules.policy.notify, context.emit, lambda uid, text: None)
        return Tick(context, self.context, notifier, uptime=clock.uptime)
