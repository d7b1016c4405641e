"""Measures what people wait for, as ratios in one run: `python tests/bench`. A program, no test: it judges nothing.

Ratios hold when the machine is slow or busy; a figure in ms belongs to the machine that is named above it.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ds01.automation.report import Report
from ds01.automation.telling import Teller
from ds01.automation.tick import Tick
from ds01.engines.docker import DockerEngine
from ds01.engines.protocol import Engine
from ds01.engines.simulated import SimulatedEngine
from ds01.errors import Ds01Error
from ds01.gpus.inventory import Inventory
from ds01.gpus.simulated import parse
from ds01.journal.notices import Mailboxes
from ds01.lifecycle import create as creating
from ds01.lifecycle.gate import Gate
from ds01.lifecycle.ledger import Ledger
from ds01.lifecycle.request import ContainerRequest
from ds01.lifecycle.world import World
from ds01.policy.load import load
from ds01.policy.model import Notify
from ds01.system import clock
from ds01.system.users import Users

POLICY = """\
defaults:
  max_mig_instances: null
  max_containers_per_user: null
  max_cpus: 1
  memory: 64m
  shm_size: 16m
  ulimits: {memlock: null, stack: null}
ports: []
"""
UID = 90001
DS01 = Path(sys.executable).with_name("ds01")
PYTHON = "/usr/bin/python3"


def main() -> None:
    """Run the measurements that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="runs of each command (default 15)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 400], help="containers in the list")
    parser.add_argument("--programs", nargs="+", default=[], help="frozen ds01s whose start is measured too")
    options = parser.parse_args()
    print(f"{platform.node() and platform.machine()}, {os.cpu_count()} cores, {platform.release()},", end=" ")
    print(f"Python {platform.python_version()}, {_docker_version()}\n")
    start_up([str(DS01), *options.programs], options.runs)
    allocation()
    tick()
    if _docker_version().startswith("Docker"):
        listing(options.sizes, options.runs)


def start_up(programs: list[str], runs: int) -> None:
    """The smallest command against an empty Python: of this environment, and of frozen programs."""
    for program in programs:
        ours, theirs = compare([program, "--version"], [PYTHON, "-c", "pass"], runs)
        which = f"  {program}" if program != programs[0] else ""
        print(
            f"ds01 --version       {ours:6.1f} ms, {ours / theirs:4.1f} times {PYTHON} -c pass ({theirs:.1f} ms){which}"
        )


def allocation(slots: int = 56, records: int = 500, runs: int = 30) -> None:
    """One allocation, with most slots leased and many records of containers without a GPU."""
    gpus = f"{slots // 7}xA100:7x1g.5gb"
    with bed(lambda state: SimulatedEngine(state / "engine.json", clock=clock.now), gpus) as gate:
        world = gate._world
        actor = world.users.actor(UID)
        for number in range(records):
            gpus = 1 if number < slots - 1 else 0
            gate.create(actor, request(world, f"c{number}", gpus))
        under, whole = [], []
        held = Held(world.ledger)
        for number in range(runs):
            prepared = creating.prepare(world, actor, request(world, f"new{number}", 1))
            held.milliseconds = 0.0
            begun = time.perf_counter()
            found = creating.look(world, prepared, locked=False)
            record = creating.reserve(world, actor, prepared, found)
            whole.append((time.perf_counter() - begun) * 1000)
            under.append(held.milliseconds)
            creating._give_up(world, actor, record, Ds01Error("only measured"))
        held_for, in_all = statistics.median(under), statistics.median(whole)
        print(f"one allocation       {held_for:6.1f} ms under the lock, {in_all:.1f} ms in all,", end=" ")
        print(f"with {slots} slots and {records} records")


def tick(sizes: tuple[int, ...] = (50, 200, 400), runs: int = 7) -> None:
    """A pass of the automation with growing numbers of containers, three of ten running; nothing is due."""
    measured = []
    with bed(lambda state: SimulatedEngine(state / "engine.json", clock=clock.now), "8xA100:7x1g.5gb") as gate:
        world = gate._world
        actor = world.users.actor(UID)
        made = 0
        for size in sizes:
            for number in range(made, size):
                runs_too = number % 10 < 3
                gpus = int(runs_too and number < 180)
                name = gate.create(actor, request(world, f"c{number}", gpus)).container.container
                if runs_too:
                    gate.start(actor, name)
            made = size
            times = []
            for number in range(runs + 1):
                report = one_pass(world)
                if number:  # the first one looks at what is new
                    times.append(report.seconds * 1000)
                assert report.good and report.looked_at == size, report
            measured.append((size, statistics.median(times)))
            print(f"tick            {size:4}  {measured[-1][1]:6.1f} ms, {size * 3 // 10} of them running, simulated")
    (few, fast), (many, slow) = measured[0], measured[-1]
    print(f"each container more  {(slow - fast) / (many - few):6.2f} ms")


def one_pass(world: World) -> Report:
    """A tick as cron starts it: nothing is known yet."""
    state = world.ledger.state

    def fresh() -> World:
        engine = SimulatedEngine(state / "engine.json", clock=clock.now)
        return World(**{**vars(world), "ledger": Ledger(state, own=True), "engine": engine, "_limits": {}})

    teller = Teller(Mailboxes(state / "notices"), Notify(terminal=False))
    return Tick(fresh(), fresh, teller).run()


def listing(sizes: list[int], runs: int) -> None:
    """container-list against `docker ps -a`, with the number of API calls, for growing numbers of containers."""
    image = _image()
    try:
        with bed(lambda state: DockerEngine(), "1xA100") as gate:
            world = gate._world
            actor = world.users.actor(UID)
            environment = _environment(world.ledger.state)
            made: list[str] = []
            measured = []
            try:
                for size in sizes:
                    for number in range(len(made), size):
                        made.append(gate.create(actor, request(world, f"bench{number}", 0, image)).container.container)
                    ours, theirs = compare(
                        [str(DS01), "container", "list", "--user", "bench"], ["docker", "ps", "-a"], runs, environment
                    )
                    fresh = Gate(World(**{**vars(world), "engine": DockerEngine(), "_limits": {}}))
                    fresh.containers(actor)
                    calls = fresh._world.engine.calls  # type: ignore[attr-defined]
                    measured.append((size, ours))
                    print(
                        f"container-list {size:4}  {ours:6.1f} ms, {ours / theirs:4.1f} times docker ps -a "
                        f"({theirs:.1f} ms), {calls} API calls"
                    )
            finally:
                for name in made:
                    gate.remove(actor, name)
            (few, fast), (many, slow) = measured[0], measured[-1]
            if many > few:
                print(f"each container more  {(slow - fast) / (many - few):6.2f} ms")
    finally:
        subprocess.run(["docker", "rmi", image], check=False, capture_output=True)


class Held:
    """Adds up how long a ledger's lock is held."""

    def __init__(self, ledger: Ledger) -> None:
        self.milliseconds = 0.0
        original = ledger.transaction

        @contextmanager
        def timed() -> Iterator[object]:
            with original() as transaction:
                begun = time.perf_counter()
                yield transaction
                self.milliseconds += (time.perf_counter() - begun) * 1000

        ledger.transaction = timed  # type: ignore[method-assign, assignment]


def compare(
    ours: list[str], theirs: list[str], runs: int, environment: dict[str, str] | None = None
) -> tuple[float, float]:
    """The medians of two commands in ms, run in turn so that both meet the same machine."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(runs + 1):
        for command, measured in zip((ours, theirs), times, strict=True):
            begun = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=environment)
            if number:  # the first pair warms up
                measured.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times[0]), statistics.median(times[1])


@contextmanager
def bed(engine: Callable[[Path], Engine], gpus: str) -> Iterator[Gate]:
    """A gate over a state folder of its own, with one user."""
    state = Path(tempfile.mkdtemp(prefix="ds01-bench."))
    try:
        (state / "passwd").write_text(f"bench:x:{UID}:{UID}::{state}/home:/bin/sh\n")
        (state / "policy.yaml").write_text(POLICY)
        (state / "home").mkdir()
        if os.geteuid() == 0:
            os.chown(state / "home", UID, UID)
        state.chmod(0o755)
        inventory: Inventory = parse(gpus)
        policy = load(state / "policy.yaml")
        users = Users(state / "passwd")
        ledger = Ledger(state, own=True)
        yield Gate(
            World(
                ledger,
                engine(state),
                inventory,
                policy,
                users,
                clock.now,
                lambda *_: None,
                clock.sleep,
                own=True,
                inject=False,
            )
        )
    finally:
        shutil.rmtree(state)


def request(world: World, name: str, gpus: int, image: str = "bench/image") -> ContainerRequest:
    """A request for `gpus` slots, with one workspace for all."""
    from ds01.gpus.model import GpuRequest

    return ContainerRequest(UID, name, image, GpuRequest(gpus), workspace=str(world.ledger.state / "home"))


def _environment(state: Path) -> dict[str, str]:
    own = {"DS01_STATE": str(state), "DS01_CONFIG": str(state / "policy.yaml"), "DS01_GPUS": "simulated:1xA100"}
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | own


def _image() -> str:
    """An image with a static busybox, imported: no registry is needed."""
    busybox = shutil.which("busybox")
    if busybox is None:
        sys.exit("the list needs a static busybox for its containers: apt install busybox-static")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)
    name = f"ds01-bench/busybox:{os.getpid()}"
    subprocess.run(["docker", "import", "-", name], input=content.getvalue(), check=True, capture_output=True)
    return name


def _docker_version() -> str:
    try:
        command = ["docker", "version", "--format", "Docker {{.Server.Version}}"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "no Docker answers"


if __name__ == "__main__":
    main()
