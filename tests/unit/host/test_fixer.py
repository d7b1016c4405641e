"""The fixes of `ds01 doctor --fix`, on real files, the simulated engine, and a fake systemctl."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ds01.automation import last_good_policy
from ds01.engines.protocol import ContainerStatus
from ds01.errors import Ds01Error
from ds01.host import layout, machine_facts, slice_limits
from ds01.host.checks import machine as check_machine
from ds01.host.checks.doctor import fixes_of
from ds01.host.checks.facts import DoctorFacts, LastTick
from ds01.host.checks.findings import (
    ApplySliceLimits,
    CreateDirectory,
    CreateGroup,
    CreateLink,
    ReconcileRecords,
    RewriteGpuState,
    SetMode,
)
from ds01.host.checks.fixer import Fixer
from ds01.host.checks.state import modes
from ds01.host.systemd import Systemd
from ds01.policy.reading.load import load_sources
from ds01.records.state_machine import State
from tests.harness import NOON, Harness, umask

WHY = "it was found so"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="files are given to others, which only root can")


@pytest.fixture
def fixer(harness: Harness) -> Fixer:
    return Fixer(harness.actor("root"), lambda: harness.context, harness.context.emit)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@needs_root
def test_modes_spoilt_by_umask_077_are_fixed(fast_tmp: Path, fixer: Fixer) -> None:
    state, log = fast_tmp / "state", fast_tmp / "log"
    kept = ("last-good-policy/resource-limits.yaml", "last-good-policy/groups/students.members", "image-facts/0a.json")
    folders = (
        "container-metadata/removed",
        "locks",
        "notices",
        "image-facts",
        "last-good-policy",
        "last-good-policy/groups",
    )
    for name in folders:
        (state / name).mkdir(parents=True, mode=0o700)
    for name in ("container-metadata/x._.1.json", "locks/ledger.lock", "installation", "tick.json", "notices/7.jsonl",
                 *kept):  # fmt: skip
        (state / name).touch(mode=0o600)

    def look() -> DoctorFacts:
        return DoctorFacts(now=NOON, sandbox=False, entries=tuple(layout.file_entries(state, log, 999)))

    def apply_fixes() -> None:
        for finding in modes(look()):
            for fix in finding.fixes:
                fixer.apply(fix, WHY)

    assert next(fix for finding in modes(look()) for fix in finding.fixes) == CreateDirectory(str(log), 0o2775, 999)
    apply_fixes()
    logs = ("events.jsonl", "gpu-allocations.log", "tick.log")
    for name in (*logs, "notes.txt"):
        (log / name).touch(mode=0o600)
    log.chmod(0o700)
    apply_fixes()
    assert list(modes(look())) == []
    assert mode(state) == mode(log) == mode(state / "locks") == 0o2775
    assert mode(state / "image-facts") == 0o2775
    assert mode(state / "container-metadata" / "x._.1.json") == 0o664
    assert (state / "locks" / "ledger.lock").stat().st_gid == 999
    assert mode(state / "last-good-policy") == mode(state / "last-good-policy" / "groups") == 0o2775
    assert [(mode(state / name), (state / name).stat().st_gid) for name in kept] == [(0o664, 999)] * 3
    assert [mode(log / name) for name in (*logs, "notes.txt")] == [0o664, 0o664, 0o664, 0o600]
    assert (log / "tick.log").stat().st_gid == 999
    notice = (state / "notices" / "7.jsonl").stat()
    assert (stat.S_IMODE(notice.st_mode), notice.st_uid) == (0o600, 7)


@needs_root
def test_last_good_policy_has_the_expected_modes(fast_tmp: Path) -> None:
    with umask(0o077):
        harness = Harness(fast_tmp / "bed", policy="groups: {students: {}}", shared=999)
        (harness.root / "groups").mkdir()
        (harness.root / "groups" / "students.members").write_text("alice\n")
        last_good_policy.save_last_good_policy(
            load_sources(harness.root / "resource-limits.yaml"), harness.open_ledger(), harness.clock()
        )
    found = [entry for entry in layout.file_entries(harness.state, harness.root, 999) if "last-good" in entry.path]
    assert [Path(entry.path).name for entry in found] == [
        "last-good-policy", "groups", "resource-limits.yaml", "students.members",
    ]  # fmt: skip
    assert [entry for entry in found if (entry.mode, entry.gid) != (entry.want_mode, entry.want_gid)] == []


@needs_root
def test_no_link_and_no_second_name_is_followed(fast_tmp: Path, fixer: Fixer) -> None:
    target = fast_tmp / "shadow"
    target.touch(mode=0o600)
    (fast_tmp / "link").symlink_to(target)
    os.link(target, fast_tmp / "name")
    for name in ("link", "name"):
        with pytest.raises((OSError, Ds01Error)):
            fixer.apply(SetMode(str(fast_tmp / name), 0o666), WHY)
    assert mode(target) == 0o600


def test_links_are_made_in_place_of_links_only(fast_tmp: Path, fixer: Fixer) -> None:
    (fast_tmp / "old").symlink_to("/gone/ds01")
    (fast_tmp / "file").touch()
    fixer.apply(CreateLink(str(fast_tmp / "old"), "ds01"), WHY)
    fixer.apply(CreateLink(str(fast_tmp / "char" / "195:0"), "../nvidia0"), WHY)
    assert (fast_tmp / "old").readlink() == Path("ds01")
    assert (fast_tmp / "char" / "195:0").readlink() == Path("../nvidia0")
    with pytest.raises(Ds01Error, match="is not a link"):
        fixer.apply(CreateLink(str(fast_tmp / "file"), "ds01"), WHY)


def test_directory_is_created_with_its_mode(fast_tmp: Path, fixer: Fixer) -> None:
    fixer.apply(CreateDirectory(str(fast_tmp / "log"), 0o2775), WHY)
    assert mode(fast_tmp / "log") == 0o2775


class Programs:
    """Records the programs that were started. `systemctl show` is empty; any call about `broken` fails."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.called: list[Sequence[str]] = []

    def __call__(self, arguments: Sequence[str]) -> str:
        if arguments[1] == "show":
            return f"Id=ds01-students-alice.slice\nMemoryCurrent={9 << 30}\n"
        if self.broken and self.broken in arguments:
            raise Ds01Error("systemctl failed", why="no bus")
        self.called.append(arguments)
        return ""


def test_a_group_is_made(harness: Harness) -> None:
    run = Programs()
    Fixer(harness.actor("root"), lambda: harness.context, harness.context.emit, run=run).apply(
        CreateGroup("docker"), WHY
    )
    assert run.called == [["groupadd", "--system", "--", "docker"]]


@pytest.fixture
def sliced(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """A server whose systemd has limits for alice's tasks, and for all students'."""
    harness.set_policy(
        "groups: {students: {members: [alice], aggregate: {max_tasks: 50}, group_total: {max_tasks: 99}}}"
    )
    monkeypatch.setattr(slice_limits, "is_running", lambda: True)
    facts = replace(harness.engine.info(), cgroup_driver="systemd")
    monkeypatch.setattr(type(harness.engine), "info", lambda engine: facts)
    return harness


def set_slices(harness: Harness, run: Programs) -> None:
    systemd = Systemd(run, control=harness.root)
    Fixer(harness.actor("root"), lambda: harness.context, harness.context.emit, systemd=systemd).apply(
        ApplySliceLimits(), WHY
    )


def test_slices_are_given_the_limits_of_the_policy(sliced: Harness) -> None:
    run = Programs()
    set_slices(sliced, run)
    assert run.called == [
        ["systemctl", "set-property", "--", "ds01-students-alice.slice", "TasksMax=50"],
        ["systemctl", "set-property", "--", "ds01-students.slice", "TasksMax=99"],
    ]
    assert told(sliced) == ["set ds01-students-alice.slice to 50 tasks", "set ds01-students.slice to 99 tasks"]


def test_failed_slice_does_not_stop_the_others(sliced: Harness) -> None:
    with pytest.raises(Ds01Error, match=r"ds01-students-alice\.slice: no bus"):
        set_slices(sliced, Programs(broken="ds01-students-alice.slice"))
    assert told(sliced) == ["set ds01-students.slice to 99 tasks"]


def test_a_slice_whose_memory_is_in_use_waits(sliced: Harness) -> None:
    sliced.set_policy("groups: {students: {members: [alice], aggregate: {memory: 8g}}}")
    run = Programs()
    with pytest.raises(Ds01Error, match=r"ds01-students-alice\.slice uses more memory"):
        set_slices(sliced, run)
    assert run.called == [] and told(sliced) == []


@needs_root
def test_ignored_cron_entry_is_fixed(fast_tmp: Path, fixer: Fixer) -> None:
    entry = fast_tmp / "ds01"
    entry.write_text("*/5 * * * * root ds01 tick\n")
    os.chown(entry, 7, 7)
    entry.chmod(0o666)
    roots = machine_facts.SystemRoots(proc=fast_tmp, cron=entry)

    def look() -> DoctorFacts:
        return DoctorFacts(now=NOON, sandbox=False, cron=machine_facts.read_cron(roots, Systemd(Programs())))

    for fix, found in fixes_of(check_machine.cron(look())).items():
        fixer.apply(fix, found)
    assert list(check_machine.cron(look())) == []
    assert (mode(entry), entry.stat().st_uid, entry.stat().st_gid) == (0o644, 0, 0)


def told(harness: Harness) -> list[object]:
    """What the events of the repairs say was done; each says by whom, and why."""
    facts = [facts for kind, facts in harness.events if kind == "repair"]
    for each in facts:
        assert (each["actor"], each["container"], each["user"], each["why"]) == ("root", None, None, WHY)
    return [each["what"] for each in facts]


@needs_root
def test_every_repair_is_an_event(harness: Harness, fixer: Fixer) -> None:
    folder, link = harness.root / "log", harness.root / "name"
    harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=0))
    harness.engine.remove_by_force(harness.full("alice"))
    harness.events.clear()
    fixer.apply(CreateDirectory(str(folder), 0o2775), WHY)
    fixer.apply(SetMode(str(folder), 0o755, 7, 8), WHY)
    fixer.apply(CreateLink(str(link), "ds01"), WHY)
    fixer.apply(RewriteGpuState(), WHY)
    assert told(harness) == [
        f"created the directory {folder} with mode 2775",
        f"set {folder} to mode 0755, uid 7, gid 8",
        f"created the link {link} to ds01",
        "rewrote gpu-state.json",
    ]
    harness.events.clear()
    Fixer(harness.actor("root"), lambda: harness.context, harness.context.emit, run=Programs()).apply(
        CreateGroup("docker"), WHY
    )
    assert told(harness) == ["created the group docker"]
    harness.events.clear()
    fixer.apply(ReconcileRecords(), WHY)
    assert told(harness) == ["reconciled records with Docker: thesis._.70001: vanish"]
    harness.events.clear()
    fixer.apply(ReconcileRecords(), WHY)
    assert told(harness) == [], "nothing was to be done"


def test_a_repair_that_fails_is_no_event(harness: Harness, fixer: Fixer) -> None:
    with pytest.raises(OSError):
        fixer.apply(SetMode(str(harness.root / "gone"), 0o644), WHY)
    assert told(harness) == []


def test_reconcile_fix_ends_nothing_that_runs(harness: Harness, fixer: Fixer) -> None:
    for name in ("runs", "stopped", "gone"):
        harness.gate.create(harness.actor("alice"), harness.request("alice", name, gpus=0))
        harness.gate.start(harness.actor("alice"), harness.full("alice", name))
    harness.engine.kill(harness.full("alice", "stopped"))
    harness.engine.remove_by_force(harness.full("alice", "gone"))
    harness.record_file("alice", "runs").write_text("{")
    fixer.apply(ReconcileRecords(), WHY)
    assert {record.name: record.state for record in harness.records()} == {
        "runs": State.RUNNING,
        "stopped": State.STOPPED,
    }
    seen = harness.engine.inspect(harness.full("alice", "runs"))
    assert seen is not None and seen.status is ContainerStatus.RUNNING


def drawn(harness: Harness) -> dict[str, object]:
    return json.loads((harness.state / "gpu-state.json").read_text())


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"allocations": []}', '{"allocations": {}}', "\x00" * 9])
def test_damaged_or_missing_gpu_state_is_rewritten(harness: Harness, fixer: Fixer, content: str | None) -> None:
    path = harness.state / "gpu-state.json"
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    before = drawn(harness)
    assert machine_facts.read_gpu_state(path).shown == before["allocations"] != {}
    path.unlink() if content is None else path.write_text(content)
    assert machine_facts.read_gpu_state(path).shown in (None, {})
    assert (machine_facts.read_gpu_state(path).problem is None) is (content in (None, '{"allocations": {}}'))
    harness.clock.advance(minutes=1)
    fixer.apply(RewriteGpuState(), WHY)
    assert drawn(harness) == before | {"last_updated": "2026-11-30T12:01:00Z"}


def test_gpu_state_link_is_not_followed_but_replaced(harness: Harness, fixer: Fixer) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    path, other = harness.state / "gpu-state.json", harness.root / "other"
    path.replace(other)
    path.symlink_to(other)
    assert machine_facts.read_gpu_state(path).problem is not None
    fixer.apply(RewriteGpuState(), WHY)
    assert not path.is_symlink()
    assert machine_facts.read_gpu_state(path).shown


def test_a_picture_that_cannot_be_drawn_is_an_error(harness: Harness, fixer: Fixer) -> None:
    (harness.state / "gpu-state.json").mkdir()
    with pytest.raises(OSError):
        fixer.apply(RewriteGpuState(), WHY)


def test_the_tick_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tick.json"
    assert machine_facts.read_last_tick(path) == LastTick()
    errors = '"errors": [{"container": "x", "action": "stop", "why": "y"}]'
    bad = f'{{"started_at": "2026-11-30T12:00:00Z", {errors}'
    path.write_text(bad + ', "last_good_at": "2026-11-30T11:55:00Z"}')
    assert machine_facts.read_last_tick(path) == LastTick(NOON, NOON - timedelta(minutes=5), ("x: y",))
    path.write_text(bad + ', "last_good_at": null}')
    assert machine_facts.read_last_tick(path) == LastTick(NOON, None, ("x: y",))


def test_older_tick_report_without_errors_counts_as_good(tmp_path: Path) -> None:
    path = tmp_path / "tick.json"
    path.write_text('{"started_at": "2026-11-30T12:00:00Z", "errors": []}')
    assert machine_facts.read_last_tick(path) == LastTick(NOON, NOON)
    path.write_text('{"started_at": "2026-11-30T12:00:00Z", "errors": [{"why": "y"}]}')
    assert machine_facts.read_last_tick(path).last_good_at is None


@pytest.mark.parametrize("content", ["[]", "{", '{"started_at": "then", "errors": []}', '{"errors": []}',
                                     '{"started_at": "2026-11-30T12:00:00Z", "last_good_at": "then"}'])  # fmt: skip
def test_a_tick_that_cannot_be_read_says_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tick.json"
    path.write_text(content)
    assert machine_facts.read_last_tick(path).problem is not None


def test_devices_without_links_are_found(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    (tmp_path / "char").mkdir()
    for number in (0, 1):
        try:
            os.mknod(tmp_path / f"nvidia{number}", stat.S_IFCHR | 0o666, os.makedev(195, number))
        except PermissionError:
            pytest.skip("no device can be made here")
    (tmp_path / "char" / "195:0").symlink_to("../nvidia0")
    assert machine_facts.device_links(tmp_path) == {str(tmp_path / "char" / "195:1"): "../nvidia1"}


def test_swap_that_the_kernel_cannot_limit_is_seen(tmp_path: Path) -> None:
    memory = tmp_path / "sys" / "fs" / "cgroup" / "memory"
    memory.mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9 kB\nSwapTotal:       8 kB\n")
    roots = machine_facts.SystemRoots(dev=tmp_path / "dev", proc=tmp_path / "proc", sys=tmp_path / "sys")
    assert (machine_facts.read_kernel(roots).swap_bytes, machine_facts.read_kernel(roots).limits_swap) == (8192, False)
    (memory / "memory.memsw.limit_in_bytes").touch()
    assert machine_facts.read_kernel(roots).limits_swap is True
