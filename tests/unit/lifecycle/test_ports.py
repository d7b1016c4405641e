"""A container keeps its ports on the server: across starts, when it is created again, and next to others."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.engines.protocol import PublishedPort
from ds01.errors import EngineRejected
from ds01.lifecycle.spec.ports import RANGE, choose
from ds01.system import host_ports
from tests.actions import ALICE_THESIS, create_container
from tests.harness import Harness


def published(harness: Harness, login: str = "alice", name: str = "thesis") -> dict[int, int | None]:
    """The ports of a running container as Docker shows them: container's -> server's."""
    seen = harness.engine.inspect(harness.full(login, name))
    assert seen is not None
    return {port.container_port: port.host_port for port in seen.ports}


@given(
    wanted=st.lists(st.integers(1, 65535), unique=True, max_size=6),
    fixed=st.integers(1, 65535),
    taken=st.sets(st.integers(RANGE.start, RANGE.stop - 1), max_size=50),
    name=st.text(min_size=1),
)
def test_each_port_gets_a_free_host_port(wanted: list[int], fixed: int, taken: set[int], name: str) -> None:
    ports = [PublishedPort(number) for number in wanted] + [PublishedPort(1, fixed)]
    chosen = choose(ports, name, taken=taken, is_free=lambda number: number % 3 != 0)
    assert [port.container_port for port in chosen] == [*wanted, 1]
    assert chosen[-1].host_port == fixed  # what was asked for is left as it is
    numbers = [port.host_port for port in chosen]
    assert len(set(numbers)) == len(numbers)
    assert not set(numbers[:-1]) & taken
    assert all(number in RANGE and number % 3 != 0 for number in numbers[:-1] if number is not None)
    assert chosen == choose(ports, name, taken=taken, is_free=lambda number: number % 3 != 0)


def test_docker_chooses_where_no_port_is_left() -> None:
    assert choose([PublishedPort(8888)], ALICE_THESIS, taken=(), is_free=lambda number: False) == (PublishedPort(8888),)


def test_a_container_has_the_same_ports_after_each_start(harness: Harness) -> None:
    create_container(harness, "alice", start=True)
    first = published(harness)
    assert set(first) == {8888, 6006}
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    create_container(harness, "bob", start=True)
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    assert published(harness) == first
    assert not set(first.values()) & set(published(harness, "bob").values())


def test_recreated_container_keeps_its_ports(harness: Harness) -> None:
    create_container(harness, "alice", start=True)
    first = published(harness)
    harness.gate.remake(harness.actor("alice"), ALICE_THESIS)
    assert published(harness) == first
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    harness.gate.start(harness.actor("alice"), ALICE_THESIS, recreate=True)
    assert published(harness) == first
    harness.gate.remove(harness.actor("alice"), ALICE_THESIS, force=True)
    create_container(harness, "alice", start=True)
    assert published(harness) == first


def test_ports_of_a_stopped_container_stay_taken(harness: Harness) -> None:
    create_container(harness, "alice", start=True)
    first = published(harness)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    taken = {number for number in first.values() if number is not None}
    ports = choose([PublishedPort(8888), PublishedPort(6006)], ALICE_THESIS, taken=taken, is_free=lambda number: True)
    assert not taken & {port.host_port for port in ports}
    harness.gate.create(
        harness.actor("alice"), harness.request("alice", "second", 0, ports=(PublishedPort(8888), PublishedPort(9999)))
    )
    assert not taken & {port.host_port for port in harness.record("alice", "second").ports}


def test_port_in_use_is_skipped_and_reported(harness: Harness) -> None:
    create_container(harness, "alice", start=True)
    first = published(harness)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    number = first[8888]
    assert number is not None
    harness.ports_in_use = {number}
    harness.engine.occupy_port(number)
    with pytest.raises(EngineRejected) as error:
        harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    assert error.value.data == {"problem": "port", "port": number}
    assert f"port {number}" in error.value.message and "--recreate" in (error.value.hint or "")
    harness.gate.start(harness.actor("alice"), ALICE_THESIS, recreate=True)
    assert published(harness)[6006] == first[6006]
    assert published(harness)[8888] not in (number, None)


def test_a_port_that_was_asked_for_by_number_has_another_way_out(harness: Harness) -> None:
    create_container(harness, "alice", ports=(PublishedPort(8888, 5555),))
    harness.engine.occupy_port(5555)
    with pytest.raises(EngineRejected) as error:
        harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    assert "--recreate" not in (error.value.hint or "") and "container-retire thesis" in (error.value.hint or "")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_port_with_a_listener_is_not_free(address: str) -> None:
    with closing(socket.create_server((address, 0))) as server:
        number = server.getsockname()[1]
        assert not host_ports.is_free(number)
    assert host_ports.is_free(number)
