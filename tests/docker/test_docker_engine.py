"""What only a real Docker can show: what it makes of a spec, and how its answers come back."""

from __future__ import annotations

import os
import select
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ds01.engines.docker.engine import DockerEngine
from ds01.engines.protocol import Attachment, ContainerProcess, ContainerSpec, ContainerStatus, Devices, ExecRequest
from ds01.errors import EngineRejected
from tests.wait import TIMEOUT, wait_until

pytestmark = pytest.mark.docker

Make = Callable[..., str]
MakeForeign = Callable[..., str]
# On dockerd's PATH, which this process can only guess; packaging/test puts the one of its own dockerd on ours.
PATHS = f"{os.environ.get('PATH', '')}:/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin"
HOOK = shutil.which("nvidia-container-runtime-hook", path=PATHS)


@pytest.fixture
def engine(docker_engine: DockerEngine) -> DockerEngine:
    return docker_engine


@pytest.fixture
def image(busybox_image: str) -> str:
    return busybox_image


def program(*command: str, tty: bool = False, **more: Any) -> ExecRequest:
    return ExecRequest(command, "1001:1001", tty=tty, **more)


def read_until(attachment: Attachment, wanted: bytes | None = None, *, before: bytes = b"") -> bytes:
    """All output until `wanted` is in it, or until the end."""
    content, deadline = before, time.monotonic() + TIMEOUT
    while wanted is None or wanted not in content:
        readable, _, _ = select.select([attachment.fileno], [], [], max(0, deadline - time.monotonic()))
        assert readable, f"no more after {content!r}"
        chunk = os.read(attachment.fileno, 65536)
        if not chunk:
            break
        content += chunk
    return content


def frames(content: bytes) -> list[tuple[int, bytes]]:
    found = []
    while content:
        length = int.from_bytes(content[4:8], "big")
        found.append((content[0], content[8 : 8 + length]))
        content = content[8 + length :]
    return found


def output(engine: DockerEngine, container: str, *command: str, **more: Any) -> str:
    attachment = engine.attach(container, program(*command, **more))
    try:
        content = read_until(attachment, before=attachment.initial_bytes)
    finally:
        os.close(attachment.fileno)
    return b"".join(payload for _, payload in frames(content)).decode()


def exit_code(engine: DockerEngine, session: str) -> int:
    return wait_until(lambda: engine.exit_code(session))


def test_an_images_entrypoint_and_gpus_and_labels_do_not_count(engine: DockerEngine, make: Make) -> None:
    container = make(start=True, labels={"inherited": "no comma", "ds01.managed": "true"})
    found = engine.inspect(container)
    assert found is not None and found.status is ContainerStatus.RUNNING and found.devices == Devices()
    assert found.labels["inherited"] == "no comma" and found.labels["ds01.managed"] == "true"
    environment = output(engine, container, "env")
    assert "NVIDIA_VISIBLE_DEVICES=void" in environment and "NVIDIA_VISIBLE_DEVICES=all" not in environment


def test_the_user_and_groups_and_folder_are_the_specs(engine: DockerEngine, make: Make) -> None:
    container = make(start=True, uid=1234, gid=2345, groups=(44, 27), hostname="thesis")
    found = engine.processes(container)
    status = Path(f"/proc/{found[0].pid}/status").read_text()
    assert "Uid:\t1234\t" in status and "Gid:\t2345\t" in status and "Groups:\t27 44 2345" in status
    assert output(engine, container, "sh", "-c", "pwd; cat /proc/sys/kernel/hostname") == "/workspace\nthesis\n"


def test_every_security_relevant_key_is_as_written(engine: DockerEngine, make: Make, dockerd: Any) -> None:
    host = dockerd.inspect_container(make())["HostConfig"]
    wanted = {
        "Privileged": False, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "AutoRemove": False,
        "IpcMode": "private", "PidMode": "", "UTSMode": "", "UsernsMode": "host", "NanoCpus": 0, "Init": False,
        "NetworkMode": "bridge", "PublishAllPorts": False, "ReadonlyRootfs": False,
    }  # fmt: skip
    assert {key: host[key] for key in wanted} == wanted
    empty = ("CapAdd", "CapDrop", "Devices", "DeviceRequests", "Binds", "VolumesFrom", "PortBindings")
    assert not any(host[key] for key in empty)
    assert host["SecurityOpt"] == ["no-new-privileges:false"]  # a daemon may have another default
    assert "/proc/kcore" in host["MaskedPaths"]


@pytest.mark.skipif(HOOK is None, reason="no nvidia-container-runtime-hook: Docker cannot start a container with GPUs")
def test_the_devices_reach_the_program(engine: DockerEngine, make: Make) -> None:
    container = make(start=True, device_uuids=("GPU-1", "GPU-2"), environment={})
    environment = output(engine, container, "cat", "/proc/1/environ").split("\0")
    assert "NVIDIA_VISIBLE_DEVICES=GPU-1,GPU-2" in environment


@pytest.mark.parametrize(
    ("host", "config", "devices"),
    [
        ({"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}, {}, Devices((), True, "device_request")),
        ({"DeviceRequests": [{"Count": 2, "Capabilities": [["gpu"]]}]}, {}, Devices((), True, "device_request")),
        (
            {"DeviceRequests": [
                {"DeviceIDs": ["0"], "Capabilities": [["gpu", "utility"]]},
                {"Driver": "nvidia", "DeviceIDs": ["GPU-x"], "Capabilities": [["compute"]]},
            ]},
            {},
            Devices(("0", "GPU-x"), False, "device_request"),
        ),
        (
            {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0:1"]}]},
            {},
            Devices(("0:1",), False, "cdi"),
        ),
        ({"Privileged": True}, {}, Devices((), True, "privileged")),
        (
            {"Devices": [{"PathOnHost": "/dev/nvidia0", "PathInContainer": "/dev/nvidia0", "CgroupPermissions": "rw"}]},
            {},
            Devices((), True, "device"),
        ),
        ({}, {"Env": ["NVIDIA_VISIBLE_DEVICES=all"]}, Devices()),  # no nvidia runtime
        ({}, {}, Devices()),
    ],
    ids=["all", "count", "ids", "cdi", "privileged", "node", "variable", "none"],
)  # fmt: skip
def test_gpus_of_foreign_containers_are_seen(
    engine: DockerEngine, make_foreign: MakeForeign, host: dict[str, Any], config: dict[str, Any], devices: Devices
) -> None:
    found = engine.inspect(make_foreign(host, **config))
    assert found is not None and found.devices == devices
    assert found.privileged is bool(host.get("Privileged"))


def test_the_list_is_one_request(engine: DockerEngine, make: Make) -> None:
    containers = {make(), make()}
    before = engine.calls
    assert containers <= {container.id for container in engine.containers()}
    assert engine.calls == before + 1
    engine.inspect(next(iter(containers)))
    assert engine.calls == before + 2


def test_other_addresses_of_docker_do_not_count(monkeypatch: pytest.MonkeyPatch, docker_engine: DockerEngine) -> None:
    for name in ("DOCKER_HOST", "http_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "tcp://127.0.0.1:1")
    monkeypatch.setenv("DOCKER_CONTEXT", "nonexistent")
    assert DockerEngine().info().id == docker_engine.info().id


def test_docker_says_where_its_data_lies(docker_engine: DockerEngine) -> None:
    folder = docker_engine.info().root_dir
    assert folder is not None and Path(folder).is_absolute()


def test_the_stop_signal_is_sent_and_waited_for(engine: DockerEngine, make: Make) -> None:
    script = "trap 'exit 5' HUP; touch /tmp/ready; while :; do sleep 0.05; done"
    container = make(command=("sh", "-c", script), start=True)
    wait_until(lambda: engine.get_archive(container, "/tmp/ready"))  # a signal before that would be lost
    engine.stop(container, grace=9.5)
    found = engine.inspect(container)
    assert found is not None and found.exit_code == 5 and found.finished_at is not None


def test_a_command_that_is_missing_is_rejected_in_dockers_words(engine: DockerEngine, make: Make) -> None:
    container = make(command=("nonexistent",))
    with pytest.raises(EngineRejected, match="start the container") as caught:
        engine.start(container)
    assert "executable file not found" in (caught.value.why or "")
    assert caught.value.data == {"problem": "no_program", "program": "nonexistent"}


def test_files_go_into_existing_folders_only(engine: DockerEngine, make: Make) -> None:
    with pytest.raises(EngineRejected):
        engine.put_archive(make(), "/nonexistent", b"\0" * 1024)


def test_an_image_says_which_users_and_shells_it_has(
    engine: DockerEngine, make: Make, image: str, users_image: str
) -> None:
    plain, with_users = make(), make(image=users_image)
    assert engine.get_archive(plain, "/etc/passwd") is None and engine.get_archive(plain, "/bin/bash") is None
    assert b"ubuntu:x:1001:1001" in (engine.get_archive(with_users, "/etc/passwd") or b"")
    assert engine.get_archive(with_users, "/bin/bash") is not None


def test_a_container_lies_below_its_cgroup_parent(engine: DockerEngine, make: Make) -> None:
    parent = "ds01-test.slice" if engine.info().cgroup_driver == "systemd" else "ds01-test"
    container = make(start=True, cgroup_parent=parent, memory=64 << 20, pids_limit=50, cpu_quota=50_000)
    found = engine.inspect(container)
    assert found is not None and found.spec is not None and found.spec.cgroup_parent == parent
    assert parent in Path(f"/proc/{found.pid}/cgroup").read_text()
    before = engine.usage(container)
    assert engine.run(container, program("sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")) == 0
    after = engine.usage(container)
    assert before.cpu_nanoseconds is not None and after.cpu_nanoseconds is not None
    assert after.cpu_nanoseconds > before.cpu_nanoseconds and after.memory_limit_bytes == 64 << 20


def test_a_programs_exit_code_environment_and_folder(engine: DockerEngine, make: Make) -> None:
    container = make(start=True)
    assert engine.run(container, program("sh", "-c", "exit 7")) == 7
    assert engine.run(container, program("nonexistent")) in (126, 127)
    assert output(engine, container, "sh", "-c", 'echo "$A"; pwd', environment={"A": "x=y z"}, workdir="/tmp") == (
        "x=y z\n/tmp\n"
    )
    assert output(engine, container, "id", "-u") == "1001\n"


def test_much_output_is_dropped_by_run_without_hanging(engine: DockerEngine, make: Make) -> None:
    assert engine.run(make(start=True), program("sh", "-c", "yes | head -c 3000000")) == 0


def test_a_program_that_cannot_start_says_so_quickly(engine: DockerEngine, make: Make) -> None:
    container = make(start=True)
    took = []
    for _ in range(3):  # a busy machine is slow now and then; who waits for what never comes is so each time
        started = time.monotonic()
        attachment = engine.attach(container, program("nonexistent", tty=True, rows=20, columns=80))
        content = read_until(attachment, before=attachment.initial_bytes)
        os.close(attachment.fileno)
        assert b"executable file not found" in content and exit_code(engine, attachment.session) in (126, 127)
        took.append(time.monotonic() - started)
    assert min(took) < 8


def test_no_early_byte_is_lost(engine: DockerEngine, make: Make) -> None:
    container = make(start=True)
    for tty in (True, False):
        for _ in range(15):
            attachment = engine.attach(container, program("echo", "first words", tty=tty))
            content = read_until(attachment, before=attachment.initial_bytes)
            os.close(attachment.fileno)
            assert content == (b"first words\r\n" if tty else b"\1\0\0\0\0\0\0\x0cfirst words\n")


def test_much_output_arrives_whole(engine: DockerEngine, make: Make) -> None:
    assert output(engine, make(start=True), "sh", "-c", "yes | head -c 2000000") == "y\n" * 1_000_000


def test_output_and_errors_come_in_frames_without_a_terminal(engine: DockerEngine, make: Make) -> None:
    attachment = engine.attach(make(start=True), program("sh", "-c", "echo out; read line; echo err >&2"))
    content = read_until(
        attachment, b"out\n", before=attachment.initial_bytes
    )  # nothing says which of two streams comes first
    os.write(attachment.fileno, b"\n")
    content = read_until(attachment, before=content)
    os.close(attachment.fileno)
    assert frames(content) == [(1, b"out\n"), (2, b"err\n")]


def test_input_reaches_the_program_and_its_end_too(engine: DockerEngine, make: Make) -> None:
    attachment = engine.attach(make(start=True), program("cat"))
    with socket.socket(fileno=attachment.fileno) as stream:
        stream.sendall(b"typed\n")
        stream.shutdown(socket.SHUT_WR)
        content = read_until(attachment, before=attachment.initial_bytes)
    assert frames(content) == [(1, b"typed\n")] and exit_code(engine, attachment.session) == 0


def test_a_terminal_has_its_size_and_follows_it(engine: DockerEngine, make: Make) -> None:
    # Docker makes a terminal without a size, and is told of it when the program runs already.
    size = 'until size=$(stty size 2>/dev/null); [ "$size" ]; do sleep 0.05; done; echo $size'
    script = f"{size}; cat >/dev/null; stty size"
    attachment = engine.attach(make(start=True), program("sh", "-c", script, tty=True, rows=33, columns=99))
    content = read_until(attachment, b"33 99\r\n", before=attachment.initial_bytes)
    assert engine.exit_code(attachment.session) is None
    engine.resize(attachment.session, rows=44, columns=111)
    os.write(attachment.fileno, b"\x04")
    content = read_until(attachment, before=content)
    os.close(attachment.fileno)
    assert content.endswith(b"44 111\r\n")


def test_ctrl_p_is_not_held_back(engine: DockerEngine, make: Make) -> None:
    request = program("sh", "-c", "stty raw -echo; echo ready; head -c 1 | cat -v; sleep 5", tty=True)
    attachment = engine.attach(make(start=True), request)
    read_until(attachment, b"ready", before=attachment.initial_bytes)
    os.write(attachment.fileno, b"\x10")
    read_until(attachment, b"^P")
    os.close(attachment.fileno)


def test_the_first_process_comes_first_among_others(engine: DockerEngine, make: Make) -> None:
    container = make(start=True)
    attachment = engine.attach(container, program("sh", "-c", "sleep 60; true"))

    def both() -> list[ContainerProcess] | None:
        found = engine.processes(container)
        return found if {"sh", "sleep 60"} <= {process.command for process in found} else None

    first, *others = wait_until(both)
    os.close(attachment.fileno)
    assert first.command == "sh" and any(process.command == "sleep 60" for process in others)
    assert any(process.parent == other.pid for process in others for other in others)


def test_a_healthcheck_of_the_image_does_not_run(engine: DockerEngine, make: Make, dockerd: Any) -> None:
    assert dockerd.inspect_container(make())["Config"]["Healthcheck"] == {"Test": ["NONE"]}


def test_a_foreign_containers_limits_are_read(engine: DockerEngine, make_foreign: MakeForeign, tmp_path: Path) -> None:
    host = {"NanoCpus": 500_000_000, "Memory": 64 << 20, "Binds": [f"{tmp_path}:/data:ro"]}
    container = make_foreign(host, User="1001", Entrypoint=["sh", "-c"], Cmd=["true"])
    found = engine.inspect(container)
    assert found is not None and isinstance(found.spec, ContainerSpec)
    assert (found.spec.uid, found.spec.gid) == (1001, -1)
    assert (found.spec.cpu_quota, found.spec.cpu_period) == (50_000, 100_000)
    assert [mount.target for mount in found.spec.mounts if mount.read_only] == ["/data"]
    assert found.spec.command == ("sh", "-c", "true")
    assert found.spec.network == "bridge"


@pytest.mark.parametrize(("user", "number"), [("1001:1001", 15), ("0:0", 1)])
def test_a_signal_reaches_the_program_and_its_children(
    docker_engine: DockerEngine, make: Make, user: str, number: int
) -> None:
    container = make(start=True)
    child = f"trap 'echo child; exit' {number}; echo ready; sleep 60 & wait"
    script = f"trap 'wait; exit 7' {number}; sh -c \"{child}\" & wait"
    attachment = docker_engine.attach(container, ExecRequest(("sh", "-c", script), user=user, tty=False))
    try:
        read_until(attachment, b"ready", before=attachment.initial_bytes)
        assert docker_engine.signal(attachment.session, number)
        assert b"child" in read_until(attachment, b"child")
        assert wait_until(lambda: docker_engine.exit_code(attachment.session)) == 7
        assert docker_engine.signal(attachment.session, number)  # nothing, once it has ended
    finally:
        os.close(attachment.fileno)
