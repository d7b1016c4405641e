"""The repairs that `ds01 doctor --fix` makes, on real files, the simulated engine, and a systemctl that is given."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ds01.automation import lastgood
from ds01.engines.protocol import ContainerStatus
from ds01.errors import Ds01Error
from ds01.host import apply, layout, machine
from ds01.host.checks import machine as check_machine
from ds01.host.checks.doctor import repairs_of
from ds01.host.checks.facts import Facts, Tick
from ds01.host.checks.findings import MakeFolder, MakeGroup, MakeLink, Reconcile, Redraw, SetMode, SetSlices
from ds01.host.checks.mend import Mender
from ds01.host.checks.state import modes
from ds01.host.systemd import Systemd
from ds01.policy.reading.load import load_sources
from ds01.records.machine import State
from tests.bed import NOON, Bed, umask

WHY = "it was found so"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="files are given to others, which only root can")


@pytest.fixture
def mender(bed: Bed) -> Mender:
    return Mender(bed.actor("root"), lambda: bed.context, bed.context.emit)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@needs_root
def test_a_state_folder_that_umask_077_spoilt_is_mended_whole(fast_tmp: Path, mender: Mender) -> None:
    state, log = fast_tmp / "state", fast_tmp / "log"
    kept = ("last-good-policy/resource-limits.yaml", "last-good-policy/groups/students.members")
    for name in ("container-metadata/removed", "locks", "notices", "last-good-policy", "last-good-policy/groups"):
        (state / name).mkdir(parents=True, mode=0o700)
    for name in ("container-metadata/x._.1.json", "locks/ledger.lock", "installation", "tick.json", "notices/7.jsonl",
                 *kept):  # fmt: skip
        (state / name).touch(mode=0o600)

    def look() -> Facts:
        return Facts(now=NOON, own=False, entries=tuple(layout.entries(state, log, 999)))

    def mend() -> None:
        for finding in modes(look()):
            for repair in finding.repairs:
                mender.make(repair, WHY)

    assert next(repair for finding in modes(look()) for repair in finding.repairs) == MakeFolder(str(log), 0o2775, 999)
    mend()
    logs = ("events.jsonl", "gpu-allocations.log", "tick.log")
    for name in (*logs, "notes.txt"):
        (log / name).touch(mode=0o600)
    log.chmod(0o700)
    mend()
    assert list(modes(look())) == []
    assert mode(state) == mode(log) == mode(state / "locks") == 0o2775
    assert mode(state / "container-metadata" / "x._.1.json") == 0o664
    assert (state / "locks" / "ledger.lock").stat().st_gid == 999
    assert mode(state / "last-good-policy") == mode(state / "last-good-policy" / "groups") == 0o2775
    assert [(mode(state / name), (state / name).stat().st_gid) for name in kept] == [(0o664, 999)] * 2
    assert [mode(log / name) for name in (*logs, "notes.txt")] == [0o664, 0o664, 0o664, 0o600]
    assert (log / "tick.log").stat().st_gid == 999
    notice = (state / "notices" / "7.jsonl").stat()
    assert (stat.S_IMODE(notice.st_mode), notice.st_uid) == (0o600, 7)


@needs_root
def test_the_policy_that_the_tick_keeps_has_the_modes_that_are_wanted(fast_tmp: Path) -> None:
    with umask(0o077):
        bed = Bed(fast_tmp / "bed", policy="groups: {students: {}}", shared=999)
        (bed.root / "groups").mkdir()
        (bed.root / "groups" / "students.members").write_text("alice\n")
        lastgood.keep(load_sources(bed.root / "resource-limits.yaml"), bed.open_ledger(), bed.clock())
    found = [entry for entry in layout.entries(bed.state, bed.root, 999) if "last-good" in entry.path]
    assert [Path(entry.path).name for entry in found] == [
        "last-good-policy", "groups", "resource-limits.yaml", "students.members",
    ]  # fmt: skip
    assert [entry for entry in found if (entry.mode, entry.gid) != (entry.want_mode, entry.want_gid)] == []


@needs_root
def test_no_link_and_no_second_name_is_followed(fast_tmp: Path, mender: Mender) -> None:
    target = fast_tmp / "shadow"
    target.touch(mode=0o600)
    (fast_tmp / "link").symlink_to(target)
    os.link(target, fast_tmp / "name")
    for name in ("link", "name"):
        with pytest.raises((OSError, Ds01Error)):
            mender.make(SetMode(str(fast_tmp / name), 0o666), WHY)
    assert mode(target) == 0o600


def test_links_are_made_in_place_of_links_only(fast_tmp: Path, mender: Mender) -> None:
    (fast_tmp / "old").symlink_to("/gone/ds01")
    (fast_tmp / "file").touch()
    mender.make(MakeLink(str(fast_tmp / "old"), "ds01"), WHY)
    mender.make(MakeLink(str(fast_tmp / "char" / "195:0"), "../nvidia0"), WHY)
    assert (fast_tmp / "old").readlink() == Path("ds01")
    assert (fast_tmp / "char" / "195:0").readlink() == Path("../nvidia0")
    with pytest.raises(Ds01Error, match="is not a link"):
        mender.make(MakeLink(str(fast_tmp / "file"), "ds01"), WHY)


def test_a_folder_is_made_with_its_mode(fast_tmp: Path, mender: Mender) -> None:
    mender.make(MakeFolder(str(fast_tmp / "log"), 0o2775), WHY)
    assert mode(fast_tmp / "log") == 0o2775


class Programs:
    """Remembers what was started. `systemctl show` shows nothing; what is told of `broken` fails."""

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


def test_a_group_is_made(bed: Bed) -> None:
    run = Programs()
    Mender(bed.actor("root"), lambda: bed.context, bed.context.emit, run=run).make(MakeGroup("docker"), WHY)
    assert run.called == [["groupadd", "--system", "--", "docker"]]


@pytest.fixture
def sliced(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """A server whose systemd keeps limits: of alice's tasks, and of all students'."""
    bed.set_policy("groups: {students: {members: [alice], aggregate: {max_tasks: 50}, group_total: {max_tasks: 99}}}")
    monkeypatch.setattr(apply, "is_running", lambda: True)
    facts = replace(bed.engine.info(), cgroup_driver="systemd")
    monkeypatch.setattr(type(bed.engine), "info", lambda engine: facts)
    return bed


def set_slices(bed: Bed, run: Programs) -> None:
    systemd = Systemd(run, control=bed.root)
    Mender(bed.actor("root"), lambda: bed.context, bed.context.emit, systemd=systemd).make(SetSlices(), WHY)


def test_slices_are_given_the_limits_of_the_policy(sliced: Bed) -> None:
    run = Programs()
    set_slices(sliced, run)
    assert run.called == [
        ["systemctl", "set-property", "--", "ds01-students-alice.slice", "TasksMax=50"],
        ["systemctl", "set-property", "--", "ds01-students.slice", "TasksMax=99"],
    ]
    assert told(sliced) == ["gave ds01-students-alice.slice 50 tasks", "gave ds01-students.slice 99 tasks"]


def test_a_slice_that_cannot_be_set_is_said_and_the_others_are_told_of(sliced: Bed) -> None:
    with pytest.raises(Ds01Error, match=r"ds01-students-alice\.slice: no bus"):
        set_slices(sliced, Programs(broken="ds01-students-alice.slice"))
    assert told(sliced) == ["gave ds01-students.slice 99 tasks"]


def test_a_slice_whose_memory_is_in_use_waits(sliced: Bed) -> None:
    sliced.set_policy("groups: {students: {members: [alice], aggregate: {memory: 8g}}}")
    run = Programs()
    with pytest.raises(Ds01Error, match=r"ds01-students-alice\.slice uses more memory"):
        set_slices(sliced, run)
    assert run.called == [] and told(sliced) == []


@needs_root
def test_a_cron_entry_that_cron_ignores_is_mended(fast_tmp: Path, mender: Mender) -> None:
    entry = fast_tmp / "ds01"
    entry.write_text("*/5 * * * * root ds01 tick\n")
    os.chown(entry, 7, 7)
    entry.chmod(0o666)
    roots = machine.Roots(proc=fast_tmp, cron=entry)

    def look() -> Facts:
        return Facts(now=NOON, own=False, cron=machine.cron(roots, Systemd(Programs())))

    for repair, found in repairs_of(check_machine.cron(look())).items():
        mender.make(repair, found)
    assert list(check_machine.cron(look())) == []
    assert (mode(entry), entry.stat().st_uid, entry.stat().st_gid) == (0o644, 0, 0)


def told(bed: Bed) -> list[object]:
    """What the events of the repairs say was done; each says by whom, and why."""
    facts = [facts for kind, facts in bed.events if kind == "repair"]
    for each in facts:
        assert (each["actor"], each["container"], each["user"], each["why"]) == ("root", None, None, WHY)
    return [each["what"] for each in facts]


@needs_root
def test_every_repair_is_an_event(bed: Bed, mender: Mender) -> None:
    folder, link = bed.root / "log", bed.root / "name"
    bed.gate.create(bed.actor("alice"), bed.request("alice", gpus=0))
    bed.engine.remove_by_force(bed.full("alice"))
    bed.events.clear()
    mender.make(MakeFolder(str(folder), 0o2775), WHY)
    mender.make(SetMode(str(folder), 0o755, 7, 8), WHY)
    mender.make(MakeLink(str(link), "ds01"), WHY)
    mender.make(Redraw(), WHY)
    assert told(bed) == [
        f"made the folder {folder} with mode 2775",
        f"gave {folder} mode 0755, uid 7, gid 8",
        f"made {link} a link to ds01",
        "drew gpu-state.json anew",
    ]
    bed.events.clear()
    Mender(bed.actor("root"), lambda: bed.context, bed.context.emit, run=Programs()).make(MakeGroup("docker"), WHY)
    assert told(bed) == ["made the group docker"]
    bed.events.clear()
    mender.make(Reconcile(), WHY)
    assert told(bed) == ["brought records to what Docker says: thesis._.70001: vanish"]
    bed.events.clear()
    mender.make(Reconcile(), WHY)
    assert told(bed) == [], "nothing was to be done"


def test_a_repair_that_fails_is_no_event(bed: Bed, mender: Mender) -> None:
    with pytest.raises(OSError):
        mender.make(SetMode(str(bed.root / "gone"), 0o644), WHY)
    assert told(bed) == []


def test_records_are_brought_to_what_the_engine_says_and_nothing_that_runs_ends(bed: Bed, mender: Mender) -> None:
    for name in ("runs", "stopped", "gone"):
        bed.gate.create(bed.actor("alice"), bed.request("alice", name, gpus=0))
        bed.gate.start(bed.actor("alice"), bed.full("alice", name))
    bed.engine.kill(bed.full("alice", "stopped"))
    bed.engine.remove_by_force(bed.full("alice", "gone"))
    bed.record_file("alice", "runs").write_text("{")
    mender.make(Reconcile(), WHY)
    assert {record.name: record.state for record in bed.records()} == {"runs": State.RUNNING, "stopped": State.STOPPED}
    seen = bed.engine.inspect(bed.full("alice", "runs"))
    assert seen is not None and seen.status is ContainerStatus.RUNNING


def drawn(bed: Bed) -> dict[str, object]:
    return json.loads((bed.state / "gpu-state.json").read_text())


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"allocations": []}', '{"allocations": {}}', "\x00" * 9])
def test_a_picture_that_is_spoilt_or_gone_is_drawn_anew(bed: Bed, mender: Mender, content: str | None) -> None:
    path = bed.state / "gpu-state.json"
    bed.gate.create(bed.actor("alice"), bed.request("alice"))
    before = drawn(bed)
    assert machine.picture(path).shown == before["allocations"] != {}
    path.unlink() if content is None else path.write_text(content)
    assert machine.picture(path).shown in (None, {})
    assert (machine.picture(path).problem is None) is (content in (None, '{"allocations": {}}'))
    bed.clock.advance(minutes=1)
    mender.make(Redraw(), WHY)
    assert drawn(bed) == before | {"last_updated": "2026-11-30T12:01:00Z"}


def test_a_picture_is_not_read_through_a_link_and_drawn_in_its_place(bed: Bed, mender: Mender) -> None:
    bed.gate.create(bed.actor("alice"), bed.request("alice"))
    path, other = bed.state / "gpu-state.json", bed.root / "other"
    path.replace(other)
    path.symlink_to(other)
    assert machine.picture(path).problem is not None
    mender.make(Redraw(), WHY)
    assert not path.is_symlink()
    assert machine.picture(path).shown


def test_a_picture_that_cannot_be_drawn_is_an_error(bed: Bed, mender: Mender) -> None:
    (bed.state / "gpu-state.json").mkdir()
    with pytest.raises(OSError):
        mender.make(Redraw(), WHY)


def test_the_tick_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tick.json"
    assert machine.tick(path) == Tick()
    errors = '"errors": [{"container": "x", "action": "stop", "why": "y"}]'
    bad = f'{{"started_at": "2026-11-30T12:00:00Z", {errors}'
    path.write_text(bad + ', "last_good_at": "2026-11-30T11:55:00Z"}')
    assert machine.tick(path) == Tick(NOON, NOON - timedelta(minutes=5), ("x: y",))
    path.write_text(bad + ', "last_good_at": null}')
    assert machine.tick(path) == Tick(NOON, None, ("x: y",))


def test_a_tick_that_an_older_ds01_wrote_is_good_if_it_says_no_error(tmp_path: Path) -> None:
    path = tmp_path / "tick.json"
    path.write_text('{"started_at": "2026-11-30T12:00:00Z", "errors": []}')
    assert machine.tick(path) == Tick(NOON, NOON)
    path.write_text('{"started_at": "2026-11-30T12:00:00Z", "errors": [{"why": "y"}]}')
    assert machine.tick(path).last_good_at is None


@pytest.mark.parametrize("content", ["[]", "{", '{"started_at": "then", "errors": []}', '{"errors": []}',
                                     '{"started_at": "2026-11-30T12:00:00Z", "last_good_at": "then"}'])  # fmt: skip
def test_a_tick_that_cannot_be_read_says_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tick.json"
    path.write_text(content)
    assert machine.tick(path).problem is not None


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
    assert machine.device_links(tmp_path) == {str(tmp_path / "char" / "195:1"): "../nvidia1"}


def test_swap_that_the_kernel_cannot_limit_is_seen(tmp_path: Path) -> None:
    memory = tmp_path / "sys" / "fs" / "cgroup" / "memory"
    memory.mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9 kB\nSwapTotal:       8 kB\n")
    roots = machine.Roots(dev=tmp_path / "dev", proc=tmp_path / "proc", sys=tmp_path / "sys")
    assert (machine.kernel(roots).swap_bytes, machine.kernel(roots).limits_swap) == (8192, False)
    (memory / "memory.memsw.limit_in_bytes").touch()
    assert machine.kernel(roots).limits_swap is True
