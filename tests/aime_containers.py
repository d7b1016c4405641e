"""Containers as AIME's own tools create them, on the simulated engine."""

from __future__ import annotations

from typing import Any

from ds01.engines.protocol import ContainerSpec, Devices, Mount
from tests import invariants
from tests.harness import POLICY, Harness

BASE = "aimehub/pytorch-2.7.1-aime"
ALL_GPUS = Devices(everything=True, form="privileged, device_request")


ALICE_UID, BOB_UID = 70001, 70002
AIME_CONTAINER = f"theirs._.{ALICE_UID}"
LIMITED_POLICY = POLICY.replace("defaults: {", "defaults: {max_cpus: 4, memory: 8g, pids_limit: 500, ")


def labels(login: str, name: str, **more: str) -> dict[str, str]:
    """Return the labels that AIME's tools set on a container."""
    own = {"aime.mlc": login, "aime.mlc.USER": login, "aime.mlc.NAME": name, "aime.mlc.FRAMEWORK": "Pytorch-2.7.1"}
    mounts = {"aime.mlc.DATA_MOUNT": "-", "aime.mlc.MODELS_MOUNT": "-"}
    return own | mounts | {"aime.mlc.ARCH": "CUDA_ADA", "aime.mlc.MLC_VERSION": "4", "aime.mlc.GPUS": "all"} | more


def create(
    harness: Harness,
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
    """Create a container of AIME's tools for a user; return its id. `devices` None: no GPU."""
    engine = engine or harness.engine
    uid = harness.people[login]
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
                "mounts": (Mount(str(harness.home(login) / "workspace"), "/workspace"),),
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


def devices_of(harness: Harness, *slots: str) -> Devices:
    return Devices(tuple(harness.uuid[slot] for slot in slots), form="device_request")


def adopt(harness: Harness, gate: Any = None, who: str = "alice", **more: Any) -> Any:
    acted = (gate or harness.gate).adopt(harness.actor(who), AIME_CONTAINER, **more)
    invariants.check_settled(harness)
    return acted


def spec_of(harness: Harness, container: str = AIME_CONTAINER) -> Any:
    seen = harness.engine.inspect(container)
    assert seen is not None and seen.spec is not None
    return seen.spec


def is_running(harness: Harness, container: str) -> bool:
    seen = harness.engine.inspect(container)
    return seen is not None and seen.status.has_processes
