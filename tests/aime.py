"""Containers as AIME's own tools make them, on the simulated engine."""

from __future__ import annotations

from typing import Any

from ds01.engines.protocol import ContainerSpec, Devices, Mount
from tests import legal
from tests.bed import POLICY, Bed

BASE = "aimehub/pytorch-2.7.1-aime"
ALL = Devices(everything=True, form="privileged, device_request")


ALICE, BOB = 70001, 70002
THEIRS = f"theirs._.{ALICE}"
LIMITED = POLICY.replace("defaults: {", "defaults: {max_cpus: 4, memory: 8g, pids_limit: 500, ")


def labels(login: str, name: str, **more: str) -> dict[str, str]:
    """What AIME's tools write on a container."""
    own = {"aime.mlc": login, "aime.mlc.USER": login, "aime.mlc.NAME": name, "aime.mlc.FRAMEWORK": "Pytorch-2.7.1"}
    mounts = {"aime.mlc.DATA_MOUNT": "-", "aime.mlc.MODELS_MOUNT": "-"}
    return own | mounts | {"aime.mlc.ARCH": "CUDA_ADA", "aime.mlc.MLC_VERSION": "4", "aime.mlc.GPUS": "all"} | more


def make(
    bed: Bed,
    login: str = "alice",
    name: str = "theirs",
    *,
    devices: Devices | None = None,
    start: bool = False,
    privileged: bool = True,
    engine: Any = None,
    label: dict[str, str] | None = None,
    **spec: Any,
) -> str:
    """A container of AIME's tools for somebody; its id. `devices` None: no GPU."""
    engine = engine or bed.engine
    uid = bed.people[login]
    full = f"{name}._.{uid}"
    engine.tag(BASE, f"{BASE}:{full}")
    made: str = engine.create(
        ContainerSpec(
            **{
                "name": full,
                "image": f"{BASE}:{full}",
                "command": ("bash", "-c", "bash"),
                "uid": uid,
                "gid": uid,
                "labels": labels(login, name, **(label or {})),
                "mounts": (Mount(str(bed.home(login) / "workspace"), "/workspace"),),
                "network": "host",
                "stop_signal": "SIGTERM",
            }
            | spec
        )
    ).id
    engine.set_devices(made, devices or Devices())
    with engine.change() as state:
        state["containers"][made]["privileged"] = privileged
    if start:
        engine.start(made)
    return made


def one(bed: Bed, *slots: str) -> Devices:
    return Devices(tuple(bed.uuid[slot] for slot in slots), form="device_request")


def adopt(bed: Bed, gate: Any = None, who: str = "alice", **more: Any) -> Any:
    acted = (gate or bed.gate).adopt(bed.actor(who), THEIRS, **more)
    legal.check_settled(bed)
    return acted


def spec_of(bed: Bed, container: str = THEIRS) -> Any:
    seen = bed.engine.inspect(container)
    assert seen is not None and seen.spec is not None
    return seen.spec


def runs(bed: Bed, container: str) -> bool:
    seen = bed.engine.inspect(container)
    return seen is not None and seen.status.has_processes
