"""Open what the settings name: users, policy, records, engine, GPUs, and the context of all of them."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

from ds01.engines.protocol import Engine
from ds01.gpus.inventory import GpuInventory
from ds01.lifecycle.context.context import Context, open_context
from ds01.policy.model import Policy
from ds01.policy.reading.load import load_current
from ds01.records.ledger import Ledger
from ds01.system import clock, files, host_ports
from ds01.system.settings import Settings
from ds01.system.users import Users


class Installation:
    """One state directory and what belongs to it. Each part is opened at its first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def now(self) -> datetime:
        """Return the current time, or that of DS01_NOW."""
        return self.settings.now or clock.now()

    @cached_property
    def users(self) -> Users:
        """The user database; a sandbox has one of its own."""
        return Users(self.settings.state / "passwd" if self.settings.sandbox else None)

    @cached_property
    def policy(self) -> Policy:
        """The policy in force. Raises PolicyUnreadable."""
        return self._load_policy()

    def _load_policy(self) -> Policy:
        return load_current(self.settings.config, self.settings.last_good_policy, self.now())

    @cached_property
    def ledger(self) -> Ledger:
        """The records. Raises Ds01Error."""
        return self._open_ledger()

    def _open_ledger(self) -> Ledger:
        from ds01.journal.lease_log import LeaseLog

        leases = LeaseLog(self.settings.log / "gpu-allocations.log")
        return Ledger(self.settings.state, sandbox=self.settings.sandbox, leases=leases)

    def is_own_sandbox(self, uid: int) -> bool:
        """Return whether the state directory is a sandbox of this user. Raises Ds01Error."""
        return self.settings.sandbox and self.ledger.owner_uid == uid

    def reopen(self) -> None:
        """Open the state directory again at its next use: its mode decides the modes of new files in it."""
        for name in ("ledger", "context"):
            self.__dict__.pop(name, None)

    @cached_property
    def engine(self) -> Engine:
        """The engine. Opening it makes no request."""
        return self._connect()

    def _connect(self) -> Engine:
        if self.settings.engine == "simulated":
            from ds01.engines.simulated.engine import SimulatedEngine

            return SimulatedEngine(self.settings.state / "simulated-engine.json", clock=self.now)
        from ds01.engines.docker.engine import DockerEngine

        return DockerEngine(self.settings.docker_socket)

    @cached_property
    def inventory(self) -> GpuInventory:
        """The source of slots: NVML or simulated GPUs."""
        if self.settings.gpus != "nvml":
            from ds01.gpus.simulated import parse_inventory

            return parse_inventory(self.settings.gpus.removeprefix("simulated:"))
        from ds01.gpus.nvml import NvmlInventory

        return NvmlInventory()

    @cached_property
    def context(self) -> Context:
        """The context of all these parts. Raises PolicyUnreadable, Ds01Error."""
        return self._open_context(self.ledger, self.engine)

    def another_context(self) -> Context:
        """Return another context for another thread: ledgers and engines cannot be shared between threads."""
        return self._open_context(self._open_ledger(), self._connect())

    def _open_context(self, ledger: Ledger, engine: Engine) -> Context:
        from ds01.journal.events import EventLog
        from ds01.journal.notices import Mailboxes

        settings, policy = self.settings, self.policy
        if settings.sandbox:
            files.make_directory(settings.log, mode=ledger.folder_mode)
        return open_context(
            ledger=ledger,
            engine=engine,
            inventory=self.inventory,
            policy=policy,
            users=self.users,
            clock=self.now,
            emit=EventLog(settings.log / "events.jsonl", clock=self.now, mode=ledger.file_mode).emit,
            sleep=clock.sleep,
            sandbox=settings.sandbox,
            mailboxes=Mailboxes(settings.mailboxes),
            log_directory=settings.log,
            inject_devices=settings.engine == "simulated" or settings.gpus == "nvml",
            load_policy=self._load_policy,
            # A simulated container does not listen on this machine, so every port is free for it.
            port_is_free=host_ports.is_free if settings.engine == "docker" else lambda number: True,
        )
