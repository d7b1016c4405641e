"""What only a real Docker's builds have: limits and a slice that hold, bases from a registry, words of a terminal."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ds01.engines.docker.engine import DockerEngine
from ds01.engines.protocol import BuildSpec, Progress
from ds01.errors import EngineNotFound, EngineRejected, EngineUnreachable
from tests.build_contexts import BUILD_LABEL, RUN, tar_pieces
from tests.docker.conftest import SOCKET
from tests.docker.registry import PASSWORD, USER, Registry
from tests.wait import TIMEOUT

pytestmark = pytest.mark.docker


@pytest.fixture
def engine(docker_engine: DockerEngine) -> DockerEngine:
    return docker_engine


def build(engine: DockerEngine, reference: str, base: str, *lines: str, **more: Any) -> list[Progress]:
    dockerfile = "\n".join((f"FROM {base}", f"LABEL {BUILD_LABEL}", *lines))
    return list(engine.build(BuildSpec(reference, **more), tar_pieces({"Dockerfile": dockerfile})))


def said(steps: list[Progress]) -> list[str]:
    return [step.text for step in steps if step.text]


def test_build_step_has_limits_and_cgroup_parent(engine: DockerEngine, reference: str, busybox_image: str) -> None:
    facts = engine.info()
    if facts.cgroup_version != "1":
        pytest.skip("reads files of cgroup v1")
    parent = "ds01-test.slice" if facts.cgroup_driver == "systemd" else "/ds01-test"
    steps = build(
        engine, reference, busybox_image,
        "RUN cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us",
        "RUN cat /proc/self/cgroup /proc/mounts",
        memory=64 << 20, memory_swap=64 << 20, cpu_quota=50_000, shm_size=32 << 20, cgroup_parent=parent,
    )  # fmt: skip
    lines = said(steps)
    assert str(64 << 20) in lines and "50000" in lines
    assert any(f":memory:{parent}/" in line or "ds01-test.slice/docker-" in line for line in lines), lines
    assert any("/dev/shm" in line and "size=32768k" in line for line in lines), lines


def test_a_step_that_needs_more_memory_is_killed_and_says_so(
    engine: DockerEngine, reference: str, busybox_image: str
) -> None:
    with pytest.raises(EngineRejected) as caught:
        build(
            engine, reference, busybox_image,
            "RUN x=$(yes | head -c 200000000); echo $x | head -c 1", memory=32 << 20, memory_swap=32 << 20,
        )  # fmt: skip
    assert caught.value.data is not None and caught.value.data["exit_code"] == 137
    assert "memory" in (caught.value.hint or "")


def test_the_network_of_the_host_is_the_host_s(engine: DockerEngine, reference: str, busybox_image: str) -> None:
    own = said(build(engine, reference, busybox_image, "RUN cat /proc/net/dev", network="none", no_cache=True))
    hosts = said(build(engine, reference, busybox_image, "RUN cat /proc/net/dev", network="host", no_cache=True))
    assert not any(line.startswith("docker0:") for line in own) and any(line.startswith("docker0:") for line in hosts)


def test_a_base_is_fetched_with_its_progress(engine: DockerEngine, reference: str, registry: Registry) -> None:
    base = f"{registry.address}/small:1"
    try:
        steps = build(engine, reference, base, "ENV B=1")
        assert any(step.text == "Pull complete" and "/" not in step.step for step in steps)
        found = engine.image(reference)
        assert found is not None and {"A": "b", "B": "1"}.items() <= found.environment.items()
    finally:
        engine.remove_image(reference)
        engine.untag(base)


@pytest.mark.parametrize("logged_in", [True, False])
def test_a_private_base_is_fetched_with_what_docker_login_left(
    reference: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged_in: bool
) -> None:
    registry.locked = True
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    auths = {registry.address: {"auth": login}} if logged_in else {}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    engine, base = DockerEngine(SOCKET), f"{registry.address}/locked:1"
    if not logged_in:
        with pytest.raises(EngineNotFound) as caught:
            build(engine, reference, base)
        assert "docker login" in (caught.value.hint or "")
        return
    try:
        build(engine, reference, base, "ENV B=1")
        assert engine.image(reference) is not None
    finally:
        engine.remove_image(reference)
        engine.untag(base)


def test_a_registry_out_of_reach_is_a_matter_of_the_network(engine: DockerEngine, reference: str) -> None:
    with pytest.raises(EngineRejected) as caught:
        build(engine, reference, "127.0.0.1:1/small:1")
    assert caught.value.data == {"problem": "network"} and caught.value.hint


def test_a_base_that_is_fetched_can_be_cancelled(engine: DockerEngine, reference: str, registry: Registry) -> None:
    spec, context = BuildSpec(reference), tar_pieces({"Dockerfile": f"FROM {registry.address}/slow:1\n"})
    steps = engine.build(spec, context)
    next(steps)
    assert registry.asked_for_layer.wait(TIMEOUT)
    steps.close()
    registry.go_on.set()
    assert engine.image(f"{registry.address}/slow:1") is None and engine.image(reference) is None


def test_what_a_program_writes_for_a_terminal_is_a_plain_line(
    engine: DockerEngine, reference: str, busybox_image: str
) -> None:
    line = (
        r"RUN printf '\033[31mred\033[0m 10%%\r\033[K 100%%\n\033]0;title\007one\ttwo\n\377 no newline'; echo bad >&2"
    )
    lines = said(build(engine, reference, busybox_image, line, no_cache=True))
    assert sorted(lines[:-1]) == sorted(["100%", "one two", "\ufffd no newline", "bad"])  # two streams, in any order


def test_a_program_cannot_pretend_to_be_the_next_step(engine: DockerEngine, reference: str, busybox_image: str) -> None:
    steps = build(
        engine, reference, busybox_image, f"RUN printf 'Step 9/9 : RUN {RUN}'; sleep 1; echo; echo x", "ENV A=1"
    )
    assert [step.step.partition(" ")[0] for step in steps if not step.text] == ["1/4", "2/4", "3/4", "4/4"]


def test_an_engine_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable):
        list(DockerEngine(str(tmp_path / "no.sock")).build(BuildSpec("a:b"), tar_pieces({"Dockerfile": "FROM a"})))
