"""Users, engine, disk and clock in any order: the invariants hold after every step."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ds01.engines.protocol import Devices
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.errors import Ds01Error, EngineUnreachable
from ds01.lifecycle.context.ownership import is_ours
from ds01.placement.devices import slots_of_devices
from ds01.system import files
from ds01.system.data import from_json
from tests import invariants
from tests.fault_injection import FaultyEngine, StepCounter
from tests.harness import Harness

MEMORY = Path("/dev/shm")
LOGINS = st.sampled_from(["alice", "bob", "carol"])
NAMES = st.sampled_from(["thesis", "thesis", "thesis", "other"])
COMMANDS = st.sampled_from(["create", "start", "recreate", "stop", "remove"])
BEHIND = st.sampled_from(["start", "start", "kill", "pause", "unpause", "remove_by_force"])
GPUS = "1xA100:2x2g.10gb+1x1g.5gb"  # few, so that people meet
PEOPLE = {"alice": 70001, "bob": 70002, "carol": 70003, "root": 0}
SPOILT = st.sampled_from([b"", b"{", b'{"schema": 1}', b"null"])
POLICY = """\
defaults: {max_mig_instances: 2, max_gpus_per_container: 2, max_containers_per_user: 2, gpu_hold_after_stop: 2h}
groups: {admins: {members: [root], admin: true}}
"""


class Life(RuleBasedStateMachine):
    """Whatever anybody does is allowed to fail, with an error of ds01's own; what must hold must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ds01-life-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
        self.harness = Harness(self.folder / "bed", policy=POLICY, gpus=GPUS, people=PEOPLE)
        self.gates = [self.harness.gate, self.harness.another_gate()]
        self.turn = 0
        self.seen: set[str] = set()
        self.leased: dict[str, str] = {}

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            shutil.rmtree(self.folder)

    # what people do

    @rule(login=LOGINS, name=NAMES, gpus=st.sampled_from([None, 0, 1, 2]))
    def create(self, login: str, name: str, gpus: int | None) -> None:
        self.act(
            lambda gate: gate.create(self.harness.actor(login), self.harness.request(login, name, gpus)), gives=True
        )

    @rule(login=LOGINS, name=NAMES, recreate=st.booleans())
    def start(self, login: str, name: str, recreate: bool) -> None:
        who, full = self.harness.actor(login), self.harness.full(login, name)
        self.act(lambda gate: gate.start(who, full, recreate=recreate), gives=True)

    @rule(login=LOGINS, name=NAMES, release=st.booleans())
    def stop(self, login: str, name: str, release: bool) -> None:
        self.act(lambda gate: gate.stop(self.harness.actor(login), self.harness.full(login, name), release=release))

    @rule(login=LOGINS, name=NAMES)
    def release(self, login: str, name: str) -> None:
        self.act(lambda gate: gate.release(self.harness.actor(login), self.harness.full(login, name)))

    @rule(login=LOGINS, name=NAMES, force=st.booleans())
    def remove(self, login: str, name: str, force: bool) -> None:
        def command(gate: Any) -> None:
            removed = gate.remove(self.harness.actor(login), self.harness.full(login, name), force=force).container
            assert self.harness.engine.inspect(removed.docker_id) is None

        self.act(command)

    @rule(login=LOGINS, name=NAMES, freeze=st.booleans())
    def pause(self, login: str, name: str, freeze: bool) -> None:
        who, full = self.harness.actor(login), self.harness.full(login, name)
        self.act(lambda gate: (gate.pause if freeze else gate.unpause)(who, full))

    @rule(login=LOGINS, give=st.booleans())
    def by_hand(self, login: str, give: bool) -> None:
        root, full = self.harness.actor("root"), self.harness.full(login, "hand")
        request = self.harness.request(login, gpus=1).gpus
        if give:
            self.act(lambda gate: gate.allocate(root, PEOPLE[login], "hand", request), gives=True)
        else:
            self.act(lambda gate: gate.release(root, full))

    @rule(login=LOGINS)
    def ask(self, login: str) -> None:
        who = self.harness.actor(login)
        self.act(lambda gate: (gate.containers(who, all_users=True, everything=True), gate.gpus(who)))

    # changes outside ds01

    @rule(login=LOGINS, name=NAMES, what=BEHIND)
    def behind(self, login: str, name: str, what: str) -> None:
        self.outside(lambda: getattr(self.harness.engine, what)(self.harness.full(login, name)))

    @rule(login=LOGINS, name=NAMES, back=st.booleans())
    def rename(self, login: str, name: str, back: bool) -> None:
        full = self.harness.full(login, name)
        names = (f"away-{login}-{name}", full) if back else (full, f"away-{login}-{name}")
        self.outside(lambda: self.harness.engine.rename(*names))

    @rule(which=st.sampled_from(["all", "0:0", "0:1", "0:2"]), end=st.sampled_from([False, True, True]))
    def foreign(self, which: str, end: bool) -> None:
        name = f"foreign-{which.replace(':', '-')}"
        devices = Devices(everything=True) if which == "all" else Devices((self.harness.uuid[which],))
        if end:
            self.outside(lambda: self.harness.engine.remove_by_force(name))
        else:
            self.outside(lambda: self.harness.engine.add_foreign(name, devices=devices))

    @rule()
    def restart_engine(self) -> None:
        self.outside(self.harness.engine.restart_engine)

    @rule(login=LOGINS, name=NAMES, after=st.integers(0, 12), what=COMMANDS)
    def no_answer_any_more(self, login: str, name: str, after: int, what: str) -> None:
        """In the middle of a command the engine stops answering, and only then a while later answers again."""
        steps = StepCounter(after, lambda: self.harness.engine.set_answering(False))
        gates, self.gates = self.gates, [self.harness.another_gate(engine=FaultyEngine(self.harness.engine, steps))] * 2
        self.command(what, login, name)
        self.gates = gates
        self.harness.engine.set_answering(True)

    @rule()
    def another_engine(self) -> None:
        before = self.picture()
        other = SimulatedEngine(self.harness.state / "other.json", clock=self.harness.clock)
        other.info()
        if (self.harness.state / "engine").exists():
            for ask in ("reconcile", "containers"):
                try:
                    getattr(self.harness.another_gate(engine=other), ask)(self.harness.actor("root"))
                    raise AssertionError("it was believed")
                except EngineUnreachable:
                    pass
        assert self.picture() == before

    @rule(login=LOGINS, name=NAMES, content=SPOILT)
    def spoil(self, login: str, name: str, content: bytes) -> None:
        path = self.harness.record_file(login, name)
        if path.exists():
            # As if it had never been leased: only the labels are left.
            path.write_bytes(content)

    @rule(login=LOGINS, name=NAMES)
    def spoil_with_anothers(self, login: str, name: str) -> None:
        path = self.harness.record_file(login, name)
        if path.exists():
            path.write_text(json.dumps({"schema": 1, "installation": "another", "container_name": path.stem}))

    @rule(login=LOGINS, name=NAMES, at=st.integers(0, 6), what=COMMANDS)
    def full_disk(self, login: str, name: str, at: int, what: str) -> None:
        write, count = files.replace, 0

        def full(*args: Any, **kwargs: Any) -> None:
            nonlocal count
            count += 1
            if count > at:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(*args, **kwargs)

        files.replace = full
        try:
            self.command(what, login, name)
        finally:
            files.replace = write

    @rule(one=LOGINS, other=LOGINS, how=st.sampled_from(["start", "spoil", "recreate", "no answer"]))
    def handed_over(self, one: str, other: str, how: str) -> None:
        """The other gets what the one gave back, to whose container something happens then."""
        self.create(one, "thesis", 1)
        self.start(one, "thesis", False)
        self.stop(one, "thesis", True)
        self.create(other, "thesis", 1)
        if how == "start":
            self.behind(one, "thesis", "start")
        elif how == "spoil":
            self.spoil(one, "thesis", b"")
        elif how == "recreate":
            self.start(one, "thesis", True)
        else:
            self.remove(other, "thesis", True)
            self.no_answer_any_more(one, "thesis", 3, "start")

    @rule(minutes=st.sampled_from([0, 1, 30, 150]))
    def time_goes_on(self, minutes: int) -> None:
        self.harness.clock.advance(minutes=minutes, seconds=1)

    @rule()
    def reconcile(self) -> None:
        self.settle()

    # what must hold

    @initialize()
    def begin(self) -> None:
        self.harness.gate.containers(self.harness.actor("root"))

    @invariant()
    def no_slot_is_in_two_leases_and_every_history_is_legal(self) -> None:
        invariants.check(self.harness)

    def command(self, what: str, login: str, name: str) -> None:
        commands: dict[str, Callable[[], None]] = {
            "create": lambda: self.create(login, name, 1),
            "start": lambda: self.start(login, name, False),
            "recreate": lambda: self.start(login, name, True),
            "stop": lambda: self.stop(login, name, True),
            "remove": lambda: self.remove(login, name, True),
        }
        commands[what]()

    def settle(self) -> None:
        """With an engine that answers, a reconcile leaves nothing open."""
        self.harness.engine.set_answering(True)
        gate = self.harness.another_gate()
        gate.reconcile(self.harness.actor("root"))
        invariants.check_settled(self.harness)
        before = self.picture()
        assert gate.reconcile(self.harness.actor("root")) == ()
        assert self.picture() == before
        kept = {record.id for record in self.harness.records() + self.harness.ledger.removed()}
        kept |= {json.loads(text).get("id", "") for text in self.aside() if text.startswith(b'{"id"')}
        assert self.seen <= kept | self.spoilt_ids(), "a record was lost"

    # how

    def act(self, command: Callable[[Any], Any], *, gives: bool = False) -> None:
        self.harness.clock.advance(seconds=1)
        gate = self.gates[self.turn % 2]
        self.turn += 1
        busy = self.used_outside() if gives else set()
        before = self.picture()
        with contextlib.suppress(Ds01Error):
            command(gate)
        after = self.harness.leased()
        if gives:
            for record in self.harness.records():
                observed = bool(record.history) and record.history[-1].actor == "observed"
                for uuid in [ref.uuid for ref in record.lease.slots] if record.lease and not observed else ():
                    assert (uuid, record.container_name) in before or uuid not in busy, f"{uuid} is in use from outside"
        self.seen |= {record.id for record in self.harness.records() if record.docker_id}
        assert len(set(after)) == len(after)

    def outside(self, act: Callable[[], Any]) -> None:
        with contextlib.suppress(Ds01Error):
            act()

    def picture(self) -> set[tuple[str, str]]:
        return set(self.harness.leased().items())

    def used_outside(self) -> set[str]:
        """The UUIDs that running foreign containers use."""
        observation = self.harness.inventory.observe()
        state = self.harness.engine.store.read()
        return {
            slot.uuid
            for container in state["containers"].values()
            if container["name"].startswith("foreign-") and container["status"] == "running"
            for slot in slots_of_devices(from_json(Devices, container["devices"]), observation)
        }

    def aside(self) -> list[bytes]:
        return [path.read_bytes() for path in (self.harness.state / "container-metadata").glob("*.corrupt-*")]

    def spoilt_ids(self) -> set[str]:
        """Ids whose record was damaged and whose container is gone: nothing knows them any more."""
        there = {
            seen.labels.get("ds01.id")
            for seen in self.harness.engine.containers()
            if is_ours(self.harness.context, seen)
        }
        known = {record.id for record in self.harness.records() + self.harness.ledger.removed()}
        return {each for each in self.seen if each not in there and each not in known} if self.aside() else set()


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=60,
    stateful_step_count=35,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
