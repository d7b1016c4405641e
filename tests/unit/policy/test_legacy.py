"""Policies of all published versions of ds01-infra become valid policies with the same meaning."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ds01.errors import PolicyUnreadable
from ds01.policy.legacy.convert import ImportedPolicy, import_policy
from ds01.policy.model import Network, Policy
from ds01.policy.reading.load import load
from ds01.policy.resolve import resolve
from tests.harness import NOON
from tests.policy_texts import policy_errors

# One for each form: the first version, the one with MIG, the one with hours, and the newest.
FIRST = """\
defaults:
  gpus: 1
  gpu_memory: null
  cpus: 16
  memory: 32g
  memory_swap: 32g
  shm_size: 16g
  pids_limit: 4096
  idle_timeout: 48h
groups:
  researchers: {members: [], gpus: 2, memory: 64g, memory_swap: 64g}
  admins: {members: [chief], gpus: all, idle_timeout: null}
user_overrides:
gpu_allocation: {strategy: round_robin, pin_gpu: true, allow_multi_gpu: false}
policies: {auto_stop_idle: true, checkpoint_warning: 36h, max_containers_per_user: 5}
advanced: {enable_mig: true, enable_mps: true, network_mode: host, restart_policy: unless-stopped}
"""
MIG = """\
defaults:
  max_mig_instances: 2
  max_gpus_per_container: 1
  allow_full_gpu: no
  max_cpus: 16
  memory: 32G
  io_read_bps: 500M
  ulimit_nofile: 65535
  storage_workspace: 100G
  max_runtime: 24h
  idle_timeout: 0.5h
  max_tasks: 512
default_group: student
groups:
  student: {members: [], max_concurrent_containers: 2, gpu_time_limit: 48h, gpu_idle_threshold: 10}
user_overrides:
  john_doe:
    max_mig_instances: 4
    reservation_start: "2026-11-01T00:00:00"
    reservation_end: "2026-12-08T00:00:00"
    reserved_gpus: [0, 1.2]
    reason: "Thesis deadline"
gpu_allocation:
  enable_mig: true
  mig_strategy: auto
  mig_profile: 2g.20gb
  mig_gpus:
    0: {enable: false, profile: null}
    1: {enable: true, profile: 1g.10gb, instances: 4}
wizard:
  error_messages:
    no_gpu_available: |
      ⚠️ No GPUs Available

      Wait.
"""
NEWEST = """\
defaults:
  max_gpu_equivalents: 1.0
  max_gpu_slots_per_container: 1
  memory: 32g
  max_runtime_h: 24
  idle_timeout_h: 0.5
  gpu_hold_after_stop_h: 0.25
  container_hold_after_stop_h: null
  max_tasks: 32768
default_group: student
enforcement: {aggregate_limits: true, cgroup_driver: systemd}
groups:
  student:
    max_gpu_equivalents: 3.0
    aggregate: {cpu_quota: "9600%", memory_max: "96G", memory_high: "86G", tasks_max: 12288, gpu_limit: 3.0}
    policies: {gpu_idle_threshold: 5, idle_detection_window: 3}
  researcher:
    max_gpu_slots_per_container: 3
    max_tasks: 65536
    aggregate: {tasks_max: 327680, gpu_limit: 6.0}
  admin:
    max_gpu_equivalents: null
policies:
  gpu_idle_threshold: 5
  cpu_idle_threshold: 2.0
  network_idle_threshold: 1048576
  keepalive_max_duration_h: 24
  sigterm_grace_s: 45
  created_container_timeout_m: 20
  high_demand_threshold: 0.8
container_types:
  devcontainer: {idle_timeout_h: null, max_runtime_h: 168}
monitoring: {infrastructure_containers: [ds01-grafana], infrastructure_label: ds01.protected}
access_control: {admin_users: [chief], admin_group: ds01-admin, wrapper: {debug_level: 0}}
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return the directory of an old installation's configuration."""
    folder = tmp_path / "old"
    (folder / "groups").mkdir(parents=True)
    return folder


def convert(old: Path, text: str, tmp_path: Path) -> tuple[Policy, ImportedPolicy]:
    """Return the new policy, loaded as by ds01, and the messages."""
    (old / "resource-limits.yaml").write_text(text)
    done = import_policy(old / "resource-limits.yaml", timezone.utc)
    new = tmp_path / "new.yaml"
    new.write_text(done.text)
    return load(new, zone=timezone.utc), done


def changed(done: ImportedPolicy) -> dict[str, str]:
    return {change.key: change.text for change in done.changes}


def test_the_first_form(old: Path, tmp_path: Path) -> None:
    policy, done = convert(old, FIRST, tmp_path)
    assert policy.defaults == {
        "max_mig_instances": 1, "max_cpus": 16.0, "memory": 32 << 30, "memory_swap": None, "shm_size": 16 << 30,
        "pids_limit": 4096, "idle_timeout": timedelta(hours=48), "max_containers_per_user": 5,
    }  # fmt: skip
    assert policy.groups["researchers"].values == {"max_mig_instances": 2, "memory": 64 << 30, "memory_swap": None}
    assert policy.groups["admins"].values == {"max_mig_instances": None, "idle_timeout": None}
    assert policy.groups["admins"].members == {"chief"}
    assert (policy.network, policy.gpu_allocation.enable_mig) == (Network.HOST, True)
    assert changed(done)["defaults.cpus"] == "now max_cpus: 16"
    assert changed(done)["policies.max_containers_per_user"] == "now defaults.max_containers_per_user: 5"


def test_the_form_with_mig(old: Path, tmp_path: Path) -> None:
    policy, _ = convert(old, MIG, tmp_path)
    assert policy.defaults == {
        "max_mig_instances": 2, "max_gpus_per_container": 1, "allow_full_gpu": False, "max_cpus": 16.0,
        "memory": 32 << 30, "idle_timeout": timedelta(minutes=30), "max_runtime": timedelta(hours=24),
        "ulimits.nofile": 65535, "aggregate.max_tasks": 512,
    }  # fmt: skip
    assert policy.groups["student"].values == {"max_containers_per_user": 2, "max_runtime": timedelta(hours=48)}
    assert policy.default_group == "student"
    assert policy.gpu_allocation.mig_profile == "1g.10gb", "what the GPUs are set up with"
    (reservation,) = policy.reservations
    assert (reservation.user, reservation.slots, reservation.reason) == ("john_doe", ("0", "1:2"), "Thesis deadline")
    assert reservation.start == datetime(2026, 11, 1, tzinfo=timezone.utc)
    assert policy.user_overrides["john_doe"].values == {"max_mig_instances": 4}
    assert policy.user_overrides["john_doe"].reason == "Thesis deadline"


def test_the_newest_form(old: Path, tmp_path: Path) -> None:
    (old / "groups" / "student.members").write_text("# students\n204214@uni.lan\nanna  # a comment\ngone\n")
    (old / "groups" / "admin.members").write_text("chief\n")
    (old / "groups" / "archived.members").write_text("gone\n")
    (old / "group-overrides.txt").write_text("# login:group\nprof@uni.lan:researcher  # a professor\nanna:researcher\n")
    (old / "user-overrides.yaml").write_text("204214@uni.lan:\n  idle_timeout_h: null\n  max_runtime_h: 48\n")
    (old / "lifecycle-exemptions.yaml").write_text(
        'exemptions:\n  - username: "204214@uni.lan"\n    exempt_from: [idle_timeout_h, max_runtime_h]\n'
        "    reason: continuous training\n    approved_by: chief\n    expires_on: null\n"
        '  - {username: anna, exempt_from: [idle_timeout], expires_on: "2026-12-31T23:59:59Z"}\n'
    )
    policy, _ = convert(old, NEWEST, tmp_path)
    assert policy.defaults == {
        "max_mig_instances": 1, "max_gpus_per_container": 1, "memory": 32 << 30, "idle_timeout": timedelta(minutes=30),
        "max_runtime": timedelta(hours=24), "gpu_hold_after_stop": timedelta(minutes=15),
        "container_hold_after_stop": None, "aggregate.max_tasks": 32768,
    }  # fmt: skip
    assert policy.groups["student"].values == {
        "max_mig_instances": 3, "aggregate.max_cpus": 96.0, "aggregate.memory": 96 << 30, "aggregate.max_tasks": 12288,
    }  # fmt: skip
    assert policy.groups["researcher"].values["max_mig_instances"] == 6
    assert policy.groups["researcher"].values["aggregate.max_tasks"] == 327680
    members = {name: set(group.members) for name, group in policy.groups.items()}
    assert members == {"student": {"204214@uni.lan", "anna"}, "researcher": {"prof@uni.lan"}, "admin": {"chief"}}
    assert policy.groups["admin"].admin and not policy.groups["researcher"].admin
    assert policy.user_overrides["204214@uni.lan"].values == {"idle_timeout": None, "max_runtime": timedelta(hours=48)}
    assert [(item.user, item.limits, item.until) for item in policy.exemptions] == [
        ("204214@uni.lan", ("idle_timeout", "max_runtime"), None),
        ("anna", ("idle_timeout",), datetime(2026, 12, 31, 23, 59, 59, tzinfo=timezone.utc)),
    ]
    rules = policy.policies
    assert (rules.idle_cpu_percent, rules.idle_gpu_percent, rules.stop_grace) == (2.0, 5.0, timedelta(seconds=45))
    assert (rules.keep_alive_max, rules.created_timeout) == (timedelta(hours=24), timedelta(minutes=20))
    assert policy.outside.ignore_containers == ("dcgm-exporter", "ds01-grafana")
    assert resolve(policy, "anna", (), NOON).limits.idle_timeout is None


@pytest.mark.parametrize("form", [FIRST, MIG, NEWEST], ids=["first", "MIG", "newest"])
def test_no_old_key_remains(form: str, old: Path, tmp_path: Path) -> None:
    assert convert(old, form, tmp_path)[0].old_keys == ()


GONE = {
    "gpu_memory": FIRST, "checkpoint_warning": FIRST, "restart_policy": FIRST, "io_read_bps": MIG,
    "storage_workspace": MIG, "gpu_idle_threshold": MIG, "instances": MIG, "no_gpu_available": MIG,
    "memory_high": NEWEST, "idle_detection_window": NEWEST, "network_idle_threshold": NEWEST,
    "container_types.devcontainer.max_runtime_h": NEWEST, "access_control.admin_group": NEWEST,
}  # fmt: skip


@pytest.mark.parametrize("key", GONE)
def test_key_without_a_counterpart_becomes_a_comment(key: str, old: Path, tmp_path: Path) -> None:
    _, done = convert(old, GONE[key], tmp_path)
    comments = [line.strip() for line in done.text.splitlines() if line.strip().startswith("# ") and f"{key}: " in line]
    assert len(comments) == 1, done.text
    said = [change for change in done.changes if change.key.endswith(key)]
    assert [change.text.startswith("not taken over: ") for change in said] == [True]
    lines = (old / "resource-limits.yaml").read_text().splitlines()
    assert key.rpartition(".")[2] in lines[said[0].line - 1]


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("defaults: {max_gpu_equivalents: 2.5}", "max_mig_instances", 2),
        ("defaults: {max_gpu_equivalents: 0.286}", "max_mig_instances", 1),
        ("defaults: {max_gpu_equivalents: 0}", "max_mig_instances", 0),
        ("defaults: {max_gpu_slots: 3, max_mig_instances: 7}", "max_mig_instances", 3),
        ("defaults: {max_mig_per_container: null}", "max_gpus_per_container", None),
        ("defaults: {memory: 64GB}", "memory", 64 << 30),
        ("defaults: {memory: 34359738368}", "memory", 32 << 30),
        ("defaults: {allow_full_gpu: True}", "allow_full_gpu", True),
        ("defaults: {max_runtime_h: 0.01}", "max_runtime", timedelta(seconds=36)),
        ("defaults: {aggregate: {cpu_quota: '150%'}}", "aggregate.max_cpus", 1.5),
        ("defaults: {priority: 90}", "priority", 90),
        ("policies: {auto_stop_idle: false}", "idle_timeout", None),
    ],
)
def test_values(text: str, key: str, value: object, old: Path, tmp_path: Path) -> None:
    policy, _ = convert(old, text, tmp_path)
    assert (key in policy.defaults, policy.defaults.get(key)) == (True, value)


@pytest.mark.parametrize(
    "text",
    ["defaults: 3", "groups: [a]", "user_overrides: x", "exemptions: {a: b}", "policies: [1]", "default_group: [a]",
     "groups: {a-b: {}, a_b: {max_cpus: 2}}", "gpu_allocation: {enable_mig: maybe}"],
)  # fmt: skip
def test_nothing_is_left_out_silently(text: str, old: Path, tmp_path: Path) -> None:
    _, done = convert(old, text, tmp_path)
    assert any(change.text.startswith("not taken over: ") for change in done.changes)


def test_members_of_unknown_groups_are_named(old: Path, tmp_path: Path) -> None:
    (old / "groups" / "faculty.members").write_text("# faculty\ndora\nema\n")
    (old / "group-overrides.txt").write_text("gina:faculty\nhans:student\n")
    policy, done = convert(old, "groups: {student: {}}", tmp_path)
    said = [str(change) for change in done.changes if change.text.startswith("not taken over: ")]
    assert policy.groups["student"].members == {"hans"} and len(said) == 2
    assert "faculty.members:2:" in said[0] and "dora, ema" in said[0] and "group-overrides.txt:1: gina" in said[1]


def test_invalid_value_in_policies_becomes_a_comment(old: Path, tmp_path: Path) -> None:
    _, done = convert(old, "policies: {gpu_idle_threshold: 5%}", tmp_path)
    assert "5%" in changed(done)["policies.gpu_idle_threshold"]


@pytest.mark.parametrize(
    "text", ["defaults: {memory: 32g, memory_swap: 16g}",
             "defaults: {memory: 32g, memory_swap: 48g}\ngroups: {a: {memory: 64g}}",
             "defaults: {memory: null, memory_swap: 16g}"],
)  # fmt: skip
def test_swap_below_memory_becomes_null(text: str, old: Path, tmp_path: Path) -> None:
    policy, done = convert(old, text, tmp_path)
    levels = [policy.defaults, *(group.values for group in policy.groups.values())]
    assert levels[-1]["memory_swap"] is None
    assert "it was less than memory" in done.changes[-1].text


@pytest.mark.parametrize(
    "text", ["defaults: {max_runtime: 48}", "defaults: {memory: lots}", "defaults: {max_cpus: [8]}",
             "defaults: {priority: 500}", "defaults: {aggregate: {cpu_quota: fast}}"],
)  # fmt: skip
def test_invalid_value_is_reported_and_left_out(text: str, old: Path, tmp_path: Path) -> None:
    policy, done = convert(old, text, tmp_path)
    assert policy.defaults == {}
    assert [change.text.startswith("not taken over: ") for change in done.changes] == [True]


def test_disabled_aggregate_limits_stay_disabled(old: Path, tmp_path: Path) -> None:
    policy, _ = convert(old, NEWEST.replace("aggregate_limits: true", "aggregate_limits: false"), tmp_path)
    assert not [key for group in policy.groups.values() for key in group.values if key.startswith("aggregate")]


def test_time_without_a_zone_is_in_the_servers_zone(old: Path) -> None:
    (old / "resource-limits.yaml").write_text(MIG)
    done = import_policy(old / "resource-limits.yaml", ZoneInfo("Europe/Berlin"))
    assert 'from: "2026-10-31T23:00:00Z"' in done.text


@pytest.mark.parametrize(
    "reservation", ["reserved_gpus: [0]", "reservation_start: 2026-11-01, reservation_end: 2026-12-01",
                    "reservation_start: soon, reservation_end: 2026-12-01, reserved_gpus: [0]",
                    "reservation_start: 2026-12-01, reservation_end: 2026-11-01, reserved_gpus: [0]",
                    "reservation_start: 2026-11-01, reservation_end: 2026-12-01, reserved_gpus: [all]"],
)  # fmt: skip
def test_invalid_reservation_becomes_a_comment(reservation: str, old: Path, tmp_path: Path) -> None:
    policy, done = convert(old, f"user_overrides:\n  anna: {{max_cpus: 3, {reservation}}}\n", tmp_path)
    assert policy.reservations == () and policy.user_overrides["anna"].values == {"max_cpus": 3.0}
    assert "user_overrides.anna.reserv" in done.text


def test_unknown_default_group_is_left_out(old: Path, tmp_path: Path) -> None:
    policy, done = convert(old, "default_group: nobody\ngroups: {student: {members: []}}", tmp_path)
    assert policy.default_group is None
    assert "group nobody does not exist" in changed(done)["default_group"]


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "just text"])
def test_file_that_is_not_a_policy_is_refused(text: str, old: Path) -> None:
    (old / "resource-limits.yaml").write_text(text)
    with pytest.raises(PolicyUnreadable):
        import_policy(old / "resource-limits.yaml", timezone.utc)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("cpus", "today `max_cpus`"),
        ("memory_max", "today `aggregate.memory`"),
        ("tasks_max", "today `aggregate.max_tasks`"),
        ("gpu_limit", "today `max_mig_instances`"),
        ("max_gpu_equivalents", "today `max_mig_instances`"),
        ("memory_high", "without a counterpart"),
        ("storage_data", "without a counterpart"),
        ("max_cpu", "perhaps `max_cpus`?"),
        ("max-cpus", "perhaps `max_cpus`?"),
        ("idle_timeuot", "perhaps `idle_timeout`?"),
        ("max_gpu_per_container", "perhaps `max_gpus_per_container`?"),
    ],
)
def test_an_unknown_key_is_explained(key: str, says: str, tmp_path: Path) -> None:
    assert says in policy_errors(tmp_path, f"defaults: {{{key}: 3}}")[0]["problem"]


@pytest.mark.parametrize(
    "key", ["max_gpus", "idle_timeout_m", "memory_limit", "max_memory", "gpu_timeout", "soft_memory"]
)
def test_similar_key_with_another_meaning_is_not_suggested(key: str, tmp_path: Path) -> None:
    assert policy_errors(tmp_path, f"defaults: {{{key}: 3}}")[0]["problem"] == "unknown key"
