"""The context of an operation: where records, engine, GPUs, policy, users and time come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.engines.protocol import Engine
from ds01.gpus.inventory import GpuInventory
from ds01.journal.events import Emit
from ds01.journal.notices import Mailboxes
from ds01.lifecycle.context.observer import Observer
from ds01.lifecycle.context.rules import Rules
from ds01.policy.model import Policy
from ds01.records.ledger import Ledger
from ds01.system import host_ports
from ds01.system.clock import Clock, Sleep
from ds01.system.users import Users


@dataclass(frozen=True)
class Context:
    """What every operation works with. It has no state of its own, but `rules` and `observer` cache answers.

    `sandbox`: the state directory belongs to one user, who may do everything in it. `inject_devices`: leased devices
    are passed to the engine; false for simulated GPUs on a real Docker.
    """

    ledger: Ledger
    engine: Engine
    inventory: GpuInventory
    users: Users
    clock: Clock
    emit: Emit
    sleep: Sleep
    sandbox: bool
    inject_devices: bool
    rules: Rules
    observer: Observer
    mailboxes: Mailboxes
    log_directory: Path
    port_is_free: Callable[[int], bool]


def open_context(
    *,
    ledger: Ledger,
    engine: Engine,
    inventory: GpuInventory,
    policy: Policy,
    users: Users,
    clock: Clock,
    emit: Emit,
    sleep: Sleep,
    sandbox: bool,
    inject_devices: bool,
    mailboxes: Mailboxes,
    log_directory: Path,
    load_policy: Callable[[], Policy] | None = None,
    port_is_free: Callable[[int], bool] = host_ports.is_free,
) -> Context:
    """Return the context. From now on, `emit` gets the events of the ledger's commits.

    `load_policy` reads the current policy; None: `policy` applies as long as the context lives.
    """
    ledger.emit = emit
    rules = Rules(policy, load_policy, ledger=ledger, users=users, clock=clock, sandbox=sandbox)
    observer = Observer(ledger, engine, inventory, clock, emit)
    return Context(
        ledger,
        engine,
        inventory,
        users,
        clock,
        emit,
        sleep,
        sandbox,
        inject_devices,
        rules,
        observer,
        mailboxes,
        log_directory,
        port_is_free,
    )
