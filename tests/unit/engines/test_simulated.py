"""What the simulated engine has beyond the contract: many processes, modes, odd images, and events behind ds01."""

from __future__ import annotations

import multiprocessing
import os
import stat
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ds01.engines.protocol import ContainerSpec, ContainerStatus, Devices, Engine, ExecRequest, PublishedPort
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.engines.simulated.store import FIRST_PID
from ds01.errors import EngineConflict, EngineNotFound, EngineUnreachable

START = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone.utc)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(tmp_path: Path, clock: Clock) -> SimulatedEngine:
    engine = SimulatedEngine(tmp_path / "simulated-engine.json", clock=clock)
    _: Engine = engine  # the type checker compares it with the protocol
    return engine


@pytest.fixture
def no_umask() -> Iterator[None]:
    old = os.umask(0o077)
    yield
    os.umask(old)


def spec(name: str = "a._.1001", image: str = "python:3.11", **more: object) -> ContainerSpec:
    return ContainerSpec(name=name, image=image, command=("sh",), uid=1001, gid=1001, **more)  # type: ignore[arg-type]


def create_some(path: Path, first: int) -> None:
    engine = SimulatedEngine(path, clock=lambda: START)
    for number in range(first, first + 10):
        engine.start(engine.create(spec(f"c{number}", ports=(PublishedPort(8888),))).id)


def test_many_processes_and_threads_lose_nothing(engine: SimulatedEngine) -> None:
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=create_some, args=(engine.store.path, first)) for first in (0, 10, 20)]
    workers += [threading.Thread(target=create_some, args=(engine.store.path, 30))]  # type: ignore[list-item]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = [engine.inspect(container.id) for container in engine.containers()]
    assert sorted(one.name for one in found if one is not None) == sorted(f"c{number}" for number in range(40))
    assert len({one.ports[0].host_port for one in found if one is not None}) == 40
    assert len({one.pid for one in found if one is not None}) == 40


def test_another_engine_object_sees_each_change_at_once(engine: SimulatedEngine, clock: Clock) -> None:
    other = SimulatedEngine(engine.store.path, clock=clock)
    container = engine.create(spec()).id
    for _ in range(50):
        engine.start(container)
        assert [one.status for one in other.containers()] == [ContainerStatus.RUNNING]
        engine.stop(container, grace=0)
        assert [one.status for one in other.containers()] == [ContainerStatus.EXITED]


@pytest.mark.usefixtures("no_umask")
@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o755, 0o644), (0o2775, 0o664)])
def test_files_have_their_modes_whatever_the_umask(
    engine: SimulatedEngine, tmp_path: Path, folder_mode: int, file_mode: int
) -> None:
    tmp_path.chmod(folder_mode)
    engine.put_archive(engine.create(spec()).id, "/", b"\0" * 1024)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {file_mode}


def test_a_change_that_fails_leaves_no_trace(engine: SimulatedEngine, tmp_path: Path) -> None:
    engine.create(spec())
    before, files = engine.store.path.read_bytes(), sorted(tmp_path.rglob("*"))
    with pytest.raises(EngineConflict):
        engine.create(spec())
    assert engine.store.path.read_bytes() == before and sorted(tmp_path.rglob("*")) == files


def test_times_are_the_clocks(engine: SimulatedEngine, clock: Clock) -> None:
    container = engine.create(spec()).id
    clock.now += timedelta(hours=1)
    engine.start(container)
    clock.now += timedelta(hours=1)
    engine.stop(container, grace=100)
    found = engine.inspect(container)
    assert found is not None
    assert (found.created_at, found.started_at) == (START, START + timedelta(hours=1))
    assert (found.finished_at, found.exit_code) == (START + timedelta(hours=2), 129)  # of SIGHUP


def test_another_engine_is_told_by_its_id(engine: SimulatedEngine) -> None:
    engine.create(spec())
    first = engine.info().id
    assert engine.info().id == first
    engine.store.path.unlink()
    assert engine.info().id != first and engine.info().id == engine.info().id and engine.containers() == []


def test_an_engine_that_does_not_answer(engine: SimulatedEngine) -> None:
    container = engine.create(spec()).id
    engine.set_answering(False)
    for ask in (engine.containers, engine.info, lambda: engine.inspect(container), lambda: engine.start(container)):
        with pytest.raises(EngineUnreachable):
            ask()
    engine.set_answering(True)
    assert len(engine.containers()) == 1


@pytest.mark.parametrize("content", ["", "{", "[1"])
def test_a_broken_file_is_no_answer_and_stays_as_it_is(engine: SimulatedEngine, content: str) -> None:
    engine.store.path.write_text(content)
    for ask in (engine.containers, engine.info, lambda: engine.create(spec())):
        with pytest.raises(EngineUnreachable):
            ask()
    assert engine.store.path.read_text() == content


def test_a_restart_of_the_engine_ends_what_runs(engine: SimulatedEngine) -> None:
    created, running, paused = (engine.create(spec(name)).id for name in ("a1", "b1", "c1"))
    engine.start(running)
    engine.start(paused)
    engine.pause(paused)
    engine.restart_engine()
    found = [engine.inspect(one) for one in (created, running, paused)]
    assert [(one.status, one.exit_code) for one in found if one] == [
        (ContainerStatus.CREATED, None), (ContainerStatus.EXITED, 137), (ContainerStatus.EXITED, 137),
    ]  # fmt: skip
    assert not any(one.oom_killed for one in found if one)


def test_what_happens_behind_ds01(engine: SimulatedEngine) -> None:
    container = engine.create(spec(device_uuids=("GPU-1",))).id
    engine.rename(container, "renamed")
    engine.start(container)
    engine.kill(container, out_of_memory=True)
    found = engine.inspect("renamed")
    assert found is not None and found.id == container and found.spec is not None and found.spec.name == "renamed"
    assert (found.exit_code, found.oom_killed) == (137, True)
    engine.start(container)
    again = engine.inspect(container)
    assert again is not None and not again.oom_killed and again.devices == Devices(("GPU-1",), False, "device_request")
    engine.remove_by_force(container)
    assert engine.inspect(container) is None
    with pytest.raises(EngineNotFound):
        engine.kill(container)


def test_a_foreign_container_has_the_access_it_was_given(engine: SimulatedEngine) -> None:
    devices = Devices(("0",), False, "environment")
    foreign = engine.inspect(engine.add_foreign("theirs", devices=devices, labels={"a": "b"}, privileged=True))
    assert foreign is not None and foreign.status is ContainerStatus.RUNNING and foreign.privileged
    assert foreign.devices == devices and foreign.spec is None and foreign.labels == {"a": "b"}
    engine.stop("theirs", grace=0)
    engine.remove("theirs")


def test_no_process_of_the_host_can_be_meant(engine: SimulatedEngine) -> None:
    container = engine.create(spec()).id
    engine.start(container)
    spawned = engine.spawn(container, "python train.py")
    stubborn = engine.spawn(container, "python ignores.py", stubborn=True)
    processes = engine.processes(container)
    assert [process.command for process in processes] == ["sh", "python train.py", "python ignores.py"]
    assert all(process.pid >= FIRST_PID for process in processes)
    assert engine.run(container, ExecRequest(("sh", "-c", "kill -TERM -1"), "1001:1001", tty=False)) == 0
    left = [process.pid for process in engine.processes(container)]
    assert spawned not in left and stubborn in left and len(left) == 2


def test_images_are_as_their_names_say(engine: SimulatedEngine) -> None:
    for name, paths in {
        "python:3.11": ("/bin/sh", "/bin/bash", "/etc/passwd", "/etc/group"),
        "x/nobash": ("/bin/sh", "/etc/passwd"),
        "x/noshell": ("/etc/passwd",),
    }.items():
        container = engine.create(spec(f"c-{name.replace(':', '-').replace('/', '-')}", image=name)).id
        wanted = ("/bin/sh", "/bin/bash", "/etc/passwd", "/etc/group")
        found = [path for path in wanted if engine.get_archive(container, path) is not None]
        assert set(paths) <= set(found) and ("/bin/bash" in found) is ("/bin/bash" in paths)
        assert ("/bin/sh" in found) is ("/bin/sh" in paths)
    assert engine.image("absent/x") is None
    assert engine.image("x:thesis._.1001") is None  # a container's own tag is there once it was given
    labelled = engine.image("labelled/x")
    assert labelled is not None and "," in labelled.labels["org.example.authors"]


def test_a_remote_image_is_there_once_it_was_fetched(engine: SimulatedEngine) -> None:
    assert engine.image("remote/x:1") is None
    with pytest.raises(EngineNotFound):
        engine.create(spec(image="remote/x:1"))
    steps = engine.pull("remote/x:1")
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert engine.image("remote/x:1") is None
    assert [step.total for step in list(engine.pull("remote/x:1")) if step.total]
    assert engine.image("remote/x:1") is not None


def test_an_image_in_use_keeps_its_last_tag(engine: SimulatedEngine) -> None:
    container = engine.create(spec(image="python:3.11")).id
    engine.untag("python:3.11")
    assert engine.image("python:3.11") is not None
    engine.remove(container)
    engine.untag("python:3.11")
    assert engine.image("python:3.11") is None


def test_four_hundred_containers_are_listed_from_one_reading(engine: SimulatedEngine) -> None:
    with engine.change() as state:
        for number in range(400):
            container = engine.new_container(f"c{number}", "i", {"ds01.uid": "1"}, Devices())
            state["containers"][container["id"]] = container
    assert len(engine.containers()) == 400
    assert engine.read() is engine.read()  # nothing changed, nothing is parsed again
