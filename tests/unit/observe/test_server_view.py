"""The view of the server: who sees what, and what is unknown."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ds01.api.seeing.operations import GetRecentUse, GetServerView
from ds01.api.seeing.server_view import ServerSlot, ServerView
from ds01.errors import EngineUnreachable, GpusUnreachable
from ds01.gpus.model import GpuObservation, GpuProcess, GpuRequest, GpuType
from ds01.gpus.simulated import SimulatedInventory
from ds01.observe.accounting.database import open_to_write
from ds01.observe.accounting.lease_book import add_missing
from ds01.observe.accounting.recorder import transaction
from ds01.observe.accounting.times import to_number
from ds01.records.wait_queue import Waiter
from tests.accounting_harness import AccountingHarness
from tests.fault_injection import CHANGING_CALLS, READING_CALLS, FaultyEngine, StepCounter
from tests.harness import Harness
from tests.tick_harness import TickHarness


def see(harness: Harness, who: str = "boss") -> ServerView:
    return harness.another_gate().run(harness.actor(who), GetServerView())


def deploy(harness: Harness, login: str, **more: Any) -> None:
    harness.gate.create(harness.actor(login), harness.request(login, **{"gpus": 1} | more), start=True)


def slot_of(view: ServerView, login: str) -> ServerSlot:
    (slot,) = (slot for slot in view.slots if slot.user == login)
    return slot


def run_on_first_slot(harness: Harness, *processes: GpuProcess) -> None:
    observation = harness.inventory.observe()
    first, *others = observation.slots
    busy = replace(first, processes=processes)
    harness.inventory = SimulatedInventory(replace(observation, slots=(busy, *others)))


def test_a_lease_has_its_holder_and_what_happens_next(harness: Harness) -> None:
    deploy(harness, "alice")
    harness.clock.advance(hours=1)
    slot = slot_of(see(harness), "alice")
    assert (slot.state, slot.name, slot.container) == ("leased", "thesis", harness.full("alice"))
    assert slot.since is not None and harness.clock() - slot.since == timedelta(hours=1)
    assert slot.deadline is not None and slot.deadline.because == "idle"


def test_a_held_lease_says_until_when(harness: Harness) -> None:
    deploy(harness, "alice")
    harness.gate.stop(harness.actor("alice"), harness.full("alice"))
    slot = slot_of(see(harness), "alice")
    assert (slot.state, slot.until) == ("held", harness.clock() + timedelta(hours=24))


def test_free_slots_are_counted_by_kind(harness: Harness) -> None:
    deploy(harness, "alice")
    supply = {item.profile: (item.free, item.total) for item in see(harness).supply}
    assert supply == {None: (1, 1), "2g.10gb": (2, 3)}


def test_the_next_free_slot_of_a_kind_is_known(harness: Harness) -> None:
    deploy(harness, "alice", gpus=2)
    harness.gate.stop(harness.actor("alice"), harness.full("alice"))
    deploy(harness, "bob")
    (mig,) = (item for item in see(harness).supply if item.profile)
    assert (mig.free, mig.earliest) == (0, harness.clock() + timedelta(hours=24))


def test_users_see_names_and_deadlines_of_others_and_no_details(harness: Harness) -> None:
    deploy(harness, "bob", image="bob/secret", project="secret")
    deploy(harness, "alice")
    containers = {item.container.user: item.container for item in see(harness, "alice").containers}
    assert containers["bob"].name == "thesis" and containers["bob"].deadline is not None
    assert (containers["bob"].image, containers["bob"].project, containers["bob"].ports) == (None, None, ())
    assert containers["alice"].image is not None and containers["alice"].ports


def test_an_administrator_sees_details(harness: Harness) -> None:
    deploy(harness, "bob", image="bob/secret")
    (item,) = see(harness, "boss").containers
    assert item.container.image == "bob/secret"


def test_commands_of_others_are_hidden_from_users(harness: Harness) -> None:
    run_on_first_slot(harness, GpuProcess(os.getpid(), "python", memory_bytes=1 << 30))
    for who, command in (("boss", "python"), ("alice", None)):
        (process,) = see(harness, who).slots[0].processes or ()
        assert (process.pid, process.command, process.memory_bytes) == (os.getpid(), command, 1 << 30)
        assert process.user is not None


def test_a_process_is_of_the_container_that_started_it(harness: Harness) -> None:
    deploy(harness, "alice")
    record = harness.record("alice")
    observation = harness.inventory.observe()
    process = GpuProcess(4242424, "train", container=record.docker_id)
    slots = tuple(
        replace(slot, processes=(process,)) if slot.uuid in {ref.uuid for ref in record.gpus_fixed} else slot
        for slot in observation.slots
    )
    harness.inventory = SimulatedInventory(replace(observation, slots=slots))
    (seen,) = slot_of(see(harness, "alice"), "alice").processes or ()
    assert (seen.container, seen.command) == (harness.full("alice"), "train")


def test_outside_use_names_the_process_and_since_when(harness: Harness) -> None:
    run_on_first_slot(harness, GpuProcess(os.getpid(), "python"))
    view = see(harness)
    (found,) = view.outside
    assert (found.slot, found.what, found.who, found.pid) == ("0", "process", "python", os.getpid())
    assert found.user is not None and found.since is not None
    assert any("python" in text for text in view.complaints)


def test_unknown_utilisation_is_not_zero(harness: Harness) -> None:
    deploy(harness, "alice")
    assert slot_of(see(harness), "alice").utilisation_percent is None


def test_a_process_list_that_the_driver_does_not_give_is_unknown(harness: Harness) -> None:
    observation = harness.inventory.observe()
    first, *others = observation.slots
    silent = replace(first, processes=None)
    harness.inventory = SimulatedInventory(replace(observation, slots=(silent, *others)))
    assert see(harness).slots[0].processes is None


def test_without_docker_the_records_are_shown(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(harness, "alice")

    def silent(*_: object) -> None:
        raise EngineUnreachable("Docker does not answer")

    monkeypatch.setattr("ds01.engines.simulated.engine.SimulatedEngine.info", silent)
    view = see(harness)
    assert slot_of(view, "alice").state == "leased"
    assert len(view.unknown) == 1 and "Docker" in view.unknown[0]
    assert [item.memory_bytes for item in view.containers] == [None]


def test_without_nvml_leases_are_shown_and_nothing_is_free(harness: Harness) -> None:
    deploy(harness, "alice")

    class Silent:
        def observe(self, *, utilisation: bool = False) -> GpuObservation:
            raise GpusUnreachable("NVML does not answer")

        def driver_info(self) -> Any:
            raise GpusUnreachable("NVML does not answer")

    harness.inventory = Silent()
    view = see(harness)
    slot = slot_of(view, "alice")
    assert (slot.state, slot.lost, slot.memory_bytes, slot.processes) == ("leased", False, None, None)
    assert view.supply == () and view.driver is None and len(view.unknown) == 1
    assert not any("lost" in text for text in view.complaints)


def test_a_lost_slot_is_a_complaint(harness: Harness) -> None:
    deploy(harness, "alice")
    observation = harness.inventory.observe()
    leased = {ref.uuid for ref in harness.record("alice").gpus_fixed}
    rest = tuple(slot for slot in observation.slots if slot.uuid not in leased)
    harness.inventory = SimulatedInventory(replace(observation, slots=rest))
    view = see(harness)
    assert slot_of(view, "alice").lost
    assert any("alice" in text and "lost" in text for text in view.complaints)


def test_the_queue_says_when_a_gpu_may_be_free(harness: Harness) -> None:
    deploy(harness, "alice", gpus=2)
    harness.gate.stop(harness.actor("alice"), harness.full("alice"))
    deploy(harness, "bob")
    request = replace(harness.request("carol", image="carol/secret"), gpus=GpuRequest(1, GpuType.MIG))
    waiter = Waiter("", "carol", harness.people["carol"], 10, harness.clock(), harness.full("carol"), request)
    with harness.ledger.wait_queue().join(waiter):
        view = see(harness, "bob")
    (waiting,) = view.queue
    assert (waiting.user, waiting.position, waiting.why) == ("carol", 1, "none_free")
    assert waiting.earliest == harness.clock() + timedelta(hours=24)
    assert not hasattr(waiting, "request"), "the image of somebody else's request is nobody's business"


def test_users_and_groups_have_quota_and_use(harness: Harness) -> None:
    deploy(harness, "alice", gpus=2)
    view = see(harness)
    (user,) = view.users
    assert (user.user, user.gpus, user.gpus_limit, user.containers, user.running) == ("alice", 2, 2, 1, 1)
    (group,) = view.groups
    assert (group.gpus, group.containers) == (2, 1)


def test_memory_that_is_unknown_makes_the_sum_unknown(harness: Harness) -> None:
    deploy(harness, "alice")
    deploy(harness, "alice", name="other", gpus=0)
    harness.engine.break_container(harness.full("alice", "other"))
    (user,) = see(harness).users
    assert user.memory_bytes is None


def test_cpu_is_the_mean_since_the_last_tick(harness: Harness) -> None:
    TickHarness(harness).start_container("alice")
    harness.clock.advance(seconds=100)
    harness.engine.set_usage(harness.full("alice"), cpu_nanoseconds=50 * 10**9, network_bytes=0)
    (item,) = see(harness).containers
    assert item.cpu_percent == pytest.approx(50)


def test_what_was_used_of_a_lease_comes_from_the_ticks(harness: Harness) -> None:
    deploy(harness, "alice")
    (ref,) = harness.record("alice").gpus_fixed
    connection = open_to_write(harness.ledger.accounting_path)
    with closing(connection), transaction(connection):
        record_lease = harness.record("alice")
        add_missing(connection, [record_lease])
        begin = to_number(harness.clock())
        for number, percent in enumerate((0, 30)):
            values = (begin + number * 10**8, begin + (number + 1) * 10**8, 10**8, 10**8 * percent // 100)
            connection.execute(
                "INSERT INTO samples (lease, since, until, active, idle, unknown, measured, used, memory, memory_time, "
                "cpu, cpu_time, energy, energy_time) SELECT id, ?, ?, 0, 0, 0, ?, ?, 0, 0, 0, 0, 0, 0 FROM leases",
                values,
            )
    harness.clock.advance(seconds=200)
    slot = slot_of(see(harness), "alice")
    assert slot.uuid == ref.uuid and slot.used_percent == pytest.approx(15)


def test_the_use_of_the_last_hour_is_that_of_the_ticks(harness: Harness) -> None:
    accounting = AccountingHarness(harness)
    deploy(harness, "alice", gpus=1)
    (ref,) = harness.record("alice").gpus_fixed
    accounting.set_gpus(**{f"slot_{ref.slot.replace(':', '_')}": 40.0})
    for _ in range(3):
        accounting.tick(minutes=5)
    uses = harness.another_gate().run(harness.actor("bob"), GetRecentUse())
    assert [(use.uuid, use.user) for use in uses] == [(ref.uuid, "alice")] * 2, (
        "the first tick has nothing to compare with"
    )
    assert [use.percent for use in uses] == [40.0, 40.0]
    assert uses[0].until == uses[1].since and uses[1].until == harness.clock()
    harness.clock.advance(hours=2)
    assert harness.another_gate().run(harness.actor("bob"), GetRecentUse()) == ()


def test_use_that_was_never_measured_is_unknown(harness: Harness) -> None:
    deploy(harness, "alice")
    assert slot_of(see(harness), "alice").used_percent is None


def test_a_tick_that_is_missing_is_a_complaint(harness: Harness) -> None:
    assert "no tick has run yet" in see(harness).complaints[0]


def test_it_asks_the_engine_at_most_three_times_when_nothing_changed(harness: Harness) -> None:
    for login in ("alice", "bob", "carol"):
        deploy(harness, login, gpus=0)
    see(harness)
    steps = StepCounter(-1, lambda: None)
    engine: Any = FaultyEngine(harness.engine, steps, CHANGING_CALLS + READING_CALLS)
    harness.another_gate(engine=engine).run(harness.actor("alice"), GetServerView())
    calls = Counter(steps.names)
    assert calls.total() <= 3 and calls["containers"] == 1, calls
