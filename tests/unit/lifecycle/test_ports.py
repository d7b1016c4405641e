"""A container keeps its ports of the server: across starts, when it is made again, and whatever others have."""

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
from tests.acts import ALICE, fill
from tests.bed import Bed


def published(bed: Bed, login: str = "alice", name: str = "thesis") -> dict[int, int | None]:
    """The ports of a running container as Docker shows them: container's -> server's."""
    seen = bed.engine.inspect(bed.full(login, name))
    assert seen is not None
    return {port.container_port: port.host_port for port in seen.ports}


@given(
    wanted=st.lists(st.integers(1, 65535), unique=True, max_size=6),
    fixed=st.integers(1, 65535),
    taken=st.sets(st.integers(RANGE.start, RANGE.stop - 1), max_size=50),
    name=st.text(min_size=1),
)
def test_each_port_gets_one_of_its_own_that_nobody_has(
    wanted: list[int], fixed: int, taken: set[int], name: str
) -> None:
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
    assert choose([PublishedPort(8888)], ALICE, taken=(), is_free=lambda number: False) == (PublishedPort(8888),)


def test_a_container_has_the_same_ports_after_each_start(bed: Bed) -> None:
    fill(bed, "alice", start=True)
    first = published(bed)
    assert set(first) == {8888, 6006}
    bed.gate.stop(bed.actor("alice"), ALICE)
    fill(bed, "bob", start=True)
    bed.gate.start(bed.actor("alice"), ALICE)
    assert published(bed) == first
    assert not set(first.values()) & set(published(bed, "bob").values())


def test_a_container_that_is_made_again_has_the_ports_of_the_one_before(bed: Bed) -> None:
    fill(bed, "alice", start=True)
    first = published(bed)
    bed.gate.remake(bed.actor("alice"), ALICE)
    assert published(bed) == first
    bed.gate.stop(bed.actor("alice"), ALICE)
    bed.gate.start(bed.actor("alice"), ALICE, recreate=True)
    assert published(bed) == first
    bed.gate.remove(bed.actor("alice"), ALICE, force=True)
    fill(bed, "alice", start=True)
    assert published(bed) == first


def test_the_ports_of_a_stopped_container_are_given_to_nobody(bed: Bed) -> None:
    fill(bed, "alice", start=True)
    first = published(bed)
    bed.gate.stop(bed.actor("alice"), ALICE)
    taken = {number for number in first.values() if number is not None}
    ports = choose([PublishedPort(8888), PublishedPort(6006)], ALICE, taken=taken, is_free=lambda number: True)
    assert not taken & {port.host_port for port in ports}
    bed.gate.create(
        bed.actor("alice"), bed.request("alice", "second", 0, ports=(PublishedPort(8888), PublishedPort(9999)))
    )
    assert not taken & {port.host_port for port in bed.record("alice", "second").ports}


def test_a_port_that_another_program_has_is_passed_over_and_said_at_a_start(bed: Bed) -> None:
    fill(bed, "alice", start=True)
    first = published(bed)
    bed.gate.stop(bed.actor("alice"), ALICE)
    number = first[8888]
    assert number is not None
    bed.ports_in_use = {number}
    bed.engine.occupy_port(number)
    with pytest.raises(EngineRejected) as error:
        bed.gate.start(bed.actor("alice"), ALICE)
    assert error.value.data == {"problem": "port", "port": number}
    assert f"port {number}" in error.value.message and "--recreate" in (error.value.hint or "")
    bed.gate.start(bed.actor("alice"), ALICE, recreate=True)
    assert published(bed)[6006] == first[6006]
    assert published(bed)[8888] not in (number, None)


def test_a_port_that_was_asked_for_by_number_has_another_way_out(bed: Bed) -> None:
    fill(bed, "alice", ports=(PublishedPort(8888, 5555),))
    bed.engine.occupy_port(5555)
    with pytest.raises(EngineRejected) as error:
        bed.gate.start(bed.actor("alice"), ALICE)
    assert "--recreate" not in (error.value.hint or "") and "container-retire thesis" in (error.value.hint or "")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_on_which_somebody_listens_is_not_free(address: str) -> None:
    with closing(socket.create_server((address, 0))) as server:
        number = server.getsockname()[1]
        assert not host_ports.is_free(number)
    assert host_ports.is_free(number)
