"""Resolving: the same rule for every key, and each value has a known source."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ds01.policy.limit_lines import limit_lines
from ds01.policy.model import Exemption, Group, Limits, Override, Policy
from ds01.policy.reading.load import load
from ds01.policy.resolve import BUILT_IN, automation_for, group_limits, group_of, is_admin, resolve

NOW = datetime(2027, 1, 1, tzinfo=timezone.utc)
POLICY = Policy(
    path=Path("policy"),
    defaults={"max_cpus": 8.0, "memory": 32 << 30, "aggregate.max_cpus": 24.0, "aggregate.memory": 96 << 30},
    default_group="students",
    groups={
        "students": Group("students", unix_groups=frozenset({"stud"}), values={"priority": 10}),
        "researchers": Group(
            "researchers",
            members=frozenset({"alice", "0123"}),
            values={"memory": 64 << 30, "priority": 50, "aggregate.memory": 192 << 30, "ulimits.nofile": 65536},
        ),
        "admins": Group("admins", members=frozenset({"alice"}), admin=True, values={"max_mig_instances": None}),
    },
    user_overrides={
        "alice": Override("alice", {"memory": 128 << 30, "aggregate.max_tasks": 99, "ulimits.stack": None}, NOW),
    },
)


def test_levels_are_merged_field_by_field() -> None:
    alice = resolve(POLICY, "alice", (), NOW)
    assert alice.group == "researchers"
    assert (alice.limits.max_cpus, alice.limits.memory, alice.limits.priority) == (8.0, 128 << 30, 50)
    assert alice.limits.aggregate.max_cpus == 24.0
    assert alice.limits.aggregate.memory == 192 << 30
    assert alice.limits.aggregate.max_tasks == 99
    assert alice.limits.ulimits == {"memlock": -1, "stack": None, "nofile": 65536}
    expected = {
        "max_cpus": "defaults",
        "memory": "user_overrides.alice",
        "priority": "groups.researchers",
        "aggregate.max_cpus": "defaults",
        "aggregate.memory": "groups.researchers",
        "aggregate.max_tasks": "user_overrides.alice",
        "ulimits.memlock": "defaults",
        "ulimits.nofile": "groups.researchers",
        "idle_timeout": "defaults",
    }
    assert {key: alice.sources[key] for key in expected} == expected
    assert alice.sources.keys() == BUILT_IN.keys() | {"ulimits.nofile"}


def test_override_applies_until_its_end() -> None:
    after = resolve(POLICY, "alice", (), NOW + timedelta(microseconds=1))
    assert after.limits.memory == 64 << 30
    assert after.sources["memory"] == "groups.researchers"


def test_first_group_in_file_order_counts() -> None:
    assert group_of(POLICY, "alice", ()) == "researchers"
    assert group_of(POLICY, "alice", ("stud",)) == "students"
    assert group_of(POLICY, "0123", ()) == "researchers"
    assert group_of(POLICY, "123", ()) == "students"


def test_admin_rights_come_from_any_group() -> None:
    assert resolve(POLICY, "alice", (), NOW).admin
    assert is_admin(POLICY, "alice", ("stud",))
    assert not is_admin(POLICY, "bob", ("stud",))


def test_users_without_a_group_get_the_defaults() -> None:
    bob = resolve(replace(POLICY, default_group=None), "bob", (), NOW)
    assert (bob.group, bob.limits.priority, bob.limits.max_cpus) == ("default", Limits().priority, 8.0)
    assert set(bob.sources.values()) == {"defaults"}


def test_unset_limits_are_built_in() -> None:
    assert resolve(Policy(Path("empty")), "bob", (), NOW).limits == Limits()


def test_group_slice_has_the_limits_of_the_group() -> None:
    assert group_limits(POLICY, "researchers").aggregate.memory == 192 << 30
    assert group_limits(POLICY, "default").memory == 32 << 30


def test_exemption_lifts_named_limits_for_one_user_until_its_end() -> None:
    policy = replace(
        POLICY,
        exemptions=(Exemption("alice", ("idle_timeout",), NOW), Exemption("bob", ("max_runtime", "created_timeout"))),
    )
    later = NOW + timedelta(seconds=1)
    assert resolve(policy, "alice", (), later) == resolve(POLICY, "alice", (), later)
    before, now = resolve(POLICY, "alice", (), NOW), resolve(policy, "alice", (), NOW)
    assert before.limits.idle_timeout is not None
    assert now.limits == replace(before.limits, idle_timeout=None)
    assert now.sources["idle_timeout"] == "exemptions"
    assert resolve(policy, "bob", (), NOW + timedelta(days=9999)).limits.max_runtime is None
    assert automation_for(policy, resolve(policy, "bob", (), NOW)) == replace(policy.policies, created_timeout=None)
    assert automation_for(policy, resolve(policy, "alice", (), NOW)) == policy.policies


def test_limit_lines_cover_every_limit() -> None:
    alice = resolve(POLICY, "alice", (), NOW)
    shown = {line.label: line.text for line in limit_lines(alice)}
    assert shown["Memory"] == "128g"
    assert shown["Max MIG Instances"] == "1"
    assert shown["Idle Timeout"] == "48h"
    assert shown["GPU Hold After Stop"] == "24h"
    assert shown["Max Runtime"] == "no limit"
    assert shown["Ulimit memlock"] == "unlimited"
    assert shown["All Containers: Memory"] == "192g"
    assert "Whole Group: Memory" not in shown
    keys = {line.key for line in limit_lines(alice)}
    assert {item.name for item in fields(Limits)} - keys == {"ulimits", "environment", "aggregate", "group_total"}
    assert keys - {""} <= alice.sources.keys()


def test_members_of_a_loaded_policy_resolve_by_their_exact_login(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("groups: {a: {members: [0123, 1e3, first.last@example.org], priority: 7}}")
    policy = load(path)
    assert [resolve(policy, user, (), NOW).group for user in ("0123", "1e3", "first.last@example.org")] == ["a"] * 3
    assert [resolve(policy, user, (), NOW).group for user in ("123", "83", "1000", "first")] == ["default"] * 4
