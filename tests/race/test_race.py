"""Forty processes of eight users race for seven slots; the files of one user never lock out another."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ds01.errors import Busy, Ds01Error, NoCapacity, PermissionDenied
from tests import invariants
from tests.client import Client
from tests.harness import Harness

PARTS, ROUNDS = 5, 5  # 25 rounds, in parts that fit into the time of a test on a slow machine too
PROCESSES = 40
GROUP = 70100
PEOPLE = {f"user{number}": 70101 + number for number in range(8)}
SLOTS = 7
POLICY = """\
defaults: {max_mig_instances: 1, max_gpus_per_container: 1, max_containers_per_user: 5}
"""
PROTECTED = Path("/proc/sys/fs/protected_regular")


@pytest.fixture
def folder() -> Iterator[Path]:
    """On a disk or in memory, but reachable by everybody."""
    path = Path(tempfile.mkdtemp(prefix="ds01-race-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def make(root: Path) -> Harness:
    root_too = os.geteuid() == 0
    people = PEOPLE | {"root": 0} if root_too else PEOPLE
    harness = Harness(root, policy=POLICY, gpus="7xA100", people=people, shared=GROUP if root_too else None)
    harness.engine.info()  # a Docker has its id before anybody asks
    return harness


def become(uid: int) -> None:
    """Drop to a person of the shared group, if this is root."""
    if os.geteuid() == 0:
        os.setgroups([GROUP])
        os.setgid(uid)
        os.setuid(uid)


@pytest.fixture(autouse=True, scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a program loads once is loaded before the children are forked."""
    harness = Harness(tmp_path_factory.mktemp("warm") / "bed")
    alice = harness.actor("alice")
    harness.gate.create(alice, harness.request("alice"))
    harness.gate.start(alice, harness.full("alice"))
    with pytest.raises(PermissionDenied):
        harness.gate.create(alice, harness.request("alice", "second", 2))
    harness.another_gate().containers(alice)
    gc.freeze()


@contextmanager
def protected(value: str) -> Iterator[None]:
    before = PROTECTED.read_text()
    PROTECTED.write_text(value)
    try:
        yield
    finally:
        PROTECTED.write_text(before)


def race(harness: Harness) -> Counter[str]:
    """One round: all children start at once, each with a gate of its own; how each of them ended."""
    ready, steady = os.pipe()
    go, gone = os.pipe()
    told, tell = os.pipe()
    children = []
    for number in range(PROCESSES):
        login = f"user{number % len(PEOPLE)}"
        child = os.fork()
        if child == 0:
            outcome = "broke"
            try:
                os.close(gone)
                become(PEOPLE[login])
                os.umask(0o077)
                gate = Client(harness.make_context())
                os.write(steady, b".")
                os.read(go, 1)  # closed: go
                outcome = one_try(harness, gate, login, f"job{number}")
            except BaseException:
                traceback.print_exc()
            finally:
                os.write(tell, f"{outcome}\n".encode())
                os._exit(0)
        children.append(child)
    os.close(go)
    waited = 0
    while waited < PROCESSES:
        waited += len(os.read(ready, PROCESSES))
    os.close(gone)
    for child in children:
        os.waitpid(child, 0)
    for descriptor in (ready, steady, tell):
        os.close(descriptor)
    with open(told) as answers:
        return Counter(answers.read().split())


def one_try(harness: Harness, gate: Client, login: str, name: str) -> str:
    try:
        gate.create(harness.actor(login), harness.request(login, name, 1))
        gate.start(harness.actor(login), harness.full(login, name))
        return "won"
    except NoCapacity:
        return "none_free"
    except PermissionDenied:
        return "quota"
    except Busy:
        return "busy"
    except Ds01Error as error:
        traceback.print_exception(error)
        return "failed"


def check_round(harness: Harness, outcome: Counter[str]) -> None:
    """Eight people, one slot each, seven slots: seven win, one person finds none, all others are over their quota."""
    assert outcome["won"] == SLOTS, outcome
    assert set(outcome) <= {"won", "none_free", "quota"}, outcome
    # All five attempts of those who got none find nothing free; later attempts of the others may only meet their quota.
    assert outcome["none_free"] == PROCESSES // len(PEOPLE), outcome
    leased = harness.leased()
    assert set(leased) == set(harness.uuid.values())
    per_user = Counter(record.uid for record in harness.records() if record.lease)
    assert set(per_user.values()) == {1}
    invariants.check_settled(harness)


@pytest.mark.parametrize("part", range(PARTS))
def test_seven_of_forty_win_in_every_round(folder: Path, part: int) -> None:
    began = time.monotonic()
    harness = make(folder / "bed")
    for _ in range(ROUNDS):
        check_round(harness, race(harness))
        for record in harness.records():
            actor = harness.context.users.actor(record.uid if os.geteuid() else 0)
            harness.gate.remove(actor, record.container_name, force=True)
        assert harness.leased() == {}
    assert time.monotonic() - began < 100


def test_first_round_in_an_empty_directory(folder: Path) -> None:
    for number in range(3):
        harness = make(folder / f"bed{number}")
        check_round(harness, race(harness))


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access(PROTECTED, os.W_OK), reason="fs.protected_regular cannot be set here"
)
def test_with_protected_regular_files(folder: Path) -> None:
    try:
        switch = protected("2")
        switch.__enter__()
    except OSError as error:
        pytest.skip(f"fs.protected_regular cannot be set here: {error}")
    try:
        harness = make(folder / "bed")
        for _ in range(2):
            check_round(harness, race(harness))
            for record in harness.records():
                harness.gate.remove(harness.actor("root"), record.container_name, force=True)
    finally:
        switch.__exit__(None, None, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="several people need root")
def test_everybodys_files_are_the_groups_whatever_the_umask(folder: Path) -> None:
    harness = make(folder / "bed")
    race(harness)
    modes = {
        path.relative_to(harness.state).as_posix(): path.stat().st_mode & 0o7777
        for path in harness.state.rglob("*")
        if not path.name.startswith((".", "simulated", "passwd")) and "simulated-files" not in path.parts
    }
    assert {mode for path, mode in modes.items() if (harness.state / path).is_dir()} == {0o2775}
    assert {mode for path, mode in modes.items() if not (harness.state / path).is_dir()} == {0o664}
