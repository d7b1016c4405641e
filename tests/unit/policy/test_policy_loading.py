"""Loading: the policy has what the file says, and errors name line and key."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml

from ds01.errors import Ds01Error, PolicyUnreadable
from ds01.policy.model import (
    AutomationRules,
    MountRoots,
    Network,
    NotificationSettings,
    OutsideUse,
    Placement,
    Policy,
    PreferredKind,
    Reservation,
)
from ds01.policy.reading.load import load
from tests.policy_texts import EVERY_KEY, error_places, load_text, policy_errors

SHIPPED = Path(__file__).parents[3] / "config" / "resource-limits.yaml"


def test_every_documented_key_is_read(tmp_path: Path) -> None:
    policy = load_text(tmp_path, EVERY_KEY, zone=timezone.utc)
    assert policy.defaults == {
        "max_mig_instances": 1,
        "max_cpus": 8.0,
        "memory": 32 << 30,
        "memory_swap": None,
        "idle_timeout": timedelta(hours=48),
        "gpu_hold_after_stop": timedelta(0),
        "priority": 10,
        "ulimits.memlock": -1,
        "ulimits.stack": 64 << 20,
        "ulimits.nofile": 65536,
        "ulimits.core": None,
    }
    assert list(policy.groups) == ["students", "researchers", "admins"]
    assert policy.default_group == "students"
    assert policy.groups["students"].unix_groups == {"students"}
    assert policy.groups["researchers"].members == {"0123", "1001", "no", "first.last@example.org"}
    assert policy.groups["researchers"].values["memory"] == 64 << 30
    assert policy.groups["researchers"].values["group_total.max_cpus"] == 96.5
    assert policy.groups["admins"].admin and not policy.groups["students"].admin
    assert policy.groups["admins"].values["max_mig_instances"] is None
    assert policy.user_overrides["1234"].values == {"priority": 100}
    thesis = policy.user_overrides["thesis_student"]
    assert (thesis.until, thesis.reason) == (datetime(2027, 3, 31, 23, 59, 59, 999999, timezone.utc), "thesis")
    assert policy.reservations == (
        Reservation(
            slots=("0:0", "0:1", "3"),
            start=datetime(2026, 12, 1, 8, tzinfo=timezone.utc),
            end=datetime(2026, 12, 5, 18, tzinfo=timezone.utc),
            group="researchers",
            reason="no",
        ),
    )
    assert [(item.user, item.limits) for item in policy.exemptions] == [("thesis_student", ("idle_timeout",))]
    assert policy.gpu_allocation.placement is Placement.PACK
    assert policy.gpu_allocation.prefer is PreferredKind.FULL
    assert (policy.gpu_allocation.enable_mig, policy.gpu_allocation.mig_profile) == (False, "2g.20gb")
    assert policy.policies == AutomationRules(
        idle_cpu_percent=1.5,
        idle_network_rate=20480,
        stop_grace=timedelta(seconds=30),
        keep_alive_max=timedelta(days=7),
    )
    assert policy.mounts == MountRoots(("/scratch",), ("/data", "/nfs/data"), ())
    assert (policy.ports, policy.network, policy.reclaim_held) == ((8888,), Network.NONE, True)
    assert policy.server_name == "gpu.example.org"
    assert (policy.status_page, policy.status_page_names) == ("/var/www/ds01/index.html", False)
    assert policy.outside == OutsideUse((), ("Xorg",), 1 << 30, ignore_missing_process_list=True)
    assert policy.notify == NotificationSettings(False, ("/usr/local/bin/tell", "--to", ""))
    assert policy.old_keys == ()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (profile, profile)
        for profile in (
            "1g.5gb", "1g.10gb+me", "1g.24gb+me.all", "1g.24gb-me", "1g.24gb+gfx", "4g.96gb+gfx", "2g.47gb-me.all",
            "1c.2g.20gb", "1c.7g.80gb", "2c.3g.20gb", "1c.1g.10gb+me", "7g.141gb", "1g.24gb+gfx+me.all",
        )
    ]
    + [("MIG 1g.10gb+me", "1g.10gb+me"), ("2G.20GB", "2g.20gb"), ("'mig  2g.20gb'", "2g.20gb")],
)  # fmt: skip
def test_profiles_are_read_as_nvidia_prints_them(tmp_path: Path, written: str, meant: str) -> None:
    assert load_text(tmp_path, f"gpu_allocation: {{mig_profile: {written}}}").gpu_allocation.mig_profile == meant


def test_shipped_policy_equals_the_built_in_defaults(tmp_path: Path) -> None:
    shipped, bare = load(SHIPPED), load_text(tmp_path, "defaults:\n")
    assert shipped.policies == bare.policies
    assert shipped.mounts == bare.mounts
    assert shipped.outside == bare.outside
    assert shipped.notify == bare.notify
    assert shipped.gpu_allocation == bare.gpu_allocation
    assert shipped.server_name is None
    assert (shipped.status_page, shipped.status_page_names) == (bare.status_page, bare.status_page_names)
    assert (shipped.ports, shipped.network, shipped.reclaim_held) == (bare.ports, bare.network, bare.reclaim_held)
    assert all(not group.members for group in shipped.groups.values())


def test_examples_in_the_shipped_policy_are_valid(tmp_path: Path) -> None:
    lines = SHIPPED.read_text().split("\n")
    begin = next(number for number, line in enumerate(lines) if line.startswith("defaults:"))
    examples = [line.replace("# ", "", 1) if line.startswith(("  # ", "    # ")) else line for line in lines[begin:]]
    policy = load_text(tmp_path, "\n".join(examples))
    assert policy.reservations and policy.exemptions and policy.user_overrides
    assert policy.groups["researchers"].values["group_total.memory"] == 400 << 30


def test_the_shipped_policy_is_quick_to_load() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        load(SHIPPED)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.01


def test_policy_model_loads_without_yaml() -> None:
    code = "import sys, ds01.policy.model, ds01.policy.resolve, ds01.policy.names; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "section", sorted(yaml.safe_load(EVERY_KEY).keys() - {"network", "reclaim_held", "status_page_names"})
)
def test_an_empty_section_is_empty(section: str, tmp_path: Path) -> None:
    assert isinstance(load_text(tmp_path, f"{section}:\n  # nothing but a comment\nreclaim_held: false\n"), Policy)


def test_empty_groups_overrides_and_parts_are_empty(tmp_path: Path) -> None:
    text = "groups:\n  a:\n  b: {members: ,  aggregate: ~, ulimits: null}\nuser_overrides:\n  alice:\n"
    policy = load_text(tmp_path, text)
    assert policy.groups["a"].values == policy.groups["b"].values == {}
    assert policy.user_overrides["alice"].values == {}


LIMIT_ERRORS = [
    ("max_mig_instances", ["-1", "1.5", "0123", "many", "[1]", "true", "1_0", "0x1", '"null"', '""']),
    ("max_gpus_per_container", ["-1", "0.5", "two"]),
    ("allow_full_gpu", ["yes", "no", "on", "off", "True", "1", "null"]),
    ("max_cpus", ["0", "-1", "eight", ".inf", "1e3", "8192.5", "08"]),
    ("memory", ["32", "0", "5m", "0b", "32gb", "-1", "32 g", "9223372036854775808b"]),
    ("memory_swap", ["-1", "64", "1g"]),
    ("shm_size", ["0b", "8"]),
    ("pids_limit", ["0", "-1", "4194305"]),
    ("max_containers_per_user", ["-1", "3.0"]),
    ("idle_timeout", ["48", "48:00", "0", "2 days", "-1h", "{}", "never", "no"]),
    ("max_runtime", ["48", "1h30m", "5300w"]),
    ("gpu_hold_after_stop", ["0", "24"]),
    ("container_hold_after_stop", ["12"]),
    ("max_extension", ["48"]),
    ("priority", ["0", "101", "null", "", "high"]),
    ("ulimits", ["5", "[memlock]"]),
    ("ulimits.memlock", ["-2", "unlimited", "0123", "64mb"]),
    ("ulimits.nofiles", ["1"]),
    ("aggregate", ["5"]),
    ("aggregate.max_cpus", ["0"]),
    ("aggregate.memory", ["192"]),
    ("aggregate.max_tasks", ["0"]),
    ("aggregate.cpus", ["1"]),
    ("group_total.memory", ["400"]),
    ("max_cpu", ["8"]),
    ("idle_timeout_h", ["48h", "-1", "1e1"]),
    ("max_runtime_h", ["many"]),
    ("max_gpus_per_user", ["-1"]),
]


@pytest.mark.parametrize("level", ["defaults", "groups.g", "user_overrides.u"])
@pytest.mark.parametrize(("key", "texts"), LIMIT_ERRORS)
def test_invalid_limit_is_reported_with_line_and_key(level: str, key: str, texts: list[str], tmp_path: Path) -> None:
    if level.startswith("user") and key == "memory_swap":
        texts = [text for text in texts if text != "1g"]  # in an override, that depends on the group
    head = [*level.split("."), *key.split(".")]
    for text in texts:
        lines = ["# first"] + [f"{'  ' * depth}{part}:" for depth, part in enumerate(head)]
        lines[-1] += f" {text}"
        found = policy_errors(tmp_path, "\n".join(lines) + "\n")
        assert [(error["line"], error["key"]) for error in found] == [(len(lines), f"{level}.{key}")], text
        assert found[0]["allowed"]


SERVER_ERRORS = [
    ("default_group: nobody", "default_group"),
    ("default_group: Students", "default_group"),
    ("default_group: [a]", "default_group"),
    ("groups: [a]", "groups"),
    ("groups: {Upper: }", "groups.Upper"),
    ("groups: {a-b: }", "groups.a-b"),
    ("groups: {default: }", "groups.default"),
    ("groups: {a: {members: alice}}", "groups.a.members"),
    ("groups: {a: {members: [alice, ~]}}", "groups.a.members[1]"),
    ("groups: {a: {members: [[alice]]}}", "groups.a.members[0]"),
    ("groups: {a: {members: ['al ice']}}", "groups.a.members[0]"),
    ("groups: {a: {members: ['@b']}}", "groups.a.members[0]"),
    ("groups: {a: {members: [a/b]}}", "groups.a.members[0]"),
    ("groups: {a: {admin: yes}}", "groups.a.admin"),
    ("groups: {a: {until: 2027-01-01}}", "groups.a.until"),
    ("defaults: {admin: true}", "defaults.admin"),
    ("defaults: {members: [alice]}", "defaults.members"),
    ("user_overrides: {alice: {admin: true}}", "user_overrides.alice.admin"),
    ("user_overrides: {alice: {until: tomorrow}}", "user_overrides.alice.until"),
    ("user_overrides: {alice: {until: 2027-03-31T10:00}}", "user_overrides.alice.until"),
    ("user_overrides: {'a b': {}}", "user_overrides.a b"),
    ("user_overrides: {alice: 5}", "user_overrides.alice"),
    ("reservations: {a: b}", "reservations"),
    ("reservations: [5]", "reservations[0]"),
    (
        "reservations: [{for: a, slots: ['0'], from: 2026-01-01T00:00Z, until: 2026-01-01T00:00Z}]",
        "reservations[0].until",
    ),
    ("reservations: [{for: a, slots: ['0'], from: 2026-01-03T00:00Z, until: 2026-01-01}]", "reservations[0].until"),
    ("reservations: [{for: '@x', slots: ['0'], from: 2026-01-01, until: 2026-01-01}]", "reservations[0].for"),
    ("reservations: [{for: 'a b', slots: ['0'], from: 2026-01-01, until: 2026-01-01}]", "reservations[0].for"),
    ("reservations: [{for: a, slots: ['00'], from: 2026-01-01, until: 2026-01-01}]", "reservations[0].slots[0]"),
    ("reservations: [{for: a, slots: ['0:01'], from: 2026-01-01, until: 2026-01-01}]", "reservations[0].slots[0]"),
    ("reservations: [{for: a, slots: [0, 0], from: 2026-01-01, until: 2026-01-01}]", "reservations[0].slots[1]"),
    ("reservations: [{for: a, slots: [], from: 2026-01-01, until: 2026-01-01}]", "reservations[0].slots"),
    ("reservations: [{slots: [0], from: 2026-01-01, until: 2026-01-01}]", "reservations[0].for"),
    ("reservations: [{for: a, slots: [0], until: 2026-01-01}]", "reservations[0].from"),
    ("reservations: [{for: a, slots: [0], from: 2026-01-01}]", "reservations[0].until"),
    ("reservations: [{for: a, from: 2026-01-01, until: 2026-01-01}]", "reservations[0].slots"),
    ("exemptions: [{user: a, from: [idle]}]", "exemptions[0].from[0]"),
    ("exemptions: [{user: a, from: []}]", "exemptions[0].from"),
    ("exemptions: [{from: [idle_timeout]}]", "exemptions[0].user"),
    ("exemptions: [{user: a}]", "exemptions[0].from"),
    ("exemptions: [{user: a, from: [idle_timeout], until: 5}]", "exemptions[0].until"),
    ("gpu_allocation: {enable_mig: on}", "gpu_allocation.enable_mig"),
    ("gpu_allocation: {mig_profile: 20gb}", "gpu_allocation.mig_profile"),
    ("gpu_allocation: {mig_profile: 2g.20gb+}", "gpu_allocation.mig_profile"),
    ("gpu_allocation: {mig_profile: 2g.20gbme}", "gpu_allocation.mig_profile"),
    ("gpu_allocation: {placement: random}", "gpu_allocation.placement"),
    ("gpu_allocation: {prefer: any}", "gpu_allocation.prefer"),
    ("policies: {idle_cpu_percent: -1}", "policies.idle_cpu_percent"),
    ("policies: {idle_gpu_percent: 101}", "policies.idle_gpu_percent"),
    ("policies: {idle_network_rate: 10}", "policies.idle_network_rate"),
    ("policies: {warn_idle_at: 80}", "policies.warn_idle_at"),
    ("policies: {warn_runtime_at: 1.1}", "policies.warn_runtime_at"),
    ("policies: {created_timeout: 30}", "policies.created_timeout"),
    ("policies: {stop_grace: null}", "policies.stop_grace"),
    ("policies: {keep_alive_max: 7}", "policies.keep_alive_max"),
    ("mounts: {data: /data}", "mounts.data"),
    ("mounts: {data: [data]}", "mounts.data[0]"),
    ("mounts: {models: [/models, /a/../etc]}", "mounts.models[1]"),
    ("mounts: {workspace: [/]}", "mounts.workspace[0]"),
    ("ports: 8888", "ports"),
    ("ports: [0]", "ports[0]"),
    ("ports: [8888, 65536]", "ports[1]"),
    ("ports: [8888, 8888]", "ports[1]"),
    ("ports: ['80:80']", "ports[0]"),
    ("network: lan", "network"),
    ("network: null", "network"),
    ("network: ", "network"),
    ("reclaim_held: no", "reclaim_held"),
    ("outside: {ignore_containers: dcgm}", "outside.ignore_containers"),
    ("outside: {ignore_processes: ['']}", "outside.ignore_processes[0]"),
    ("outside: {ignore_graphics_below: 512}", "outside.ignore_graphics_below"),
    ("outside: {ignore_missing_process_list: never}", "outside.ignore_missing_process_list"),
    ("notify: {terminal: 1}", "notify.terminal"),
    ("notify: {command: mail root}", "notify.command"),
    ("notify: {command: [mail, ~]}", "notify.command[1]"),
    ('notify: {command: ["a\\0b"]}', "notify.command[0]"),
    ("default: {}", "default"),
    ("<<: {ports: []}", "<<"),
]


@pytest.mark.parametrize(("text", "key"), SERVER_ERRORS)
def test_invalid_server_key_is_reported_with_line_and_key(text: str, key: str, tmp_path: Path) -> None:
    assert error_places(tmp_path, f"# one\n# two\n{text}\n") == [(3, key)]


def test_all_errors_are_reported_in_line_order(tmp_path: Path) -> None:
    text = "defaults:\n  memory: 32\n  max_cpu: 8\ngroups:\n  a:\n    priority: 0\nports: [0]\ndefault_group: b\n"
    with pytest.raises(PolicyUnreadable) as caught:
        load_text(tmp_path, text)
    error, path = caught.value, tmp_path / "resource-limits.yaml"
    assert error.message == f"The policy {path} has 5 errors."
    first, second, *_ = (error.why or "").split("\n")
    size = "a number with its unit, b, k, m, g or t, like 32g or 1.5g, at least 6m, or null"
    assert first == f"{path}:2: defaults.memory: `32` has no unit; allowed: {size}"
    assert second.startswith(
        f"{path}:3: defaults.max_cpu: unknown key, perhaps `max_cpus`?; allowed: max_mig_instances, "
    )
    assert error.data is not None
    assert [item["line"] for item in error.data["errors"]] == [2, 3, 6, 7, 8]
    assert Ds01Error.from_json(json.loads(json.dumps(error.to_json()))).message == error.message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ports: []\nports: []\n", (2, "ports")),
        ("groups:\n  a: {}\n  b: {}\n  'a': {}\n", (4, "groups.a")),
        ('user_overrides:\n  1001: {}\n  "1001": {}\n', (3, "user_overrides.1001")),
        ("defaults:\n  memory: 8g\n  memory: 64g\n", (3, "defaults.memory")),
        ("defaults:\n  ulimits:\n    core: 0\n    core: 1\n", (4, "defaults.ulimits.core")),
    ],
)
def test_a_repeated_key_is_an_error(text: str, place: tuple[int, str], tmp_path: Path) -> None:
    assert error_places(tmp_path, text) == [place]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ports: &a []\n", (1, "ports")),
        ("defaults: {max_cpus: 8}\nports: *a\n", (2, "ports")),
        ("defaults: &d {max_cpus: &m 8}\n", (1, "defaults")),
        ("groups: {a: &a {members: *a}}\n", (1, "groups.a")),
        ("groups: &g\n  a:\n    members: [*g]\n", (1, "groups")),
        ("defaults:\n  max_cpus: !!int 8\n", (2, "defaults.max_cpus")),
        ("defaults:\n  memory: !!python/object/apply:os.system ['true']\n", (2, "defaults.memory")),
        ("ports: !!binary aGk=\n", (1, "ports")),
        ("? [a]\n: 1\n", (1, "")),
        ("'': 1\n", (1, "")),
        ("defaults: {? {a: b} : c}\n", (1, "defaults")),
    ],
)
def test_anchors_aliases_and_tags_are_errors(text: str, place: tuple[int, str], tmp_path: Path) -> None:
    assert error_places(tmp_path, text)[0] == place


def test_keys_of_older_installations_are_read_and_noted(tmp_path: Path) -> None:
    text = (
        "defaults:\n  max_gpus_per_user: 2\n  max_gpu_slots_per_container: null\n  idle_timeout_h: 0.5\n"
        "groups:\n  a: {gpu_hold_after_stop_h: null}\n"
        "user_overrides:\n  u: {max_runtime_h: 48, container_hold_after_stop_h: 0}\n"
    )
    policy = load_text(tmp_path, text)
    assert policy.defaults == {
        "max_mig_instances": 2,
        "max_gpus_per_container": None,
        "idle_timeout": timedelta(minutes=30),
    }
    assert policy.groups["a"].values == {"gpu_hold_after_stop": None}
    assert policy.user_overrides["u"].values == {
        "max_runtime": timedelta(hours=48),
        "container_hold_after_stop": timedelta(0),
    }
    assert [(old.line, old.key, old.instead) for old in policy.old_keys] == [
        (2, "defaults.max_gpus_per_user", "max_mig_instances: 2"),
        (3, "defaults.max_gpu_slots_per_container", "max_gpus_per_container: null"),
        (4, "defaults.idle_timeout_h", "idle_timeout: 30m"),
        (6, "groups.a.gpu_hold_after_stop_h", "gpu_hold_after_stop: null"),
        (8, "user_overrides.u.max_runtime_h", "max_runtime: 48h"),
        (8, "user_overrides.u.container_hold_after_stop_h", "container_hold_after_stop: 0s"),
    ]


@pytest.mark.parametrize("keys", [("idle_timeout: 1h", "idle_timeout_h: 1"), ("idle_timeout_h: 1", "idle_timeout: 1h")])
def test_an_old_key_beside_the_new_one_is_an_error(keys: tuple[str, str], tmp_path: Path) -> None:
    second = keys[1].partition(":")[0]
    assert error_places(tmp_path, f"defaults:\n  {keys[0]}\n  {keys[1]}\n") == [(3, f"defaults.{second}")]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("defaults:\n  memory: 32g\n  memory_swap: 16g\n", (3, "defaults.memory_swap")),
        ("defaults:\n  memory: null\n  memory_swap: 16g\n", (3, "defaults.memory_swap")),
        ("defaults: {memory_swap: 32g}\ngroups:\n  a: {memory: 64g}\n", (3, "groups.a.memory_swap")),
        ("user_overrides:\n  u: {memory: 2g, memory_swap: 1g}\n", (2, "user_overrides.u.memory_swap")),
    ],
)
def test_swap_that_docker_would_refuse_is_an_error(text: str, place: tuple[int, str], tmp_path: Path) -> None:
    assert error_places(tmp_path, text) == [place]


def test_default_group_must_not_be_admin(tmp_path: Path) -> None:
    assert error_places(tmp_path, "default_group: a\ngroups: {a: {admin: true}}") == [(1, "default_group")]


def test_a_group_may_be_called_default_if_it_is_that(tmp_path: Path) -> None:
    assert load_text(tmp_path, "default_group: default\ngroups: {default: {priority: 5}}").default_group == "default"


def test_invalid_group_is_reported_only_once(tmp_path: Path) -> None:
    text = (
        "default_group: a\ngroups: {a: 5}\nreservations: [{for: '@a', slots: [0], from: 2026-01-01, until: 2026-01-01}]"
    )
    assert error_places(tmp_path, text) == [(2, "groups.a")]


def test_reservation_with_dates_covers_whole_days(tmp_path: Path) -> None:
    text = "reservations: [{for: a, slots: [0], from: 2026-01-01, until: 2026-01-02}]"
    (found,) = load_text(tmp_path, text, zone=timezone.utc).reservations
    assert found.start == datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert found.end == datetime(2026, 1, 3, tzinfo=timezone.utc) - timedelta(microseconds=1)


def test_messages_have_no_line_breaks_or_control_characters(tmp_path: Path) -> None:
    text = '"\\e[31m": 1\n"a\\nb": 1\ndefaults: {memory: "\\e]0;x\\a"}\ngroups: {"\\r": }\n'
    with pytest.raises(PolicyUnreadable) as caught:
        load_text(tmp_path, text)
    lines = (caught.value.why or "").split("\n")
    assert len(lines) == 4 and all(line.isprintable() for line in lines)
