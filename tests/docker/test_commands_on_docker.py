"""The commands as whole programs, typed by a user with uid 1001, on a real Docker."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.docker.server import ALICE_UID, BOB_UID, Server
from tests.nvml import standin
from tests.wait import wait_until

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users, which only root can"),
]

TWO_GPUS = tuple(f"gpu uuid={uuid} name=NVIDIA_A100 memory=42949672960" for uuid in ("GPU-aaaa", "GPU-bbbb"))


def test_a_container_has_exactly_what_the_policy_gives(server: Server) -> None:
    container = server.deploy(ALICE_UID)
    inspected = server.inspect(container)
    host, config = inspected["HostConfig"], inspected["Config"]
    assert (host["CpuQuota"], host["CpuPeriod"], host["NanoCpus"]) == (150_000, 100_000, 0)
    assert host["Memory"] == 96 << 20
    assert host["MemorySwap"] in (96 << 20, -1, 0)  # -1 and 0: this kernel does not count swap, and ds01 warned
    assert host["ShmSize"] == 24 << 20
    assert host["PidsLimit"] == 77
    assert {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in host["Ulimits"]} == {
        "stack": (64 << 20, 64 << 20),
        "nofile": (4096, 4096),
    }
    driver = server.docker.info()["CgroupDriver"]
    parent = "ds01-default-alice.slice"
    assert host["CgroupParent"] == (parent if driver == "systemd" else f"/ds01.slice/ds01-default.slice/{parent}")
    assert (host["Privileged"], host["RestartPolicy"]["Name"], host["AutoRemove"]) == (False, "no", False)
    assert config["User"] == f"{ALICE_UID}:{ALICE_UID}"
    assert config["WorkingDir"] == "/workspace"
    assert [(mount["Source"], mount["Destination"]) for mount in inspected["Mounts"]] == [
        (f"{server.root}/alice/workspace/{container['name']}", "/workspace")
    ]
    assert [port["HostIp"] for port in inspected["NetworkSettings"]["Ports"]["8888/tcp"]] == ["127.0.0.1"]
    labels = config["Labels"]
    assert {key: labels[key] for key in ("ds01.managed", "ds01.user", "ds01.uid", "ds01.gpu.slots", "ds01.slice")} == {
        "ds01.managed": "true",
        "ds01.user": "alice",
        "ds01.uid": str(ALICE_UID),
        "ds01.gpu.slots": container["gpus"][0]["slot"],
        "ds01.slice": "ds01-default-alice.slice",
    }
    assert labels["ds01.installation"] == (server.state / "installation").read_text().strip()
    assert not [value for value in labels.values() if "," in value]
    warned = server.types(ALICE_UID, "container", "create", server.name(), "--image", server.image, "--cpu-only").stderr
    if host["MemorySwap"] != 96 << 20:
        assert "memory_swap" in warned


def test_the_login_exists_inside_and_files_belong_to_it_outside(server: Server) -> None:
    container = server.deploy(ALICE_UID)
    run = ("container", "run", container["name"], "--")
    assert server.types(ALICE_UID, *run, "whoami").stdout == "alice\n"
    assert server.types(ALICE_UID, *run, "sh", "-c", "echo $HOME $USER").stdout == "/home/alice alice\n"
    server.types(ALICE_UID, *run, "touch", "/workspace/made", "/home/alice/own")
    made = server.root / "alice" / "workspace" / container["name"] / "made"
    assert (made.stat().st_uid, made.stat().st_gid) == (ALICE_UID, ALICE_UID)


def test_root_inside_is_root_and_an_image_without_sudo_says_how(server: Server) -> None:
    container = server.deploy(ALICE_UID)
    run = ("container", "run", container["name"], "--root", "--")
    assert server.types(ALICE_UID, *run, "id", "-u").stdout == "0\n"
    assert server.types(ALICE_UID, *run, "sh", "-c", "echo $HOME $USER").stdout == "/root root\n"
    hint = ("container", "run", container["name"], "--", "sh", "-c", ". ~/.shrc; sudo true")
    assert f"container-run {container['name']} --root" in server.types(ALICE_UID, *hint, code=127).stderr


def test_who_may_not_be_root_inside_gets_no_new_privileges(server: Server) -> None:
    with (server.state / "policy.yaml").open("a") as policy:
        policy.write("user_overrides: {alice: {root_inside: false}}\n")
    container = server.deploy(ALICE_UID)
    assert (
        "root_inside"
        in server.types(ALICE_UID, "container", "run", container["name"], "--root", "--", "id", code=125).stderr
    )
    status = server.types(ALICE_UID, "container", "run", container["name"], "--", "cat", "/proc/self/status").stdout
    assert "NoNewPrivs:\t1" in status
    server.types(ALICE_UID, "container", "run", container["name"], "--", "ls", "/etc/sudoers.d/ds01", code=1)


def test_image_variable_that_ends_shells_is_removed(server: Server, dockerd: Any) -> None:
    name = f"ds01-test/variables:{secrets.token_hex(4)}"
    made = dockerd.create_container(server.image, "sh")["Id"]
    changes = ["ENV CUDA_VISIBLE_DEVICES=7", "ENV TMOUT=1"]
    dockerd.commit(made, *name.split(":"), changes=changes)
    dockerd.remove_container(made)
    try:
        server.image = name
        container = server.deploy(ALICE_UID, "-e", "SEED=a b")
        found = server.types(ALICE_UID, "container", "run", container["name"], "--", "env").stdout.splitlines()
        assert "SEED=a b" in found
        assert not [line for line in found if line.startswith(("CUDA_VISIBLE_DEVICES", "TMOUT"))]
    finally:
        server.clean_up()
        dockerd.remove_image(name)


def test_an_image_with_the_uid_under_another_name_is_adapted(server: Server, users_image: str) -> None:
    server.image = users_image
    container = server.deploy(ALICE_UID)
    run = ("container", "run", container["name"], "--")
    assert server.types(ALICE_UID, *run, "whoami").stdout == "alice\n"
    assert "ubuntu:x:1001" in server.types(ALICE_UID, *run, "cat", "/etc/passwd").stdout


def test_leased_uuids_reach_docker_as_device_ids(server: Server, open_folder: Path) -> None:
    if standin.compiler() is None:
        pytest.skip("no C compiler for the stand-in NVML library")
    gpus = standin.Server(standin.build(open_folder / "nvml"), open_folder / "gpus")
    gpus.show(*TWO_GPUS)
    for path in (open_folder / "nvml", open_folder / "gpus"):
        path.chmod(0o755)
    server.environment |= gpus.environment | {"DS01_GPUS": "nvml"}
    words = ("container", "deploy", server.name(), "--image", server.image, "--background")
    found = server.types(ALICE_UID, *words, code=None)
    if "could not select device driver" in found.stderr:
        pytest.skip("this dockerd was started without a (stand-in) nvidia-container-runtime-hook")
    assert found.returncode == 0, found.stderr
    mine = server.answers(ALICE_UID, "container", "list")["containers"][0]
    other = server.deploy(BOB_UID)
    for container in (mine, other):
        (request,) = server.inspect(container)["HostConfig"]["DeviceRequests"]
        assert request["DeviceIDs"] == [container["gpus"][0]["uuid"]]
        assert (request["Count"], request["Capabilities"]) == (0, [["gpu"]])
    assert {mine["gpus"][0]["uuid"], other["gpus"][0]["uuid"]} == {"GPU-aaaa", "GPU-bbbb"}
    refused = server.types(BOB_UID, "container", "deploy", server.name(), "--image", server.image, code=3)
    assert "quota" in refused.stderr


def test_cpu_only_container_gets_no_device_request(server: Server) -> None:
    container = server.deploy(ALICE_UID, "--cpu-only")
    inspected = server.inspect(container)
    assert not inspected["HostConfig"]["DeviceRequests"]
    assert "NVIDIA_VISIBLE_DEVICES=void" in inspected["Config"]["Env"]
    assert "NVIDIA_VISIBLE_DEVICES=all" not in inspected["Config"]["Env"]


def test_stop_waits_until_a_process_has_saved(server: Server) -> None:
    container = server.deploy(ALICE_UID)
    saves = "trap 'sleep 2; echo saved > /workspace/saved; exit' TERM"
    script = f"{saves}; touch /workspace/ready; while :; do sleep 1; done"
    workspace = server.root / "alice" / "workspace" / container["name"]
    command = [str(server.program), "container", "run", container["name"], "--", "sh", "-c", script]
    running = subprocess.Popen(
        command, user=ALICE_UID, group=ALICE_UID, extra_groups=[server.group], env=server.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: (workspace / "ready").exists() or running.poll() is not None)
    assert running.poll() is None
    server.types(ALICE_UID, "container", "stop", container["name"])
    assert (workspace / "saved").read_text() == "saved\n"
    running.wait(30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_container_run_ends_the_program_inside(server: Server, number: signal.Signals) -> None:
    container = server.deploy(ALICE_UID)
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo saved; exit 9' {name}; echo ready; while :; do sleep 0.1; done"
    running = subprocess.Popen(
        [str(server.program), "container", "run", container["name"], "--", "sh", "-c", script],
        user=ALICE_UID, group=ALICE_UID, extra_groups=[server.group], env=server.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stdout is not None and running.stdout.readline() == "ready\n"
    running.send_signal(number)
    assert running.communicate(timeout=60)[0] == "saved\n" and running.returncode == 9


def test_containers_of_another_installation_are_left_alone(server: Server, open_folder: Path) -> None:
    mine = server.deploy(ALICE_UID)
    other = Server(open_folder / "other", server.program, server.image, server.docker)
    try:
        name = mine["name"]
        assert other.answers(ALICE_UID, "container", "list") == {"containers": []}
        for verb in ("stop", "remove", "retire", "start"):
            other.types(ALICE_UID, "container", verb, name, code=5)
        other.types(ALICE_UID, "container", "deploy", name, "--image", server.image, "--background", code=6)
        own = other.deploy(ALICE_UID)
        other.types(ALICE_UID, "container", "stop", "--all")
        other.types(ALICE_UID, "container", "remove", "--all")
        assert server.inspect(mine)["State"]["Running"]
        assert own["name"] not in str(other.answers(ALICE_UID, "container", "list"))
        assert [item["state"] for item in server.answers(ALICE_UID, "container", "list")["containers"]] == ["running"]
    finally:
        other.clean_up()


def test_stop_start_and_retire_keep_and_free_the_gpu(server: Server) -> None:
    container = server.deploy(ALICE_UID)
    name, gpus = container["name"], container["gpus"]
    held = server.answers(ALICE_UID, "container", "stop", name)["container"]
    assert (held["state"], held["gpus"]) == ("held", gpus)
    again = server.answers(ALICE_UID, "container", "start", name)["container"]
    assert (again["state"], again["gpus"]) == ("running", gpus)
    server.types(ALICE_UID, "container", "retire", name, "--force")
    assert server.answers(ALICE_UID, "container", "list") == {"containers": []}
    slots = {slot["slot"]: slot["state"] for slot in server.answers(ALICE_UID, "gpu", "status")["slots"]}
    assert set(slots.values()) == {"free"}
    assert not [tag for image in server.docker.images() for tag in image["RepoTags"] or [] if name in tag]
    assert server.docker.images(server.image.partition(":")[0])  # the base image stays


def test_what_is_done_with_docker_alone_is_seen(server: Server) -> None:
    container = server.deploy(ALICE_UID)
    name = container["name"]

    def state() -> str:
        return str(server.answers(ALICE_UID, "container", "list")["containers"][0]["state"])

    server.docker.stop(container["docker_id"], timeout=0)
    assert state() == "held"
    server.docker.start(container["docker_id"])
    assert state() == "running"
    server.docker.rename(container["docker_id"], f"renamed-{name}")
    assert state() == "running"
    server.docker.remove_container(container["docker_id"], force=True)
    assert server.answers(ALICE_UID, "container", "list") == {"containers": []}
    assert server.deploy(ALICE_UID)["gpus"]


def test_aimes_tools_can_list_open_stop_and_remove_it(server: Server, users_image: str) -> None:
    """What AIME's scripts ask Docker for, in their own words."""
    server.image = users_image
    container = server.deploy(ALICE_UID)
    full = container["container"]

    def docker(*words: str) -> str:
        command = ["docker", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout

    listing = docker(
        "container", "ps", "-a", "--filter=label=aime.mlc", f"--filter=name={full}",
        "--format", '{{.Names}},{{.Label "aime.mlc.NAME"}},{{.Label "aime.mlc.USER"}},{{.Label "aime.mlc.FRAMEWORK"}}',
    )  # fmt: skip
    assert listing.strip().split(",")[:3] == [full, container["name"], "alice"]
    assert docker("exec", "--user", f"{ALICE_UID}:{ALICE_UID}", full, "bash", "-c", "whoami") == "alice\n"
    wait_until(lambda: len(docker("top", full).splitlines()) == 2)  # only process 1 is left: mlc-open would stop it now
    docker("container", "stop", full)
    image = docker("container", "ps", "-a", f"--filter=name={full}", "--format", "{{.Image}}")
    assert image.strip().endswith(f":{full}")
    docker("container", "start", full)
    docker("container", "stop", full)
    docker("container", "rm", full)
    docker("rmi", image.strip())
    assert docker("images", "-q", users_image)
    assert server.answers(ALICE_UID, "container", "list") == {"containers": []}


def test_exit_codes_of_commands_inside_are_handed_on(server: Server) -> None:
    container = server.deploy(ALICE_UID)
    run = ("container", "run", container["name"], "--")
    assert server.types(ALICE_UID, *run, "sh", "-c", "exit 7", code=7).stdout == ""
    both = server.types(ALICE_UID, *run, "sh", "-c", "echo out; echo err >&2")
    assert both.stdout == "out\n"
    assert "err\n" in both.stderr
    server.types(ALICE_UID, "container", "run", "no-such", "--", "true", code=125)


def test_an_image_without_a_shell_is_refused_and_nothing_is_left(server: Server, dockerd: Any) -> None:
    name = f"ds01-test/empty:{secrets.token_hex(4)}"
    dockerd.import_image_from_data(b"\0" * 1024, repository=name.partition(":")[0], tag=name.partition(":")[2])
    try:
        words = ("container", "deploy", server.name(), "--image", name, "--background")
        assert "shell" in server.types(ALICE_UID, *words, code=3).stderr
        assert not dockerd.containers(all=True, filters={"name": server.names[-1]})
        states = {slot["state"] for slot in server.answers(ALICE_UID, "gpu", "status")["slots"]}
        assert states == {"free"}
    finally:
        dockerd.remove_image(name, noprune=True)


def test_each_trouble_with_docker_has_its_own_remedy(server: Server, open_folder: Path) -> None:
    server.environment["DS01_DOCKER_SOCKET"] = str(open_folder / "absent.sock")
    absent = server.types(ALICE_UID, "container", "list", code=1).stderr
    server.environment["DS01_DOCKER_SOCKET"] = "/var/run/docker.sock"
    server.group = ALICE_UID  # not in Docker's group
    server.state.chmod(0o2777)
    for folder in server.state.iterdir():
        if folder.is_dir():
            folder.chmod(0o2777)
    denied = server.types(ALICE_UID, "container", "list", code=1).stderr
    assert "group" in denied
    assert absent.splitlines()[-1] != denied.splitlines()[-1]
