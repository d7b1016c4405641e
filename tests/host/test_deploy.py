"""Using the installed package on a host, and its output."""

from __future__ import annotations

import pytest

from tests.host.machine import Host
from tests.server import IMAGE

POLICY = """\
defaults: {max_mig_instances: 1, max_cpus: 1.5, memory: 96m, shm_size: 24m, pids_limit: 77, ulimits: {memlock: null}}
default_group: students
groups:
  students: {}
  researchers: {members: [bob], max_cpus: 1, memory: 128m}
ports: []
policies: {stop_grace: 5s}
"""
DEPLOY = f"container-deploy thesis --image {IMAGE} --background"


@pytest.fixture
def lab(host: Host) -> Host:
    host.write("/etc/ds01/resource-limits.yaml", POLICY)
    return host


def test_two_users_deploy_and_each_gets_a_gpu_of_their_own(lab: Host) -> None:
    containers = [lab.answer(DEPLOY, user=user)["container"] for user in ("alice", "bob")]
    assert [container["state"] for container in containers] == ["running", "running"]
    uuids = [gpu["uuid"] for container in containers for gpu in container["gpus"]]
    assert sorted(uuids) == ["GPU-0", "GPU-1"]
    for container in containers:
        devices = lab.inspect(container["docker_id"])["HostConfig"]["DeviceRequests"]
        assert devices[0]["DeviceIDs"] == [container["gpus"][0]["uuid"]]
    assert "GPU" in lab.run(DEPLOY, user="carol", code=4).stderr
    assert lab.run("container-run thesis -- whoami", user="alice").stdout == "alice\n"
    lab.run("container-retire thesis --force", user="alice")
    lab.run(DEPLOY, user="carol")


def test_cgroup_files_show_the_policys_limits_in_the_users_slice(lab: Host) -> None:
    alice, bob = (lab.answer(DEPLOY, user=user)["container"]["docker_id"] for user in ("alice", "bob"))
    assert lab.cgroup(alice, "pids.max") == "77"
    if lab.has_cgroup2:
        assert (lab.cgroup(alice, "memory.max"), lab.cgroup(bob, "memory.max")) == (str(96 << 20), str(128 << 20))
        assert lab.cgroup(alice, "cpu.max") == "150000 100000"
    else:
        limit = "memory.limit_in_bytes"
        assert (lab.cgroup(alice, limit), lab.cgroup(bob, limit)) == (str(96 << 20), str(128 << 20))
        quota = int(lab.cgroup(alice, "cpu.cfs_quota_us")) / int(lab.cgroup(alice, "cpu.cfs_period_us"))
        assert quota == 1.5
    for user, group, container in (("alice", "students", alice), ("bob", "researchers", bob)):
        path = lab.cgroup_path(container)
        slices = f"/ds01.slice/ds01-{group}.slice/ds01-{group}-{user}.slice/docker-{container}.scope"
        assert path.endswith(slices), path


def test_memory_limit_kills_the_program_not_the_container(lab: Host) -> None:
    container = lab.answer(DEPLOY, user="alice")["container"]
    hog = lab.run("container-run thesis -- sh -c 'head -c 300m /dev/zero | tail'", user="alice", code=None)
    assert hog.returncode not in (0, 125)
    assert lab.inspect(container["docker_id"])["State"]["Running"]


def test_programs_inside_see_the_gpu_they_were_given(lab: Host) -> None:
    container = lab.answer(DEPLOY, user="alice")["container"]
    assert container["gpus"][0]["kind"] == "full"
    lab.show_gpus("gpu uuid=GPU-0 name=NVIDIA_A100 memory=42949672960")
    assert [slot["slot"] for slot in lab.answer("ds01 gpu status")["slots"]] == ["0"]


def test_workspace_is_the_owners_and_outlives_the_container(lab: Host) -> None:
    lab.run(DEPLOY, user="alice")
    lab.run("container-run thesis -- sh -c 'echo mine >/workspace/result'", user="alice")
    lab.run("container-retire thesis --force", user="alice")
    assert lab.mode("/home/alice/workspace/thesis/result") == "644 alice alice"
    assert lab.read("/home/alice/workspace/thesis/result") == "mine\n"


def test_user_outside_the_group_docker_gets_a_hint(lab: Host) -> None:
    lab.run("id mallory 2>/dev/null || useradd --create-home mallory")
    assert "docker" in lab.run("container-list", user="mallory", code=1).stderr
