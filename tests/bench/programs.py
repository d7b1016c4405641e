"""Whole programs, as somebody types them, against one that does next to nothing in the same run."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from collections import Counter
from typing import Any

from ds01.api.containers import CreateContainer, RemoveContainer, StartContainer, StopContainer
from ds01.api.seeing.operations import GetServerView
from ds01.engines.docker.engine import DockerEngine
from ds01.lifecycle.context.context import Context
from tests.bench.bed import DS01, RUN, UID, afresh, context_of, environment, on_docker, request
from tests.client import Client
from tests.fault_injection import CHANGING_CALLS, READING_CALLS, FaultyEngine, StepCounter

PYTHON = "/usr/bin/python3"
GPUS = "1xA100"


def start_up(programs: list[str], runs: int) -> None:
    """The smallest command against an empty Python: of this environment, and of frozen programs."""
    for program in programs:
        ours, theirs = compare([program, "--version"], [PYTHON, "-c", "pass"], runs)
        which = f"  {program}" if program != programs[0] else ""
        print(
            f"ds01 --version       {ours:6.1f} ms, {ours / theirs:4.1f} times {PYTHON} -c pass ({theirs:.1f} ms){which}"
        )


def listing(sizes: list[int], runs: int) -> None:
    """container-list against `docker ps -a`, with the number of API calls, for growing numbers of containers."""
    with on_docker(GPUS) as (gate, image):
        context = context_of(gate)
        actor = context.users.actor(UID)
        own = environment(context.ledger.state, GPUS)
        measured: list[tuple[int, float]] = []
        made = 0
        for size in sizes:
            for number in range(made, size):
                gate.create(actor, request(context, f"{RUN}-{number}", 0, image))
            made = max(made, size)
            ours, theirs = compare(
                [str(DS01), "container", "list", "--user", "bench"], ["docker", "ps", "-a"], runs, own
            )
            engine = DockerEngine()
            Client(afresh(context, engine)).containers(actor)
            measured.append((size, ours))
            status, _ = compare([str(DS01), "status"], ["true"], runs, own)
            print(
                f"container-list {size:4}  {ours:6.1f} ms, {ours / theirs:4.1f} times docker ps -a "
                f"({theirs:.1f} ms), {engine.calls} API calls"
            )
            engine = DockerEngine()
            Client(afresh(context, engine)).run(actor, GetServerView())
            print(
                f"ds01 status    {size:4}  {status:6.1f} ms, {status / theirs:4.1f} times docker ps -a, "
                f"{engine.calls} API calls"
            )
        say_growth(measured)


def life(runs: int) -> None:
    """One container from deploy to retire, against the same typed for Docker by hand, with the calls of the engine."""
    with on_docker(GPUS) as (gate, image):
        context = context_of(gate)
        own = environment(context.ledger.state, GPUS)
        name, theirs = f"{RUN}-life", f"{RUN}-hand"
        shell = ("sh", "-c", "exec sh")
        pairs = {
            "container-deploy": (
                ["container", "deploy", name, "--image", image, "--cpu-only", "--background"],
                [["docker", "create", "-it", "--name", theirs, image, *shell], ["docker", "start", theirs]],
            ),
            "container-stop": (["container", "stop", name, "--force"], [["docker", "stop", "-t", "0", theirs]]),
            "container-start": (["container", "start", name], [["docker", "start", theirs]]),
            "container-retire": (["container", "retire", name, "--force"], [["docker", "rm", "-f", theirs]]),
        }
        times: dict[str, tuple[list[float], list[float]]] = {verb: ([], []) for verb in pairs}
        for _ in range(runs):
            for verb, (words, by_hand) in pairs.items():
                times[verb][0].append(timed([str(DS01), *words, "--user", "bench"], own))
                times[verb][1].append(sum(timed(command) for command in by_hand))
        first = _engine_calls(context, image, known=False)["container-deploy"].total()
        calls = _engine_calls(context, image, known=True)
        for verb, (ours, hand) in times.items():
            mine, other = statistics.median(ours), statistics.median(hand)
            kinds = ", ".join(f"{count} {kind}" for kind, count in calls[verb].most_common())
            print(
                f"{verb:18}  {mine:6.1f} ms, {mine / other:4.1f} times docker by hand ({other:.1f} ms), "
                f"{calls[verb].total()} engine calls: {kinds}"
            )
        print(f"the first deploy of an image: {first} engine calls")


def _engine_calls(context: Context, image: str, *, known: bool) -> dict[str, Counter[str]]:
    """Count what each step of a container's life asks the engine, by kind. `known`: the image was used before."""
    if not known:
        shutil.rmtree(context.ledger.state / "image-facts", ignore_errors=True)
    steps = StepCounter(-1, lambda: None)
    engine: Any = FaultyEngine(DockerEngine(), steps, CHANGING_CALLS + READING_CALLS)
    actor, calls = context.users.actor(UID), {}
    asked = request(context, f"{RUN}-calls", 0, image)
    container = f"{asked.name}._.{UID}"
    operations = {
        "container-deploy": CreateContainer(asked, start=True, pull=True),
        "container-stop": StopContainer(container, grace=0),
        "container-start": StartContainer(container),
        "container-retire": RemoveContainer(container, force=True),
    }
    for verb, operation in operations.items():
        steps.names.clear()
        Client(afresh(context, engine)).run(actor, operation)
        calls[verb] = Counter(steps.names)
    return calls


def compare(
    ours: list[str], theirs: list[str], runs: int, environment: dict[str, str] | None = None
) -> tuple[float, float]:
    """The medians of two commands in ms, run in turn so that both meet the same machine."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(runs + 1):
        for command, measured in zip((ours, theirs), times, strict=True):
            took = timed(command, environment)
            if number:  # the first pair warms up
                measured.append(took)
    return statistics.median(times[0]), statistics.median(times[1])


def timed(command: list[str], environment: dict[str, str] | None = None) -> float:
    """How long a command takes, in ms. It has to go well."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return (time.perf_counter() - begun) * 1000


def say_growth(measured: list[tuple[int, float]]) -> None:
    """What each container more costs, from the first to the last size."""
    (few, fast), (many, slow) = measured[0], measured[-1]
    if many > few:
        print(f"each container more  {(slow - fast) / (many - few):6.2f} ms")
