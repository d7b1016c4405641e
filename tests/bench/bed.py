"""What is measured on: a gate over a state folder of its own with one user, on the simulated engine or on Docker."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from ds01.engines.docker.engine import DockerEngine
from ds01.engines.protocol import Engine
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.gpus.model import GpuRequest
from ds01.gpus.simulated import parse_inventory
from ds01.journal.notices import Mailboxes
from ds01.lifecycle.context.context import Context, open_context
from ds01.policy.reading.load import load
from ds01.records.ledger import Ledger
from ds01.records.request import ContainerRequest
from ds01.system import clock
from ds01.system.users import Users
from tests.client import Client

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
RUN = f"b{os.getpid()}"  # in the names of what is made in Docker: what a killed run left is in nobody's way


@contextmanager
def bed(engine: Callable[[Path], Engine], gpus: str) -> Iterator[Client]:
    """A gate over a state folder of its own, with one user."""
    state = Path(tempfile.mkdtemp(prefix="ds01-bench."))
    try:
        (state / "passwd").write_text(f"bench:x:{UID}:{UID}::{state}/home:/bin/sh\n")
        (state / "policy.yaml").write_text(POLICY)
        (state / "home").mkdir()
        if os.geteuid() == 0:
            os.chown(state / "home", UID, UID)
        state.chmod(0o755)
        context = open_context(
            ledger=Ledger(state, sandbox=True),
            engine=engine(state),
            inventory=parse_inventory(gpus),
            policy=load(state / "policy.yaml"),
            users=Users(state / "passwd"),
            clock=clock.now,
            emit=lambda *_: None,
            sleep=clock.sleep,
            sandbox=True,
            inject_devices=False,
            mailboxes=Mailboxes(state / "notices"),
            log_directory=state / "log",
        )
        yield Client(context)
    finally:
        shutil.rmtree(state)


def simulated(gpus: str) -> AbstractContextManager[Client]:
    """A bed on the simulated engine."""
    return bed(simulated_engine, gpus)


def simulated_engine(state: Path) -> Engine:
    """The simulated engine of a state folder."""
    return SimulatedEngine(state / "engine.json", clock=clock.now)


@contextmanager
def on_docker(gpus: str) -> Iterator[tuple[Client, str]]:
    """A bed on the Docker of this machine, and an image. All that was made in it is removed, whatever happens."""
    with _image() as image, bed(lambda state: DockerEngine(), gpus) as gate:
        try:
            yield gate, image
        finally:
            label = f"label=ds01.installation={context_of(gate).ledger.installation}"
            _remove("rm", _docker("ps", "--all", "--quiet", "--filter", label))


def context_of(gate: Client) -> Context:
    """What a gate works on."""
    return gate.context


def afresh(context: Context, engine: Engine) -> Context:
    """The context as another process has it: nothing is known yet."""
    return open_context(
        ledger=Ledger(context.ledger.state, sandbox=True),
        engine=engine,
        inventory=context.inventory,
        policy=context.rules.policy,
        users=context.users,
        clock=context.clock,
        emit=context.emit,
        sleep=context.sleep,
        sandbox=context.sandbox,
        inject_devices=context.inject_devices,
        mailboxes=context.mailboxes,
        log_directory=context.log_directory,
    )


def request(context: Context, name: str, gpus: int, image: str = "bench/image") -> ContainerRequest:
    """A request for `gpus` slots, with one workspace for all."""
    return ContainerRequest(UID, name, image, GpuRequest(gpus), workspace=str(context.ledger.state / "home"))


def environment(state: Path, gpus: str) -> dict[str, str]:
    """What `ds01` has to be started with to work in a bed that is on Docker."""
    own = {"DS01_STATE": str(state), "DS01_CONFIG": str(state / "policy.yaml"), "DS01_GPUS": f"simulated:{gpus}"}
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | own


def docker_version() -> str | None:
    """The version of the Docker that answers, if one does."""
    try:
        return _docker("version", "--format", "{{.Server.Version}}")[0]
    except (OSError, subprocess.CalledProcessError):
        return None


@contextmanager
def _image() -> Iterator[str]:
    """An image with a static busybox, imported: no registry is needed. It goes with all tags that it got meanwhile."""
    busybox = shutil.which("busybox")
    if busybox is None:
        sys.exit("containers on Docker need a static busybox: apt install busybox-static")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for name in ("sh", "sleep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    repository = f"ds01-bench/{RUN}"
    try:
        command = ["docker", "import", "-", f"{repository}:latest"]
        subprocess.run(command, input=content.getvalue(), check=True, capture_output=True)
        yield f"{repository}:latest"
    finally:
        _remove("rmi", _docker("images", "--format", "{{.Repository}}:{{.Tag}}", repository))


def _docker(*words: str) -> list[str]:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.split()


def _remove(how: str, things: list[str]) -> None:
    for begin in range(0, len(things), 50):
        subprocess.run(["docker", how, "--force", *things[begin : begin + 50]], check=False, capture_output=True)
