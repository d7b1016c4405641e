"""From a request to a specification: the only place that computes limits, devices and labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ds01.engines.protocol import ContainerSpec, EngineImage, PublishedPort
from ds01.gpus.model import Lease, SlotKind, SlotRef
from ds01.lifecycle.create import own_tag
from ds01.lifecycle.spec.compose import Host, Identity, Placement, compose, limits_of
from ds01.lifecycle.spec.ports import wanted
from ds01.policy.model import Limits, SliceLimits, UserLimits
from ds01.records.request import ContainerRequest
from ds01.system.users import Account
from tests.harness import NOON

REFS = (SlotRef("1:0", "MIG-a", SlotKind.MIG, "2g.10gb"), SlotRef("1:1", "MIG-b", SlotKind.MIG, "2g.10gb"))
LEASE = Lease(REFS, NOON)
IMAGE = EngineImage("sha256:x", ("pytorch/pytorch:latest",), {}, {"PATH": "/opt/bin:/bin"})
REQUEST = ContainerRequest(70001, "thesis", "pytorch/pytorch", workspace="/home/alice/workspace/thesis")
ALICE_ACCOUNT = Account(70001, 70001, "alice", "/home/alice")


def made(
    request: ContainerRequest = REQUEST,
    *,
    owner: Account = ALICE_ACCOUNT,
    limits: Limits | None = None,
    lease: Lease | None = LEASE,
    inject: bool = True,
    image: EngineImage = IMAGE,
    network: str = "bridge",
) -> ContainerSpec:
    return compose(
        request,
        owner,
        UserLimits(owner.login, "students", False, limits or Limits(), {}),
        Placement(lease, "ds01-students-alice.slice", "ds01-students-alice.slice", inject),
        image,
        Host("installation", network, 64 << 30),
        Identity("id", "thesis._.70001", "pytorch/pytorch:thesis._.70001", NOON),
    )


def test_devices_are_the_leases_uuids_and_nothing_else() -> None:
    spec = made()
    assert spec.device_uuids == ("MIG-a", "MIG-b")
    assert spec.environment["NVIDIA_VISIBLE_DEVICES"] == "MIG-a,MIG-b"


@pytest.mark.parametrize("changes", [{"lease": None}, {"inject": False}])
def test_no_devices_without_lease_or_on_simulated_gpus(changes: dict[str, Any]) -> None:
    cuda = replace(IMAGE, environment={"NVIDIA_VISIBLE_DEVICES": "all"})
    spec = made(image=cuda, **changes)
    assert spec.device_uuids == ()
    assert spec.environment["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_no_label_has_a_comma_whoever_set_it() -> None:
    image = replace(IMAGE, labels={"authors": "A, B", "ds01.user": "mallory", "ds01.extra": "x", "aime.mlc.GPUS": "0"})
    request = replace(
        REQUEST, labels={"team": "x,y"}, image="a,b", framework="f,1", project="p,q", workspace="/home/alice/a,b",
        data="/data/a,b", models="/models/a,b",
    )  # fmt: skip
    labels = made(request, image=image).labels
    assert not [key for key, value in labels.items() if "," in value]
    assert (labels["aime.mlc.DATA_MOUNT"], labels["aime.mlc.WORK_MOUNT"]) == ("-", "-")
    assert (labels["ds01.user"], labels["ds01.extra"]) == ("alice", "")
    assert (labels["ds01.gpu.slots"], labels["ds01.gpu.uuids"]) == ("1:0;1:1", "MIG-a;MIG-b")


def test_policy_variables_override_the_images() -> None:
    limits = Limits(environment={"PROXY": "policy", "SEED": "policy", "UNSET": None})
    image = replace(IMAGE, environment={"PROXY": "image", "UNSET": "image"})
    environment = made(replace(REQUEST, environment={"SEED": "request"}), limits=limits, image=image).environment
    assert (environment["PROXY"], environment["SEED"]) == ("policy", "request")
    assert "UNSET" not in environment


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "TMOUT", "COLUMNS", "LINES"])
def test_harmful_image_variables_are_removed(name: str) -> None:
    image = replace(IMAGE, environment={name: "3"})
    assert made(image=image).removed_variables == (name,)
    assert made().removed_variables == ()
    asked = made(replace(REQUEST, environment={name: "0"}), image=image)
    assert asked.removed_variables == () and asked.environment[name] == "0"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "compute,utility"), ({"NVIDIA_DRIVER_CAPABILITIES": ""}, "compute,utility"),
        ({"NVIDIA_DRIVER_CAPABILITIES": "graphics,utility"}, "compute,graphics,utility"),
        ({"NVIDIA_DRIVER_CAPABILITIES": "all"}, None), ({"NVIDIA_DRIVER_CAPABILITIES": "utility,compute"}, None),
    ],
)  # fmt: skip
def test_the_driver_gives_at_least_what_cuda_needs(image: dict[str, str], expected: str | None) -> None:
    environment = made(image=replace(IMAGE, environment=image)).environment
    assert environment.get("NVIDIA_DRIVER_CAPABILITIES") == expected


def test_container_is_hardened_explicitly() -> None:
    assert (made().no_new_privileges, made().user_namespace) == (False, "host")
    assert made(limits=Limits(root_inside=False)).no_new_privileges is True


def test_a_path_with_a_comma_is_mounted_as_it_is() -> None:
    spec = made(replace(REQUEST, data="/data/a,b"))
    assert {mount.target: mount.source for mount in spec.mounts}["/data"] == "/data/a,b"


def test_limits_become_dockers_and_null_means_none() -> None:
    spec = made(limits=Limits(max_cpus=1.5, memory=4 << 30, shm_size=None, pids_limit=None, ulimits={"stack": None}))
    assert (spec.cpu_quota, spec.cpu_period) == (150_000, 100_000)
    assert (spec.memory, spec.memory_swap, spec.shm_size) == (4 << 30, 4 << 30, 4 << 30)
    assert (spec.pids_limit, spec.ulimits) == (None, {})
    free = made(limits=Limits(max_cpus=None, memory=None, shm_size=None))
    assert (free.cpu_quota, free.memory, free.memory_swap, free.shm_size) == (None, None, None, 64 << 30)


def test_the_flags_are_the_specs() -> None:
    assert list(limits_of(made(limits=Limits(max_cpus=16, memory=64 << 30, shm_size=16 << 30))).docker_arguments) == [
        "--cpus=16", "--memory=64g", "--memory-swap=64g", "--shm-size=16g", "--pids-limit=4096",
        "--cgroup-parent=ds01-students-alice.slice",
    ]  # fmt: skip


def test_it_runs_as_the_owner_with_a_home_of_its_own() -> None:
    owner = Account(4_000_000_000, 4_000_000_001, "first.last@domain", "/nfs/home/x")
    spec = made(owner=owner)
    assert (spec.uid, spec.gid) == (4_000_000_000, 4_000_000_001)
    assert spec.environment["HOME"] == "/home/first.last@domain"
    assert spec.environment["PATH"].endswith(":/opt/bin:/bin")


@pytest.mark.parametrize(
    ("aggregate", "group_total", "quota"), [(None, None, 800_000), (4.0, None, 400_000), (4.0, 1.5, 150_000)]
)
def test_it_never_asks_for_more_cpus_than_its_slices_have(
    aggregate: float | None, group_total: float | None, quota: int
) -> None:
    limits = Limits(
        max_cpus=8, aggregate=SliceLimits(max_cpus=aggregate), group_total=SliceLimits(max_cpus=group_total)
    )
    assert made(limits=limits).cpu_quota == quota
    assert made(limits=replace(limits, max_cpus=None)).cpu_quota is None


def test_ports_are_published_on_the_bridge_only_and_never_twice() -> None:
    asked = replace(REQUEST, ports=(PublishedPort(8888, 9000),))
    assert wanted(asked, "bridge", (8888, 6006)) == (PublishedPort(8888, 9000), PublishedPort(6006))
    assert wanted(REQUEST, "bridge", (8888, 6006)) == (PublishedPort(8888), PublishedPort(6006))
    assert wanted(asked, "host", (8888, 6006)) == wanted(asked, "none", (8888, 6006)) == ()


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("pytorch/pytorch", "pytorch/pytorch:x._.1"),
        ("pytorch/pytorch:2.5", "pytorch/pytorch:x._.1"),
        ("registry:5000/team/image", "registry:5000/team/image:x._.1"),
        ("registry:5000/team/image:1@sha256:00", "registry:5000/team/image:x._.1"),
        ("image@sha256:00", "image:x._.1"),
        ("sha256:0011", "ds01-1/x:x._.1"),
    ],
)
def test_every_image_gives_a_tag_that_only_this_container_has(image: str, tag: str) -> None:
    assert own_tag(image, "x._.1", 1) == tag
