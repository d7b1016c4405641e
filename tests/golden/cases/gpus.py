"""Refusals of GPUs, waiting, and the gpu commands."""

from __future__ import annotations

from datetime import timedelta

from ds01.records.wait_queue import Waiter
from tests.golden.case import Case, Stage, Step, gpus, policy

_ONE = "container-deploy one pytorch --background"
_MANY = policy("defaults: {max_mig_instances: 9, max_gpus_per_container: 9, max_containers_per_user: 9}")
_RELEASED = "container-stop one --force --release"
_TAKEN = (_ONE, _RELEASED, "root$ gpu allocate --container taker --gpu 1:0 --user bob")
_SINGLE = gpus("1xA100")


def _waiting(stage: Stage) -> None:
    """Let bob wait in the queue."""
    harness = stage.ds.harness
    since = harness.clock() - timedelta(minutes=5)
    waiter = Waiter("", "bob", harness.people["bob"], 10, since, harness.full("bob"), harness.request("bob", gpus=1))
    stage.exits.enter_context(harness.ledger.wait_queue().join(waiter))


_waits = Step("bob waits for a GPU since 11:55", _waiting)

CASES = [
    Case("No GPU is free", "bob$ container-deploy mine pytorch --background",
         (_SINGLE, _ONE, "container-stop one --force")),
    Case("No GPU is free, and its user runs", "bob$ container-deploy mine pytorch --background", (_SINGLE, _ONE)),
    Case("No GPU is free for a script", "bob$ container-create mine pytorch --json", (_SINGLE, _ONE)),
    Case("No GPU is free, and the command cannot wait", "mlc-start one", _TAKEN),
    Case("A GPU of another kind is free", "container-create x pytorch --profile 2g.10gb",
         (gpus("1xA100,1xA100:1x2g.10gb"), "boss$ gpu allocate --user bob --container hand --gpu 1:0")),
    Case("Two GPUs of different kinds are free", "container-create x pytorch --gpus 2",
         (gpus("2xA100,1xA100:2x2g.10gb"), "boss$ gpu allocate --user bob --container a --gpu 0",
          "boss$ gpu allocate --user bob --container b --gpu 2:0")),
    Case("More GPUs than the server has", "container-create x pytorch --gpus 5", (_MANY,)),
    Case("A profile that the server lacks", "container-create x pytorch --profile 7g.40gb"),
    Case("More GPUs than one container may have", "container-create x pytorch --gpus 3"),
    Case("The quota is used", "container-create three pytorch",
         (_ONE, "container-deploy two pytorch --background", "container-stop two --force")),
    Case("The quota is used by hand", "container-create x pytorch",
         ("root$ gpu allocate --container reserve --max-gpus 2 --user alice",)),
    Case("The quota leaves one", "container-create x pytorch --gpus 2",
         (policy("defaults: {max_mig_instances: 1, max_gpus_per_container: 2}"),)),
    Case("The quota is zero", "container-create x pytorch --gpus 1", (policy("defaults: {max_mig_instances: 0}"),)),
    Case("The quota of somebody else is used", "boss$ container-create x pytorch --user alice",
         (_ONE, "container-deploy two pytorch --background")),
    Case("Whole GPUs are not allowed", "container-create x pytorch --gpu-type full",
         (policy("defaults: {max_mig_instances: 1, allow_full_gpu: false}"),)),
    Case("All are reserved", "container-create x pytorch",
         (_SINGLE, policy("defaults: {max_mig_instances: 1}\nreservations: [{for: bob, slots: [0], "
                          "from: 2026-11-01, until: 2026-12-31, reason: course}]"))),
    Case("The GPU of a container is taken", "container-start one", _TAKEN),
    Case("The GPU of a container is taken, for a command that waits", "container-run one -- true", _TAKEN),
    Case("The GPU of a container is taken and none is free", "container-start one",
         (_MANY, *_TAKEN, *(f"root$ gpu allocate --container rest{number} --user carol" for number in range(3)))),
    Case("The GPU of a container is gone", "container-start one", (_ONE, "container-stop one --force", gpus("1xA100"))),
    Case("The GPU of a container is gone, and all others too", "container-start one",
         (_ONE, "container-stop one --force", gpus("none"))),
    Case("The MIG instance of a container is gone", "container-start one",
         ("container-deploy one pytorch --profile 2g.10gb --background", "container-stop one --force", gpus("2xA100"))),
    Case("A container has more GPUs than the policy allows now", "container-start one",
         ("container-deploy one pytorch --gpus 2 --background", _RELEASED,
          policy("defaults: {max_mig_instances: 2, max_gpus_per_container: 1}"))),
    Case("The quota is used, and a container is started", "container-start one",
         (_ONE, _RELEASED, "container-create two pytorch --gpus 2")),
    Case("A wait is over", "bob$ container-create mine pytorch --wait-for 1s", (_SINGLE, _ONE)),
    Case("A wait for its own GPU is over", "container-start one --wait-for 1s", _TAKEN),
    Case("The state of the GPUs", "gpu status",
         (_ONE, "boss$ gpu allocate --user bob --container hand --gpu 0")),
    Case("The slots for scripts", "gpu list --free", (_ONE,)),
    Case("A lease by hand", "boss$ gpu allocate --user bob --container hand --gpu 0"),
    Case("A lease by hand without being an administrator", "gpu allocate --container hand"),
    Case("A lease by hand of a name that is taken", "boss$ gpu allocate --user alice --container one", (_ONE,)),
    Case("A lease by hand of a slot that does not exist", "boss$ gpu allocate --user bob --container hand --gpu 7"),
    Case("A lease by hand of a slot that is taken", "boss$ gpu allocate --user bob --container hand --gpu 1:0",
         (_ONE,)),
    Case("A lease by hand under an invalid name", "boss$ gpu allocate --user bob --container a/b"),
    Case("A lease by hand with another number of slots",
         "boss$ gpu allocate --user bob --container hand --gpu 0 --max-gpus 2"),
    Case("A lease by hand is released", "boss$ gpu release --user bob --container hand",
         ("boss$ gpu allocate --user bob --container hand",)),
    Case("A lease by hand is stopped as a container", "boss$ container-stop hand --user bob",
         ("boss$ gpu allocate --user bob --container hand",)),
    Case("A lease is given back", "gpu release --container one", (_ONE, "container-stop one --force")),
    Case("A lease of a running container is given back", "gpu release --container one", (_ONE,)),
    Case("A running container is marked as stopped", "gpu mark-stopped --container one", (_ONE,)),
    Case("A stopped container is marked as running", "gpu clear-stopped --container one",
         (_ONE, "container-stop one --force")),
    Case("A GPU exists", "gpu validate --container one", (_ONE,)),
    Case("A container does not have that GPU", "gpu validate --container one --gpu 7", (_ONE,)),
    Case("A GPU is gone", "gpu validate --container one", (_ONE, gpus("1xA100"))),
    Case("An empty queue", "queue"),
    Case("The queue", "queue", (_waits,)),
    Case("Which entry of the queue", "queue cancel"),
    Case("An entry that does not exist", "queue cancel 1234567"),
    Case("Unknown words after queue", "queue drop it"),
    Case("A later one has to wait for the first", "container-create x pytorch --gpus 1", (_SINGLE, _waits)),
]  # fmt: skip
