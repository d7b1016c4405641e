"""The random operations of a stress run's users, and random changes outside ds01."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ds01.engines.protocol import Devices
from ds01.errors import Ds01Error
from ds01.gpus.model import GpuRequest
from tests.client import Client
from tests.stress.arena import PEOPLE, USERS, Arena

NAMES = ("one", "two", "three", "four", "five")


def command(arena: Arena, gate: Client, login: str, rng: random.Random) -> None:
    """Run one random command of a user. Raises Ds01Error where ds01 refuses it."""
    actor = arena.context().users.actor(PEOPLE[login])
    name = rng.choice(NAMES)
    full = arena.harness.full(login, name)
    choices: dict[str, tuple[int, Callable[[], Any]]] = {
        "create": (8, lambda: gate.create(actor, arena.harness.request(login, name, rng.choice([None, 0, 1, 1, 2])))),
        "start": (8, lambda: gate.start(actor, full)),
        "recreate": (2, lambda: gate.start(actor, full, recreate=True)),
        "remake": (1, lambda: gate.remake(actor, full)),
        "stop": (4, lambda: gate.stop(actor, full, grace=0, release=rng.random() < 0.3)),
        "release": (2, lambda: gate.release(actor, full)),
        "remove": (4, lambda: gate.remove(actor, full, force=rng.random() < 0.7)),
        "pause": (1, lambda: gate.pause(actor, full)),
        "unpause": (1, lambda: gate.unpause(actor, full)),
        "extend": (1, lambda: gate.extend(actor, full, timedelta(seconds=2))),
        "list": (3, lambda: gate.containers(actor, all_users=True, everything=True)),
        "gpus": (2, lambda: gate.gpus(actor)),
        "plan": (2, lambda: gate.plan(actor, arena.harness.request(login, name))),
        "wait": (2, lambda: wait(arena, gate, login, name, rng)),
        "queue": (1, lambda: gate.queue(actor)),
        "allocate": (1, lambda: by_hand(arena, gate, login, rng)),
    }
    weights = [weight for weight, _ in choices.values()]
    (_, act) = choices[rng.choices(list(choices), weights)[0]]
    act()


def wait(arena: Arena, gate: Client, login: str, name: str, rng: random.Random) -> None:
    """Wait in the queue for a moment."""
    actor = arena.context().users.actor(PEOPLE[login])
    longest = timedelta(seconds=rng.random() / 2)
    with contextlib.closing(gate.wait(actor, arena.harness.request(login, name, 1), longest=longest)) as steps:
        for _ in steps:
            pass


def by_hand(arena: Arena, gate: Client, login: str, rng: random.Random) -> None:
    """Create or release a manual lease for a user, as an administrator."""
    boss = arena.context().users.actor(PEOPLE["boss"])
    if rng.random() < 0.5:
        gate.allocate(boss, PEOPLE[login], "hand", GpuRequest(1))
    else:
        gate.release(boss, arena.harness.full(login, "hand"))


def interfere(arena: Arena, rng: random.Random) -> None:
    """Change a random container, or the engine, outside ds01."""
    engine = arena.engine()
    login, name = rng.choice(list(USERS)), rng.choice(NAMES)
    full = arena.harness.full(login, name)
    foreign = f"foreign-{rng.randrange(2)}"
    uuid = rng.choice(list(arena.harness.uuid.values()))
    choices: dict[str, tuple[int, Callable[[], Any]]] = {
        "start": (4, lambda: engine.start(full)),
        "kill": (4, lambda: engine.kill(full)),
        "remove": (2, lambda: engine.remove_by_force(full)),
        "rename": (1, lambda: engine.rename(full, f"away-{login}-{name}")),
        "rename back": (2, lambda: engine.rename(f"away-{login}-{name}", full)),
        "add foreign": (2, lambda: engine.add_foreign(foreign, devices=Devices((uuid,)))),
        "remove foreign": (4, lambda: engine.remove_by_force(foreign)),
        "restart": (1, engine.restart_engine),
        "no answer": (1, lambda: engine.set_answering(False)),
        "answer": (6, lambda: engine.set_answering(True)),
    }
    weights = [weight for weight, _ in choices.values()]
    what = rng.choices(list(choices), weights)[0]
    with contextlib.suppress(Ds01Error):
        choices[what][1]()
