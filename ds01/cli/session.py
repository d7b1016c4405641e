"""The session of one command: who acts, for whom, the gate, and the output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ds01.api.operation import Operation, Steps, StreamOperation
from ds01.cli.command.advice import complete_hints, set_hint_owner
from ds01.cli.command.refusals import adapt_error
from ds01.cli.ui.formats import format_error
from ds01.cli.ui.output import print_json, print_text
from ds01.dataclass import dataclass
from ds01.errors import Ds01Error, PermissionDenied, PolicyUnreadable, UsageError
from ds01.gate.gate import Gate
from ds01.gate.installation import Installation
from ds01.policy.model import Policy
from ds01.system.data import to_json
from ds01.system.host_name import host_name
from ds01.system.settings import Settings
from ds01.system.users import Account, Actor, Users

if TYPE_CHECKING:
    from ds01.system.home import Home

T = TypeVar("T")
S = TypeVar("S")


@dataclass
class Session:
    """One run of a command. `user`: as in --user. Messages go to stdout, or to stderr with --json."""

    settings: Settings
    quiet: bool = False
    as_json: bool = False
    yes: bool = False
    guided: bool = False
    user: str | None = None
    explained_steps: set[str] = field(default_factory=set)  # the steps of --guided that were shown
    shown_warnings: set[str] = field(default_factory=set)  # the warnings that were shown: each only once
    announced: bool = False  # whether the simulation was announced

    @cached_property
    def installation(self) -> Installation:
        """Records, engine, GPUs and policy, as the settings name them."""
        return Installation(self.settings)

    @property
    def users(self) -> Users:
        """The user database."""
        return self.installation.users

    @cached_property
    def actor(self) -> Actor:
        """Who acts: the real uid. Under sudo that is root, but recorded under the login of the person."""
        if os.geteuid() != 0:
            return self.users.actor(os.getuid())
        if self.settings.sudo_uid is None:
            return self.users.actor(0)
        person = self.users.actor(self.settings.sudo_uid, via="sudo")
        return Actor(0, 0, person.login, "sudo")

    @cached_property
    def owner(self) -> Account:
        """The user for whom the command acts: --user (administrators), else the caller. Raises Ds01Error."""
        if self.user is not None:
            from ds01.api.access import CheckOwner

            account = self.users.by_login(self.user)
            self.run(CheckOwner(account.uid))
            return account
        person = self.settings.sudo_uid if self.actor.via == "sudo" else None
        return self.users.by_uid(self.actor.uid if person is None else person)

    @cached_property
    def home(self) -> Home:
        """The owner's files. Raises PermissionDenied if the caller cannot act with the owner's rights."""
        from ds01.system.home import Home

        if os.geteuid() not in (0, self.owner.uid) and not self.settings.sandbox:
            raise PermissionDenied(
                f"{self.actor.login} cannot change the files of {self.owner.login}",
                why="new files would belong to the wrong user",
                hint=f"{self.owner.login} or root can run this",
                code="access.denied",
            )
        # A function, so that the policy is read only if the path of workspaces is needed.
        return Home(self.owner, workspaces=lambda: self.policy.workspaces_of(self.owner.login, self.owner.home))

    @property
    def policy(self) -> Policy:
        """The policy. Raises PolicyUnreadable."""
        return self.installation.policy

    @cached_property
    def server_name(self) -> str:
        """The name by which users reach this server: the policy's `server_name`, else the host name.

        It is used in hints only, so an unreadable policy is ignored.
        """
        try:
            return self.policy.server_name or host_name()
        except PolicyUnreadable:
            return host_name()

    @cached_property
    def gate(self) -> Gate:
        """The gate of the installation. Raises PolicyUnreadable, Ds01Error."""
        self.announce_simulation()
        return Gate(self.installation.context)

    def run(self, operation: Operation[T]) -> T:
        """Run an operation as the actor. Raises Ds01Error."""
        return self.gate.run(self.actor, operation)

    def stream(self, operation: StreamOperation[S, Any]) -> Steps[S]:
        """Run an operation as the actor, step by step. Raises Ds01Error."""
        return self.gate.stream(self.actor, operation)

    @property
    def has_terminal(self) -> bool:
        """Whether stdin and stdout are a terminal."""
        return sys.stdin.isatty() and sys.stdout.isatty()

    @property
    def interactive(self) -> bool:
        """Whether questions can be asked: on a terminal, without --yes, --json or --quiet."""
        return self.has_terminal and not (self.yes or self.as_json or self.quiet)

    @property
    def shows_progress(self) -> bool:
        """Whether progress may be drawn: on a terminal, without --quiet or --json."""
        return self.has_terminal and not (self.quiet or self.as_json)

    @property
    def login(self) -> str | None:
        """The caller's login, for hints; None if unknown."""
        try:
            return self.actor.login
        except Ds01Error:
            return None

    def now(self) -> datetime:
        """Return the current time, or that of DS01_NOW."""
        return self.installation.now()

    def say(self, text: str = "") -> None:
        """Print a message, unless --quiet."""
        if not self.quiet:
            print_text(complete_hints(text), error=self.as_json)

    def warn(self, text: str) -> None:
        """Print a warning to stderr, each only once."""
        if text not in self.shown_warnings:
            self.shown_warnings.add(text)
            print_text(complete_hints(f"Warning: {text}", login=self.login), error=True)

    def write_document(self, document: dict[str, Any]) -> None:
        """Print the command's JSON document, with --json."""
        if self.as_json:
            print_json(to_json(document))

    def for_each(self, containers: Iterable[str], action: Callable[[str], T]) -> list[T]:
        """Apply `action` to each container, even after failures; return the results, or raise the last Ds01Error."""
        results: list[T] = []
        failed: list[Ds01Error] = []
        remaining = list(containers)
        while remaining:
            container = remaining.pop(0)
            try:
                results.append(action(container))
            except Ds01Error as error:
                failed.append(error)
            except (KeyboardInterrupt, click.Abort):
                if remaining:
                    names = ", ".join(name.partition("._.")[0] for name in remaining)
                    print_text(f"Interrupted: nothing was done to {names}.", error=True)
                raise
        for failure in failed[:-1]:
            print_text(format_error(adapt_error(failure, self.now(), login=self.login)), error=True)
        if failed:
            raise failed[-1]
        return results

    def resolve_container(self, reference: str | None, *, states: tuple[str, ...], verb: str) -> str:
        """Return the container's full name; without a reference, ask on a terminal, else raise UsageError."""
        if reference is not None:
            from ds01.api.listing import ResolveContainer

            container = self.run(ResolveContainer(reference, owner=self.owner.uid))
            self.remember_owner(container)
            return container
        from ds01.cli.container.steps.picker import pick_container

        if not self.interactive:
            raise UsageError("which container?", hint=f"name it: `container-{verb} NAME`")
        return pick_container(self, states=states, verb=verb)

    def remember_owner(self, container: str) -> None:
        """Add the owner to hints, for an administrator who named another user's container by its full name."""
        uid = container.rpartition("._.")[2]
        if uid != str(self.owner.uid):
            set_hint_owner(uid)

    def announce_simulation(self) -> None:
        """Print once that the engine or the GPUs are simulated."""
        parts = ["the engine"] if self.settings.engine == "simulated" else []
        parts += ["the GPUs"] if self.settings.gpus != "nvml" else []
        if parts and not self.announced:
            self.announced = True
            print_text(f"[simulated: {' and '.join(parts)}]", error=True)
