"""Stop, remove, retire, cleanup, and the automation that does it."""

from __future__ import annotations

from tests.golden.case import Case, Stage, later, outside, policy

_RUNNING = "container-deploy thesis pytorch --background"
_CPU = "container-deploy thesis pytorch --cpu-only --background"
_IDLE = policy("defaults: {max_mig_instances: 2, idle_timeout: 10h, max_extension: 6h}")


def _stubborn(stage: Stage) -> None:
    stage.ds.engine.spawn(stage.ds.harness.full("alice"), "python train.py", stubborn=True)


CASES = [
    Case("A container is stopped", "container-stop thesis", (_RUNNING,)),
    Case("A container without a GPU is stopped", "container-stop thesis", (_CPU,)),
    Case("A container is stopped and its GPU released", "container-stop thesis --release", (_RUNNING,)),
    Case("A container is stopped with a program that does not end", "container-stop thesis",
         (_RUNNING, outside("a program that ignores TERM runs in it", _stubborn))),
    Case("A stopped container is stopped", "container-stop thesis", (_RUNNING, "container-stop thesis --force")),
    Case("A stopped container releases its GPU", "container-stop thesis --release",
         (_RUNNING, "container-stop thesis --force")),
    Case("A created container is stopped", "container-stop thesis", ("container-create thesis pytorch",)),
    Case("Which container to stop", "container-stop"),
    Case("All containers are stopped", "container-stop --all", (_RUNNING, "container-deploy two debian --background")),
    Case("All containers, but there are none", "container-stop --all"),
    Case("All and a name", "container-stop thesis --all"),
    Case("At once and with a grace", "container-stop thesis --force -t 5"),
    Case("A container is stopped for its owner", "boss$ container-stop thesis --user alice", (_RUNNING,)),
    Case("A container is removed", "container-remove thesis", ("container-create thesis pytorch",)),
    Case("A running container is removed", "container-remove thesis", (_RUNNING,)),
    Case("A running container is removed by force", "container-remove thesis --force", (_RUNNING,)),
    Case("All containers are removed and one runs", "container-remove thesis two",
         (_RUNNING, "container-create two pytorch")),
    Case("Remove all and a name", "container-remove thesis --all"),
    Case("A container is retired", "container-retire thesis", (_RUNNING,)),
    Case("Which container to retire", "container-retire"),
    Case("A retired container is retired", "container-retire thesis", (_RUNNING, "container-retire thesis --force")),
    Case("Stopped containers are found", "container-cleanup --dry-run",
         (_RUNNING, "container-stop thesis --force", later(hours=30))),
    Case("Stopped containers are removed", "container-cleanup --all",
         (_RUNNING, "container-stop thesis --force", later(hours=30))),
    Case("Which containers to clean up", "container-cleanup", (_RUNNING, "container-stop thesis --force")),
    Case("Nothing to clean up", "container-cleanup --all"),
    Case("A tick that has nothing to do", "root$ tick"),
    Case("A tick warns", "root$ tick", (_IDLE, _RUNNING, "root$ tick", later(hours=8))),
    Case("A tick stops", "root$ tick",
         (_IDLE, _RUNNING, "root$ tick", later(hours=8), "root$ tick", later(hours=2))),
    Case("The notice of a warning", "notices", (_IDLE, _RUNNING, "root$ tick", later(hours=8), "root$ tick")),
    Case("The notices of a stop", "notices",
         (_IDLE, _RUNNING, "root$ tick", later(hours=8), "root$ tick", later(hours=2), "root$ tick")),
    Case("The notice of a released GPU", "notices",
         (_IDLE, _RUNNING, "container-stop thesis --force", "root$ tick", later(hours=24), "root$ tick",
          later(hours=2), "root$ tick")),
    Case("A tick without root", "bob$ tick",
         (outside("the commands see who they are", lambda stage: stage.ds.use_real_identity()),)),
    Case("A tick without Docker", "root$ tick",
         (_RUNNING, outside("Docker is down", lambda stage: stage.ds.engine.set_answering(False)))),
]  # fmt: skip
