"""Twelve processes wait for three slots, which come free one by one: each is served once, in order."""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from pathlib import Path

import pytest

from ds01.gpus.simulated import parse_inventory
from tests import invariants
from tests.client import Client
from tests.harness import Harness
from tests.race.test_race import GROUP, become, folder
from tests.wait import wait_until

__all__ = ["folder"]
WAITING = 12
PEOPLE = {f"user{number}": 70101 + number for number in range(WAITING)}


def policy() -> str:
    groups = ", ".join(f"g{n}: {{members: [user{n}], priority: {priority(n)}}}" for n in range(WAITING))
    defaults = "{max_mig_instances: 1, max_containers_per_user: 2, gpu_hold_after_stop: 1h}"
    return f"defaults: {defaults}\ngroups: {{{groups}}}\n"


def priority(number: int) -> int:
    """Four of each priority; among these, the first to come is the first served."""
    return 10 + 30 * (number % 3)


def make(root: Path) -> Harness:
    as_root = os.geteuid() == 0
    harness = Harness(
        root, policy=policy(), gpus="1xA100:3x2g.10gb", people=PEOPLE | {"root": 0}, shared=GROUP if as_root else None
    )
    harness.inventory = parse_inventory("1xA100:3x2g.10gb")
    harness.engine.info()
    (harness.root / "served").mkdir()
    (harness.root / "served").chmod(0o777)
    return harness


def waiter(harness: Harness, number: int) -> int:
    """A process that waits, and writes down when it was served; its pid."""
    login = f"user{number}"
    harness.clock.advance(seconds=1)  # each joins at its own time, by this process's clock
    child = os.fork()
    if child:
        return child
    try:
        become(PEOPLE[login])
        os.umask(0o077)
        context = harness.make_context(sleep=lambda seconds: time.sleep(min(seconds, 0.02)))
        request = harness.request(login, "job", 1, workspace=str(harness.home(login) / "workspace" / "thesis"))
        for step in Client(context).wait(context.users.actor(PEOPLE[login]), request):
            if step.acted is not None:
                said = {"at": time.monotonic_ns(), "slot": step.acted.container.gpus[0].slot}
                (harness.root / "served" / login).write_text(json.dumps(said))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def served(harness: Harness) -> set[str]:
    return {path.name for path in (harness.root / "served").iterdir()}


def line(harness: Harness) -> list[str]:
    return [row.user for row in harness.another_gate().queue(harness.actor("root"))]


@pytest.mark.skipif(os.geteuid() != 0, reason="several people need root")
def test_each_is_served_once_in_order_of_priority(folder: Path) -> None:
    harness = make(folder / "bed")
    root = harness.actor("root")
    for number in range(3):
        harness.gate.create(root, harness.request("root", f"first{number}", 1)) if number < 1 else None
    harness.set_policy(policy() + "user_overrides: {root: {max_mig_instances: null, max_containers_per_user: null}}\n")
    for number in range(1, 3):
        harness.gate.create(root, harness.request("root", f"first{number}", 1))
    children = []
    try:
        for number in range(WAITING):
            children.append(waiter(harness, number))
        wait_until(lambda: len(line(harness)) == WAITING)
        wanted = [f"user{n}" for n in sorted(range(WAITING), key=lambda n: (-priority(n), n))]
        assert line(harness) == wanted
        order: list[str] = []
        holding = [f"first{number}._.0" for number in range(3)]
        while wanted[len(order) :]:
            harness.gate.remove(root, holding.pop(0), force=True)
            wait_until(lambda: len(served(harness)) == len(order) + 1)
            (new,) = served(harness) - set(order)
            order.append(new)
            holding.append(harness.full(new, "job"))
            harness.leased()  # fails if a slot is in two leases
        assert order == wanted
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * WAITING
        children = []
        assert line(harness) == []
        invariants.check_settled(harness)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="several people need root")
def test_killed_waiter_does_not_block_the_queue(folder: Path) -> None:
    harness = make(folder / "bed")
    root = harness.actor("root")
    harness.set_policy(policy() + "user_overrides: {root: {max_mig_instances: null, max_containers_per_user: null}}\n")
    for number in range(3):
        harness.gate.create(root, harness.request("root", f"first{number}", 1))
    first = waiter(harness, 2)  # the highest priority
    second = waiter(harness, 0)
    try:
        wait_until(lambda: len(line(harness)) == 2)
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)
        assert line(harness) == ["user0"]
        harness.gate.remove(root, "first0._.0", force=True)
        wait_until(lambda: served(harness) == {"user0"})
    finally:
        os.kill(second, signal.SIGKILL)
        os.waitpid(second, 0)
    assert len(list((harness.state / "queue").glob("*.json"))) == 1
    assert len(harness.ledger.wait_queue().remove_exited()) == 1
