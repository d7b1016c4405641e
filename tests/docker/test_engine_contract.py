"""What every engine does: the same tests run against the simulated one and against a real Docker."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ds01.engines.protocol import (
    ContainerSpec,
    ContainerStatus,
    Devices,
    Engine,
    ExecRequest,
    Mount,
    PathStatus,
    PublishedPort,
    UpdateSpec,
)
from ds01.errors import Ds01Error, EngineConflict, EngineNotFound, EngineRejected
from tests.wait import wait_until

Make = Callable[..., str]
MakeSpec = Callable[..., ContainerSpec]
PROGRAM = ExecRequest(command=("true",), user="1001:1001", tty=False)


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.uid, entry.gid, entry.mode = len(content), 1001, 1001, 0o640
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def members(content: bytes | None) -> dict[str, bytes | None]:
    assert content is not None
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {one.name: stream.read() if (stream := tar.extractfile(one)) else None for one in tar if one.isfile()}


def status(engine: Engine, container: str) -> ContainerStatus:
    found = engine.inspect(container)
    assert found is not None
    return found.status


def test_facts_are_stable_and_complete(engine: Engine) -> None:
    facts = engine.info()
    assert facts.id and facts == engine.info()
    assert facts.name in ("docker", "simulated")
    assert facts.cpus >= 1 and facts.memory_bytes > 0
    assert facts.default_runtime in facts.runtimes


def test_create_is_read_back_identically(engine: Engine, make_spec: MakeSpec, make: Make, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    spec = make_spec(
        command=("sh", "-c", "echo 'a b'; exec sh"),
        groups=(44, 27),
        hostname="my-thesis",
        environment={"NVIDIA_VISIBLE_DEVICES": "void", "EMPTY": "", "ODD": 'a=b "c"'},
        labels={"ds01.managed": "true", "inherited": "none", "ds01-test": "x;y=z"},
        mounts=(Mount(str(tmp_path), "/workspace"), Mount(str(tmp_path / "data"), "/data", read_only=True)),
        ports=(PublishedPort(8888), PublishedPort(6006, 46006)),
        network="bridge",
        cpu_quota=150_000,
        memory=64 << 20,
        shm_size=32 << 20,
        pids_limit=100,
        ulimits={"stack": 67_108_864, "nofile": 1024},
        cgroup_parent=None,
    )
    container = engine.inspect(make(**vars(spec)))
    assert container is not None and container.spec is not None
    assert container.name == spec.name and container.image == spec.image
    assert container.status is ContainerStatus.CREATED
    assert container.labels["inherited"] == "none" and container.labels["ds01.managed"] == "true"
    assert container.spec.environment["PATH"]  # the image's own
    read = replace(
        container.spec,
        environment={key: value for key, value in container.spec.environment.items() if key in spec.environment},
        labels={key: value for key, value in container.spec.labels.items() if key in spec.labels},
        ports=tuple(sorted(container.spec.ports, key=lambda port: -port.container_port)),
    )
    assert read == spec


def test_a_variable_of_the_image_is_taken_away(engine: Engine, make: Make) -> None:
    container = engine.inspect(make(environment={"A": "b"}, removed_variables=("NVIDIA_VISIBLE_DEVICES", "TMOUT")))
    assert container is not None and container.spec is not None
    assert container.spec.environment["A"] == "b" and "NVIDIA_VISIBLE_DEVICES" not in container.spec.environment
    assert container.spec.removed_variables == ("NVIDIA_VISIBLE_DEVICES", "TMOUT")


@pytest.mark.parametrize("hardened", [True, False])
def test_hardening_is_read_back(engine: Engine, make: Make, hardened: bool) -> None:
    container = engine.inspect(make(no_new_privileges=hardened))
    assert container is not None and container.spec is not None
    assert (container.spec.no_new_privileges, container.spec.user_namespace) == (hardened, "host")


def test_created_container_never_ran(engine: Engine, make: Make) -> None:
    container = engine.inspect(make())
    assert container is not None
    assert container.started_at is None and container.finished_at is None
    assert container.exit_code is None and container.pid is None
    assert container.created_at.utcoffset() == timedelta(0) and container.created_at.tzinfo == timezone.utc
    assert container.devices == Devices() and not container.privileged
    assert container.size_bytes is None


def test_a_renamed_container_is_the_same(engine: Engine, make: Make) -> None:
    made, other = make(start=True), make()
    before, taken = engine.inspect(made), engine.inspect(other)
    assert before is not None and taken is not None
    name = f"{before.name}.anew"
    engine.rename(made, name)
    after = engine.inspect(name)
    assert after is not None and after.id == before.id and after.status is ContainerStatus.RUNNING
    assert after.labels == before.labels and engine.inspect(before.name) is None
    with pytest.raises(EngineConflict):
        engine.rename(made, taken.name)
    with pytest.raises(EngineNotFound):
        engine.rename("0" * 64, "nobody._.1001")
    engine.rename(made, before.name)
    engine.stop(made, grace=0)


def test_size_is_known_if_asked_for(engine: Engine, make: Make) -> None:
    container = engine.inspect(make(), size=True)
    assert container is not None and container.size_bytes is not None and container.size_bytes >= 0


def test_no_device_request_without_devices(engine: Engine, make: Make) -> None:
    container = engine.inspect(make())
    assert container is not None and container.devices == Devices() and not container.devices
    assert container.spec is not None and container.spec.device_uuids == ()
    assert container.spec.environment["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_devices_are_given_by_uuid(engine: Engine, make: Make) -> None:
    uuids = ("MIG-5c89852c-d268-c3f3-1b07-005d5ae1dc3f", "GPU-0000")
    container = engine.inspect(make(device_uuids=uuids))
    assert container is not None and container.spec is not None
    assert container.devices == Devices(uuids, everything=False, form="device_request")
    assert container.spec.device_uuids == uuids


def test_list_shows_all_states_with_labels(engine: Engine, make: Make) -> None:
    created, ended, paused = make(), make(start=True), make(start=True, labels={"a": "1"})
    engine.stop(ended, grace=0)
    engine.pause(paused)
    found = {container.id: container for container in engine.containers()}
    assert [found[one].status for one in (created, ended, paused)] == [
        ContainerStatus.CREATED,
        ContainerStatus.EXITED,
        ContainerStatus.PAUSED,
    ]
    assert found[paused].labels["a"] == "1" and found[paused].name.endswith("._.1001")
    assert found[paused].devices is None and found[paused].spec is None
    engine.unpause(paused)


def test_container_lifecycle(engine: Engine, make: Make) -> None:
    container = make()
    engine.start(container)
    engine.start(container)
    running = engine.inspect(container)
    assert running is not None and running.status is ContainerStatus.RUNNING
    assert running.pid and running.started_at is not None and running.exit_code is None
    assert running.started_at >= running.created_at
    engine.pause(container)
    assert status(engine, container) is ContainerStatus.PAUSED
    engine.unpause(container)
    engine.stop(container, grace=0)
    ended = engine.inspect(container)
    assert ended is not None and ended.status is ContainerStatus.EXITED
    assert ended.exit_code and ended.finished_at is not None and ended.finished_at >= running.started_at
    assert ended.pid is None and not ended.oom_killed
    engine.stop(container, grace=0)
    engine.start(container)
    assert status(engine, container) is ContainerStatus.RUNNING
    engine.stop(container, grace=0)
    engine.remove(container)
    assert engine.inspect(container) is None
    assert container not in [one.id for one in engine.containers()]


def test_what_a_state_forbids_is_a_conflict(engine: Engine, make: Make) -> None:
    container = make()
    forbidden: list[Callable[[], Any]] = [
        lambda: engine.pause(container),
        lambda: engine.unpause(container),
        lambda: engine.processes(container),
        lambda: engine.run(container, PROGRAM),
        lambda: engine.attach(container, PROGRAM),
        lambda: engine.usage(container),
    ]
    for act in forbidden:
        with pytest.raises(EngineConflict):
            act()
    engine.stop(container, grace=0)
    assert status(engine, container) is ContainerStatus.CREATED
    engine.start(container)
    for act in (lambda: engine.remove(container), lambda: engine.unpause(container)):
        with pytest.raises(EngineConflict):
            act()
    engine.pause(container)
    for act in (
        lambda: engine.remove(container),
        lambda: engine.pause(container),
        lambda: engine.start(container),
        lambda: engine.run(container, PROGRAM),
    ):
        with pytest.raises(EngineConflict):
            act()
    assert engine.processes(container)
    engine.stop(container, grace=0)
    assert status(engine, container) is ContainerStatus.EXITED


@pytest.mark.parametrize("reference", ["ds01-test-nobody._.1001", "0" * 64, ""])
def test_an_unknown_container_is_absent(engine: Engine, reference: str) -> None:
    acts: list[Callable[[], Any]] = [
        lambda: engine.start(reference),
        lambda: engine.stop(reference, grace=0),
        lambda: engine.remove(reference),
        lambda: engine.pause(reference),
        lambda: engine.unpause(reference),
        lambda: engine.put_archive(reference, "/", archive()),
        lambda: engine.get_archive(reference, "/etc/passwd"),
        lambda: engine.processes(reference),
        lambda: engine.run(reference, PROGRAM),
        lambda: engine.attach(reference, PROGRAM),
        lambda: engine.usage(reference),
        lambda: engine.update(reference, UpdateSpec(pids_limit=9)),
    ]
    for act in acts:
        with pytest.raises(EngineNotFound):
            act()
    assert engine.inspect(reference) is None


def test_a_taken_name_is_a_conflict(engine: Engine, make: Make, make_spec: MakeSpec, new_name: Any) -> None:
    name = new_name()
    make(name=name)
    with pytest.raises(EngineConflict):
        engine.create(make_spec(name=name))


def test_a_container_is_found_by_id_and_by_name(engine: Engine, make: Make, new_name: Any) -> None:
    name = new_name()
    container = make(name=name)
    by_name, by_id = engine.inspect(name), engine.inspect(container)
    assert by_name is not None and by_name == by_id and by_name.id == container and len(container) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x"},
        {"name": "a b"},
        {"memory": 1 << 20},
        {"memory": 64 << 20, "memory_swap": 32 << 20},
        {"cpu_quota": 10},
        {"mounts": (Mount("/nonexistent-ds01", "/x"),)},
    ],
    ids=str,
)
def test_what_cannot_be_made_is_rejected(engine: Engine, make_spec: MakeSpec, changes: dict[str, Any]) -> None:
    with pytest.raises(EngineRejected) as caught:
        engine.create(make_spec(**changes))
    assert caught.value.why and "\n" not in caught.value.why
    assert not Path("/nonexistent-ds01").exists()


def test_without_its_image_a_container_is_not_made(engine: Engine, make_spec: MakeSpec) -> None:
    with pytest.raises(EngineNotFound):
        engine.create(make_spec(image="absent/image:1"))


def test_ports_are_free_ones_of_the_loopback(engine: Engine, make: Make) -> None:
    containers = [engine.inspect(make(ports=(PublishedPort(8888),), start=True)) for _ in range(2)]
    ports = [container.ports for container in containers if container is not None]
    assert all(len(one) == 1 and one[0].container_port == 8888 and one[0].host_ip == "127.0.0.1" for one in ports)
    assert ports[0][0].host_port and ports[1][0].host_port and ports[0][0].host_port != ports[1][0].host_port


def limits_of(engine: Engine, container: str) -> tuple[int | None, ...]:
    found = engine.inspect(container)
    assert found is not None and found.spec is not None
    spec = found.spec
    return spec.cpu_quota, spec.cpu_period, spec.memory, spec.pids_limit


@pytest.mark.parametrize("start", [False, True])
def test_limits_are_changed_afterwards(engine: Engine, make: Make, start: bool) -> None:
    container = make(start=start)
    assert limits_of(engine, container) == (None, 100_000, None, None)
    engine.update(container, UpdateSpec(150_000, 100_000, 64 << 20, 64 << 20, 100))
    assert limits_of(engine, container) == (150_000, 100_000, 64 << 20, 100)
    engine.update(container, UpdateSpec())
    assert limits_of(engine, container) == (150_000, 100_000, 64 << 20, 100)
    engine.update(container, UpdateSpec(memory=128 << 20, memory_swap=128 << 20))  # above the swap that it had
    engine.update(container, UpdateSpec(pids_limit=50))
    assert limits_of(engine, container) == (150_000, 100_000, 128 << 20, 50)
    if start:
        assert engine.usage(container).memory_limit_bytes == 128 << 20
    assert status(engine, container) is (ContainerStatus.RUNNING if start else ContainerStatus.CREATED)


@pytest.mark.parametrize(
    "limits",
    [UpdateSpec(memory=1 << 20), UpdateSpec(memory=64 << 20, memory_swap=32 << 20), UpdateSpec(cpu_quota=10)],
    ids=str,
)
def test_limits_that_cannot_be_are_rejected(engine: Engine, make: Make, limits: UpdateSpec) -> None:
    container = make()
    with pytest.raises(EngineRejected):
        engine.update(container, limits)
    assert limits_of(engine, container) == (None, 100_000, None, None)


def test_a_port_in_use_is_rejected_at_start(engine: Engine, make: Make) -> None:
    first = engine.inspect(make(ports=(PublishedPort(8888),), start=True))
    assert first is not None
    second = make(ports=(PublishedPort(8888, first.ports[0].host_port),))
    with pytest.raises(EngineRejected, match="start") as caught:
        engine.start(second)
    assert "port is already allocated" in (caught.value.why or "") and caught.value.hint


def test_a_ulimit_that_nobody_may_have_is_named_at_the_start(engine: Engine, make: Make) -> None:
    container = make(ulimits={"nofile": 2_000_000_000})  # more than any fs.nr_open
    with pytest.raises(EngineRejected) as error:
        engine.start(container)
    assert error.value.data == {"problem": "ulimit", "ulimit": "nofile"}
    assert status(engine, container) is ContainerStatus.CREATED


def test_files_are_put_and_got_before_the_first_start(engine: Engine, make: Make) -> None:
    container = make()
    engine.put_archive(container, "/etc", archive(group=b"a:x:1:\n", passwd=b"b:x:1:1::/:/bin/sh\n"))
    assert members(engine.get_archive(container, "/etc/group")) == {"group": b"a:x:1:\n"}
    assert members(engine.get_archive(container, "/etc/passwd")) == {"passwd": b"b:x:1:1::/:/bin/sh\n"}
    folder = members(engine.get_archive(container, "/etc"))
    assert folder["etc/group"] == b"a:x:1:\n"
    assert engine.get_archive(container, "/nonexistent") is None
    assert engine.get_archive(container, "/nonexistent/deeper") is None
    assert engine.get_archive(container, "/bin/sh") is not None


def test_the_status_of_a_path_is_its_mode_and_where_a_link_leads(engine: Engine, make: Make) -> None:
    container = make()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        file, link = tarfile.TarInfo("file"), tarfile.TarInfo("link")
        file.mode, link.type, link.linkname = 0o640, tarfile.SYMTYPE, "/tmp/file"
        tar.addfile(file)
        tar.addfile(link)
    engine.put_archive(container, "/tmp", buffer.getvalue())
    assert engine.path_status(container, "/tmp/file") == PathStatus(0o640)
    status = engine.path_status(container, "/tmp/link")
    assert status is not None and status.link == "/tmp/file"
    assert engine.path_status(container, "/nonexistent") is None
    folder = engine.path_status(container, "/etc")
    assert folder is not None and folder.mode == 0o755


def test_owner_and_mode_of_files_are_kept(engine: Engine, make: Make) -> None:
    container = make()
    engine.put_archive(container, "/tmp", archive(mine=b"x"))
    content = engine.get_archive(container, "/tmp/mine")
    assert content is not None
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        (entry,) = tar.getmembers()
    assert (entry.uid, entry.gid, entry.mode & 0o777) == (1001, 1001, 0o640)


def test_the_first_process_is_the_command(engine: Engine, make: Make) -> None:
    container = make(command=("sh", "-c", "while :; do sleep 1; done"), start=True)
    # Docker says that it runs a moment before the process becomes the command.
    wait_until(lambda: "sh -c while" in engine.processes(container)[0].command)
    processes = engine.processes(container)
    found = engine.inspect(container)
    assert found is not None and processes[0].pid == found.pid
    assert processes[0].command == "sh -c while :; do sleep 1; done"


def test_a_program_runs_to_its_end(engine: Engine, make: Make) -> None:
    assert engine.run(make(start=True), PROGRAM) == 0


@pytest.mark.parametrize("tty", [True, False])
def test_an_attached_stream_ends_and_has_an_exit_code(engine: Engine, make: Make, tty: bool) -> None:
    container = make(start=True)
    what = ExecRequest(("echo", "hello"), "1001:1001", tty=tty, rows=30, columns=100)
    attachment = engine.attach(container, what)
    content = attachment.initial_bytes
    try:
        while chunk := os.read(attachment.fileno, 4096):
            content += chunk
    finally:
        os.close(attachment.fileno)
    if not tty:
        assert content[0] == 1 and int.from_bytes(content[4:8], "big") == len(content) - 8
    assert content.endswith(b"\n") and attachment.tty is tty
    assert wait_until(lambda: engine.exit_code(attachment.session)) == 0
    engine.resize(attachment.session, rows=10, columns=10)


def test_an_unknown_session_is_absent(engine: Engine) -> None:
    with pytest.raises(EngineNotFound):
        engine.exit_code("0" * 64)
    with pytest.raises(EngineNotFound):
        engine.resize("0" * 64, rows=1, columns=1)


def test_usage_is_numbers(engine: Engine, make: Make) -> None:
    usage = engine.usage(make(start=True, memory=64 << 20))
    assert usage.memory_limit_bytes == 64 << 20
    assert usage.cpu_nanoseconds is not None and usage.cpu_nanoseconds >= 0
    assert usage.memory_bytes is not None and usage.memory_bytes < 64 << 20
    assert usage.pids is not None and usage.pids >= 1
    assert usage.io_read_bytes is not None and usage.io_read_bytes >= 0
    assert usage.io_write_bytes is not None and usage.io_write_bytes >= 0


def test_the_usage_of_many_leaves_out_those_that_do_not_run(engine: Engine, make: Make) -> None:
    running, stopped, missing = make(start=True, memory=64 << 20), make(), "0" * 64
    pid = engine.usage(running).pid
    for known in (None, pid, 1):  # 1 is a process of no container
        found = engine.usages({running: known, stopped: known, missing: None}, network=False)
        assert set(found) == {running}
        assert (found[running].pid, found[running].memory_limit_bytes) == (pid, 64 << 20)
        assert found[running].network_bytes is None
    assert engine.usages({running: None})[running].network_bytes is not None


def test_images_have_tags_of_their_own(engine: Engine, image: str, make_spec: MakeSpec) -> None:
    own = f"{image.rpartition(':')[0]}:{make_spec().name}"
    assert engine.image(own) is None
    engine.tag(image, own)
    found, original = engine.image(own), engine.image(image)
    assert found is not None and original is not None
    assert found.id == original.id and own in found.tags and image in found.tags
    assert found.environment["PATH"] and "inherited" not in found.environment
    assert own in [tag for one in engine.images() for tag in one.tags]
    engine.untag(own)
    assert engine.image(own) is None and engine.image(image) is not None
    engine.untag(own)


def test_a_container_keeps_its_image_by_its_own_tag(
    engine: Engine, image: str, make: Make, make_spec: MakeSpec
) -> None:
    spec = make_spec()
    own = f"{image.rpartition(':')[0]}:{spec.name}"
    engine.tag(image, own)
    try:
        container = make(name=spec.name, image=own)
        assert [one.image for one in engine.containers() if one.id == container] == [own]
        engine.remove(container)
    finally:
        engine.untag(own)
    assert engine.image(own) is None


@pytest.mark.parametrize("reference", ["Upper/case", "a b", "", "-x"])
def test_what_is_no_image_name_is_rejected(engine: Engine, image: str, reference: str) -> None:
    for act in (
        lambda: engine.tag(image, reference),
        lambda: engine.untag(reference),
        lambda: list(engine.pull(reference)),
    ):
        with pytest.raises(EngineRejected):
            act()


def test_what_cannot_be_fetched_is_a_clear_error(engine: Engine) -> None:
    with pytest.raises(Ds01Error) as caught:
        list(engine.pull("absent/image:1"))
    assert isinstance(caught.value, (EngineNotFound, EngineRejected))
    assert caught.value.why and caught.value.hint


def test_a_missing_image_cannot_be_tagged(engine: Engine) -> None:
    assert engine.image("absent/image:1") is None
    with pytest.raises(EngineNotFound):
        engine.tag("absent/image:1", "absent/image:2")


def test_disk_usage_names_what_there_is(engine: Engine, make: Make) -> None:
    identity = make()
    usage = engine.disk_usage()
    container = engine.inspect(identity)
    assert container is not None
    assert {item.id: item.names for item in usage.containers}[container.id] == (container.name,)
    assert container.image in [tag for image in usage.images for tag in image.names]
    assert usage.layers_bytes is not None and usage.layers_bytes > 0
    sizes = [item.size_bytes for item in (*usage.images, *usage.containers, *usage.volumes)]
    assert all(size is None or size >= 0 for size in sizes)
    assert None not in [item.size_bytes for item in usage.containers]


def test_a_containers_disk_use_is_what_it_wrote(engine: Engine, make: Make) -> None:
    identity = make()
    engine.put_archive(identity, "/tmp", archive(data=b"x" * 100_000))
    container = engine.inspect(identity)
    (size,) = [item.size_bytes for item in engine.disk_usage().containers if container and item.id == container.id]
    assert size is not None
    if engine.info().name == "docker":  # the simulated one measures nothing
        assert 100_000 <= size < 200_000
