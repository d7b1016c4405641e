"""Using containers: start, run, pause, extend, list, stats, adopt."""

from __future__ import annotations

from ds01.engines.protocol import ContainerStatus, Devices
from tests import aime_containers
from tests.golden.case import Case, Stage, Step, later, outside, policy

_RUNNING, _CREATED, _STOPPED = (
    "container-deploy thesis pytorch --background",
    "container-create thesis pytorch",
    "container-stop thesis --force",
)
_RELEASED = "container-stop thesis --force --release"
_LIMITED = policy("defaults: {max_mig_instances: 2, idle_timeout: 10h, max_extension: 6h, max_containers_per_user: 3}")


def _aime(**more: object) -> Step:
    def act(stage: Stage) -> None:
        aime_containers.create(stage.ds.harness, engine=stage.ds.engine, **more)  # type: ignore[arg-type]

    return Step("AIME's tools created the container theirs" + (" for all GPUs" if more else ""), act)


def _full(stage: Stage) -> str:
    return stage.ds.harness.full("alice")


def _tick_often(stage: Stage) -> None:
    for _ in range(12):
        stage.ds.harness.clock.advance(minutes=5)
        stage.ds.ok("tick", who="root")


_used_little = outside("an hour with ticks", _tick_often)

CASES = [
    Case("A container is started", "container-start thesis", (_CREATED,)),
    Case("A container that runs is started", "container-start thesis", (_RUNNING,)),
    Case("A held container is started", "container-start thesis", (_RUNNING, _STOPPED)),
    Case("Which container to start", "container-start"),
    Case("A container that does not exist, without any", "container-start other"),
    Case("A container that does not exist, with others", "container-start other", (_CREATED,)),
    Case("A container that does not exist, of another user", "boss$ container-start other --user alice", (_CREATED,)),
    Case("A container that was removed outside ds01", "container-start thesis",
         (_CREATED, outside("docker rm --force", lambda stage: stage.ds.engine.remove_by_force(_full(stage))))),
    Case("A running container is created again", "container-start thesis --recreate", (_RUNNING,)),
    Case("A container is created again", "container-start thesis --recreate", (_RUNNING, _RELEASED)),
    Case("A container of somebody else by its full name", "bob$ container-stop thesis._.70001", (_RUNNING,)),
    Case("A command in a container that does not exist", "container-run thesis -- true"),
    Case("A shell without a terminal", "container-run thesis", (_RUNNING,)),
    Case("A command without two dashes", "container-run thesis python train.py", (_RUNNING,)),
    Case("A command without a container", "container-run -- ls"),
    Case("Root inside is not allowed", "container-run thesis --root -- true",
         (_RUNNING, policy("defaults: {max_mig_instances: 2, root_inside: false}"))),
    Case("A container is paused", "container-pause thesis", (_RUNNING,)),
    Case("A container that does not run is paused", "container-pause thesis", (_CREATED,)),
    Case("A container is unpaused", "container-unpause thesis", (_RUNNING, "container-pause thesis")),
    Case("A container that is not paused is unpaused", "container-unpause thesis", (_CREATED,)),
    Case("An extension", "container-extend thesis 4h --reason 'last epoch'", (_LIMITED, _RUNNING)),
    Case("More extension than allowed", "container-extend thesis 3h",
         (_LIMITED, _RUNNING, "container-extend thesis 4h")),
    Case("No extension is left", "container-extend thesis 3h", (_LIMITED, _RUNNING, "container-extend thesis 6h")),
    Case("An extension of a stopped container", "container-extend thesis 1h", (_LIMITED, _RUNNING, _STOPPED)),
    Case("An extension without anything", "container-extend"),
    Case("An extension without a duration", "container-extend thesis", (_RUNNING,)),
    Case("An extension without a name", "container-extend 4h", (_RUNNING,)),
    Case("An extension of nothing", "container-extend thesis 0h", (_RUNNING,)),
    Case("An extension without a unit", "container-extend thesis 5", (_RUNNING,)),
    Case("An empty list", "container-list"),
    Case("A list", "container-list", (_LIMITED, _RUNNING, "container-create two pytorch --cpu-only",
                                      later(hours=1), "container-stop thesis --force")),
    Case("A list after something happened outside", "container-list",
         (_RUNNING, outside("out of memory", lambda stage: stage.ds.engine.kill(_full(stage), out_of_memory=True)))),
    Case("A list after the machine restarted", "container-list",
         (_RUNNING, later(hours=1),
          outside("the machine restarted", lambda stage: stage.ds.engine.restart_engine(reboot=True)))),
    Case("Two containers on one GPU", "container-list",
         ("container-deploy kept pytorch --background", "container-stop kept --force --release", _RUNNING,
          outside("docker start kept._.70001", lambda stage: stage.ds.engine.start("kept._.70001")))),
    Case("Stats without containers", "container-stats"),
    Case("A stop after little use", "container-stop thesis --force",
         ("container-deploy thesis pytorch --gpu-type full --background", _used_little)),
    Case("Stats that watch and print JSON", "container-stats --watch --json"),
    Case("An interval without a watch", "container-stats --interval 5"),
    Case("A container of AIME's tools is adopted", "container-adopt theirs", (_aime(),)),
    Case("A container that is adopted already", "container-adopt theirs", (_aime(), "container-adopt theirs")),
    Case("A container to adopt that does not exist", "container-adopt theirs"),
    Case("A container that AIME's tools did not create", "boss$ container-adopt foreign._.70001 --user alice",
         (outside("docker run foreign", lambda stage: stage.ds.engine.add_foreign("foreign._.70001")),)),
    Case("A container of AIME's tools that is not adopted is started", "container-start theirs", (_aime(),)),
    Case("An adopted container for all GPUs is started", "container-start theirs",
         (_aime(devices=Devices(everything=True, form="device_request")), "container-adopt theirs")),
    Case("A container that Docker is removing", "container-start thesis",
         (_CREATED, outside("docker rm hangs",
                            lambda stage: stage.ds.engine.set_status(_full(stage), ContainerStatus.REMOVING)))),
    Case("How to leave a container", "container-exit"),
]  # fmt: skip
