"""Disk use by user: attributed, measured once an hour, kept when it cannot be measured."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import timedelta

import pytest

from ds01.api.seeing.operations import GetServerView
from ds01.api.seeing.server_view import DiskUseView, ServerView
from ds01.engines.protocol import DiskItem, DiskUsage
from ds01.errors import EngineUnreachable
from ds01.observe.disk_use import measure
from ds01.observe.disk_use.document import Person, disk_use_views, engine_rows, user_disk_use
from ds01.observe.disk_use.measure import due_people, is_due, measure_disk_use
from tests.harness import NOON, Harness

ALICE, BOB = Person(70001, "alice"), Person(70002, "bob")
PEOPLE = {70001: ALICE, 70002: BOB}
NOTHING = DiskUsage(layers_bytes=0, images=(), containers=(), volumes=(), build_cache_bytes=0)


def rows(usage: DiskUsage) -> dict[tuple[str, str | None], int]:
    found = engine_rows(usage, {"c1": ALICE}, PEOPLE)
    return {(row["kind"], row["user"]): row["bytes"] for row in found}


def test_images_belong_to_whose_repository_they_are_in() -> None:
    images = (
        DiskItem("1", ("ds01-70001/thesis:latest", "ds01-70001/thesis:thesis._.70001"), 300),
        DiskItem("2", ("pytorch/pytorch:latest", "pytorch/pytorch:thesis._.70001"), 500),
        DiskItem("3", (), 50),
    )
    found = rows(replace(NOTHING, layers_bytes=2000, images=images))
    assert found["images", "alice"] == 300
    assert found["images", "bob"] == 0
    assert found["images", None] == 1700


def test_containers_belong_to_whose_record_names_them() -> None:
    containers = (DiskItem("c1", ("thesis._.70001",), 10), DiskItem("c2", ("fake._.70001",), 7))
    found = rows(replace(NOTHING, containers=containers))
    assert (found["containers", "alice"], found["containers", None]) == (10, 7)


def test_what_docker_did_not_measure_is_missing() -> None:
    found = rows(replace(NOTHING, images=(DiskItem("1", ("ds01-70001/x:latest",), None),), build_cache_bytes=None,
                         volumes=(DiskItem("v", ("v",), None),)))  # fmt: skip
    assert {kind for kind, _ in found} == {"containers"}


def test_a_users_sum_needs_every_kind() -> None:
    parts = [DiskUseView(kind, "alice", 70001, 1, NOON - age * timedelta(minutes=1))
             for age, kind in enumerate(("images", "containers", "workspaces"))]  # fmt: skip
    assert user_disk_use(tuple(parts), 70001) == (3, NOON - timedelta(minutes=2))
    assert user_disk_use(tuple(parts[:2]), 70001) == (None, None)


def test_due_once_an_hour_and_after_a_clock_that_was_wrong() -> None:
    assert is_due(None, NOON)
    assert not is_due("2026-11-30T11:01:00Z", NOON)
    assert is_due("2026-11-30T11:00:00Z", NOON)
    assert is_due("2031-01-01T00:00:00Z", NOON)
    assert is_due({"damaged": 1}, NOON)


def test_who_was_not_tried_for_longest_is_first() -> None:
    before = {"70001": {"tried_at": "2026-11-30T10:30:00Z"}, "70002": {"tried_at": "2026-11-30T10:00:00Z"}}
    new = Person(70003, "carol")
    assert due_people([ALICE, BOB, new], before, NOON) == [new, BOB, ALICE]


@pytest.fixture
def measured(harness: Harness) -> Harness:
    """alice and bob have a container each; alice's workspace has a megabyte."""
    for login in ("alice", "bob"):
        harness.gate.create(harness.actor(login), harness.request(login))
    path = harness.home("alice") / "workspace" / "thesis" / "data"
    path.write_bytes(b"x" * (1 << 20))
    return harness


def view(harness: Harness) -> ServerView:
    return harness.gate.run(harness.actor("root"), GetServerView())


def workspaces(harness: Harness) -> dict[str | None, int]:
    return {use.user: use.bytes for use in view(harness).disk_use if use.kind == "workspaces"}


def test_nothing_is_known_before_it_was_measured(measured: Harness) -> None:
    assert view(measured).disk_use == ()
    assert {user.disk_bytes for user in view(measured).users} == {None}


def test_measured_figures_have_their_time(measured: Harness) -> None:
    assert measure_disk_use(measured.context) == []
    measured.clock.advance(minutes=20)
    found = view(measured)
    alice = next(user for user in found.users if user.user == "alice")
    assert alice.disk_bytes is not None
    assert alice.disk_bytes >= 1 << 20
    assert alice.disk_measured_at == NOON
    assert {use.kind for use in found.disk_use} == {"images", "containers", "volumes", "build_cache", "workspaces"}
    assert sum(use.bytes for use in found.disk_use if use.kind == "images") == 1_000_000


def test_it_is_measured_again_after_an_hour(measured: Harness) -> None:
    measure_disk_use(measured.context)
    (measured.home("alice") / "workspace" / "thesis" / "data").unlink()
    measured.clock.advance(minutes=59)
    measure_disk_use(measured.context)
    assert workspaces(measured)["alice"] >= 1 << 20
    measured.clock.advance(minutes=1)
    measure_disk_use(measured.context)
    assert workspaces(measured)["alice"] < 1 << 20


def test_no_answer_keeps_the_last_figures(measured: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    measure_disk_use(measured.context)
    before = [use for use in view(measured).disk_use if use.kind != "workspaces"]
    measured.clock.advance(hours=1)

    def fail() -> DiskUsage:
        raise EngineUnreachable("Docker does not answer")

    monkeypatch.setattr(measured.context.engine, "disk_usage", fail)
    assert measure_disk_use(measured.context) == ["Docker's disk use: Docker does not answer"]
    assert [use for use in view(measured).disk_use if use.kind != "workspaces"] == before
    measured.clock.advance(minutes=5)
    assert measure_disk_use(measured.context) == []  # not asked again before an hour has passed


def test_a_home_that_is_away_keeps_the_last_figure(measured: Harness) -> None:
    measure_disk_use(measured.context)
    before = workspaces(measured)
    measured.home("alice").rename(measured.root / "away")
    measured.clock.advance(hours=1)
    assert measure_disk_use(measured.context) == ["the workspaces of alice could not be measured"]
    assert workspaces(measured) == before
    times = {use.user: use.measured_at for use in view(measured).disk_use if use.kind == "workspaces"}
    assert (times["alice"], times["bob"]) == (NOON, NOON + timedelta(hours=1))


def test_who_is_not_reached_in_time_comes_first_the_next_time(
    measured: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    time = [0.0]

    def slow(context: object, person: Person, seconds: float, clock: object) -> dict[str, int]:
        seen.append(person.login)
        time[0] += 59.5
        return {"bytes": 1, "unreadable": 0}

    monkeypatch.setattr(measure, "_workspace_size", slow)
    measure_disk_use(measured.context, clock=lambda: time[0])
    measured.clock.advance(minutes=5)
    measure_disk_use(measured.context, clock=lambda: time[0])
    assert seen == ["alice", "bob"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads the files of others")
def test_workspaces_are_read_with_the_owners_rights(measured: Harness) -> None:
    secret = measured.home("bob") / "workspace" / "secret"
    secret.mkdir(mode=0o700)
    (secret / "data").write_bytes(b"x" * (1 << 20))  # root's, and bob cannot enter
    measure_disk_use(measured.context)
    document = measured.context.ledger.document("disk-use").read()
    assert document["workspaces"]["70002"]["bytes"] < 1 << 20
    assert document["workspaces"]["70002"]["unreadable"] == 1


def test_a_damaged_document_is_measured_anew(measured: Harness) -> None:
    path = measured.state / "tick-disk-use.json"
    for content in ("[]", '{"engine": 3, "workspaces": {"x": 1, "70001": {"bytes": "many"}}}', "{"):
        path.write_text(content)
        assert disk_use_views(measured.context.ledger.document("disk-use").read()) == ()
        measure_disk_use(measured.context)
        assert workspaces(measured)["alice"] >= 1 << 20


def test_the_document_is_readable_for_everybody(measured: Harness) -> None:
    measure_disk_use(measured.context)
    path = measured.state / "tick-disk-use.json"
    assert path.stat().st_mode & 0o777 == 0o644
    assert set(json.loads(path.read_text())) == {"engine", "workspaces"}
