"""One command at work: who acts, for whom, the gate, and how things are said."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ds01.errors import WrongUse
from ds01.gpus.inventory import Inventory
from ds01.lifecycle.gate import Gate
from ds01.lifecycle.ledger import Ledger
from ds01.lifecycle.world import World
from ds01.policy.load import load
from ds01.policy.model import Policy
from ds01.system import clock, files
from ds01.system.data import to_json
from ds01.system.settings import Settings
from ds01.system.users import Account, Actor, Users


@dataclass
class Session:
    """`user` is whom --user named. Messages go to stdout, with --json to stderr, with --quiet nowhere."""

    settings: Settings
    quiet: bool = False
    as_json: bool = False
    yes: bool = False
    guided: bool = False
    user: str | None = None

    @cached_property
    def users(self) -> Users:
        """The user database."""
        return Users(self.settings.state / "passwd" if self.settings.own else None)

    @cached_property
    def actor(self) -> Actor:
        """Who acts: the real uid, and root for whom sudo made root; the name recorded is the person's."""
        if os.geteuid() != 0:
            return self.users.actor(os.getuid())
        root = self.users.actor(0)
        if self.settings.sudo_uid is None:
            return root
        person = self.users.actor(self.settings.sudo_uid, via="sudo")
        return Actor(0, 0, person.login, root.groups, "sudo")

    @cached_property
    def owner(self) -> Account:
        """For whom: --user, else the person who types."""
        if self.user is not None:
            return self.users.by_login(self.user)
        person = self.settings.sudo_uid if self.actor.via == "sudo" else None
        return self.users.by_uid(self.actor.uid if person is None else person)

    @cached_property
    def policy(self) -> Policy:
        """The policy. Raises PolicyUnreadable."""
        return load(self.settings.config)

    @cached_property
    def gate(self) -> Gate:
        """The gate over the engine and the GPUs that the settings name."""
        from ds01.journal.events import EventLog

        settings = self.settings
        policy = self.policy
        now = clock.fixed(settings.now) if settings.now else clock.now
        ledger = Ledger(settings.state, own=settings.own)
        if settings.own:
            files.make_folder(settings.log, mode=ledger.folder_mode)
        simulated_engine = settings.engine == "simulated"
        if simulated_engine:
            from ds01.engines.simulated import SimulatedEngine

            engine: Any = SimulatedEngine(settings.state / "simulated-engine.json", clock=now)
        else:
            from ds01.engines.docker import DockerEngine

            engine = DockerEngine(settings.docker_socket)
        self._announce(simulated_engine)
        world = World(
            ledger=ledger,
            engine=engine,
            inventory=self._inventory(),
            policy=policy,
            users=self.users,
            clock=now,
            emit=EventLog(settings.log / "events.jsonl", clock=now, mode=ledger.file_mode).emit,
            sleep=clock.sleep,
            own=settings.own,
            inject=simulated_engine or settings.gpus == "nvml",
        )
        return Gate(world)

    @property
    def interactive(self) -> bool:
        """Whether somebody can be asked: a terminal on both sides, and not told to go on by options."""
        return not (self.yes or self.as_json or self.quiet) and sys.stdin.isatty() and sys.stdout.isatty()

    def say(self, text: str = "") -> None:
        """Tell people something."""
        if not self.quiet:
            print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def warn(self, text: str) -> None:
        """Tell people something that is not as it should be."""
        print(f"Warning: {text}", file=sys.stderr, flush=True)

    def answer(self, document: dict[str, Any]) -> None:
        """Print the one JSON document of a command, if it was asked for."""
        if self.as_json:
            print(json.dumps(to_json(document), ensure_ascii=False))

    def find(self, reference: str | None, *, states: tuple[str, ...], verb: str) -> str:
        """The full name of the container that is meant; without one a picker on a terminal, else WrongUse."""
        if reference is not None:
            return self.gate.resolve(self.actor, reference, owner=self.owner.uid)
        from ds01.cli.ask import pick_container

        if not self.interactive:
            raise WrongUse("which container?", hint=f"say its name: container-{verb} NAME")
        return pick_container(self, states=states, verb=verb)

    def _inventory(self) -> Inventory:
        if self.settings.gpus != "nvml":
            from ds01.gpus.simulated import parse

            return parse(self.settings.gpus.removeprefix("simulated:"))
        from ds01.gpus.nvml import NvmlInventory

        return NvmlInventory()

    def _announce(self, simulated_engine: bool) -> None:
        """What is simulated says so in every output."""
        parts = ["the engine"] if simulated_engine else []
        parts += ["the GPUs"] if self.settings.gpus != "nvml" else []
        if parts:
            print(f"[simulated: {' and '.join(parts)}]", file=sys.stderr, flush=True)
