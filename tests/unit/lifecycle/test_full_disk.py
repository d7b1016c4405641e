"""A state directory that takes nothing more: who only asks is shown what is so."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ds01.errors import Ds01Error
from ds01.records.ledger import NotSaved
from ds01.records.store import commits
from ds01.system import files
from ds01.system.settings import LAST_GOOD_POLICY
from tests import legal
from tests.bed import Bed

ALICE = "thesis._.70001"


@pytest.fixture(params=["records", "counter", "read-only"])
def full(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the disk be full from now on, or read-only."""

    def refuse(number: int) -> Callable[..., Any]:
        def write(*arguments: Any, **more: Any) -> Any:
            raise OSError(number, os.strerror(number))

        return write

    def fill() -> None:
        number = errno.EROFS if request.param == "read-only" else errno.ENOSPC
        monkeypatch.setattr(files, "replace", refuse(number))
        if request.param != "records":
            monkeypatch.setattr(commits, "_write", refuse(number))
        if request.param == "read-only":
            opened = os.open

            def open_for_reading(path: Any, flags: int, *rest: Any, **more: Any) -> int:
                if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not str(path).startswith("/dev/null"):
                    raise OSError(errno.EROFS, "Read-only file system", str(path))
                return opened(path, flags, *rest, **more)

            monkeypatch.setattr(os, "open", open_for_reading)

    return fill


def running(bed: Bed) -> None:
    bed.gate.create(bed.actor("alice"), bed.request("alice"))
    bed.gate.start(bed.actor("alice"), ALICE)
    bed.gate.create(bed.actor("bob"), bed.request("bob"))
    bed.clock.advance(minutes=10)


def test_a_list_shows_a_stop_that_cannot_be_written(bed: Bed, full: Callable[[], None]) -> None:
    running(bed)
    bed.engine.kill(ALICE)
    full()
    bed.events.clear()
    for _ in range(2):
        (seen,) = bed.another_gate().containers(bed.actor("alice"))
        assert seen.state == "held"
        (other,) = bed.another_gate().containers(bed.actor("bob"))
        assert other.state == "created"
    assert bed.kinds() == []  # nothing was recorded, so nothing is told: it would be told at every look


def test_gpu_status_shows_a_removal_that_cannot_be_written(bed: Bed, full: Callable[[], None]) -> None:
    running(bed)
    bed.engine.remove_by_force(ALICE)
    full()
    rows = bed.another_gate().gpus(bed.actor("bob")).slots
    assert [row.state for row in rows if row.container == ALICE] == []
    assert len([row for row in rows if row.container == bed.full("bob")]) == 1
    assert bed.another_gate().containers(bed.actor("alice")) == ()


def test_sizes_and_what_is_left_inside_work_on_a_full_disk(bed: Bed, full: Callable[[], None]) -> None:
    running(bed)
    bed.engine.kill(ALICE)
    full()
    (seen,) = bed.another_gate().sizes(bed.actor("alice"), (ALICE,))
    assert seen.container.state == "held"


def test_what_could_not_be_written_is_recorded_when_there_is_room(
    bed: Bed, full: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    running(bed)
    bed.engine.kill(ALICE)
    full()
    bed.another_gate().containers(bed.actor("alice"))
    monkeypatch.undo()
    assert bed.record("alice").state.value == "running"
    bed.another_gate().containers(bed.actor("alice"))
    assert bed.record("alice").state.value == "held"
    legal.check_settled(bed)


def test_a_command_that_changes_something_says_that_the_disk_is_full(bed: Bed, full: Callable[[], None]) -> None:
    running(bed)
    full()
    with pytest.raises(Ds01Error) as caught:
        bed.another_gate().start(bed.actor("bob"), bed.full("bob"))
    assert isinstance(caught.value, NotSaved) or "cannot be" in caught.value.message


# What a full disk or a kill leaves.


def test_a_line_after_half_a_line_is_a_line_of_its_own(fast_tmp: Path) -> None:
    path = fast_tmp / "events.jsonl"
    files.append(path, b'{"a": 1}\n', mode=0o664)
    with path.open("ab") as file:
        file.write(b'{"half')
    for number in (2, 3):
        files.append(path, b'{"a": %d}\n' % number, mode=0o664)
    assert path.read_bytes().splitlines() == [b'{"a": 1}', b'{"half', b'{"a": 2}', b'{"a": 3}']


def test_a_line_that_only_a_part_was_written_of_is_an_error(fast_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fast_tmp / "events.jsonl"
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
    with pytest.raises(OSError, match="No space"):
        files.append(path, b'{"a": 1}\n', mode=0o664)
    monkeypatch.undo()
    files.append(path, b'{"a": 2}\n', mode=0o664)
    assert path.read_bytes().splitlines() == [b'{"a', b'{"a": 2}']


FOLDERS = (".", "container-metadata", "container-metadata/removed", "locks", "queue", "outbox")
POLICY_FOLDERS = (LAST_GOOD_POLICY, f"{LAST_GOOD_POLICY}/groups")


@pytest.mark.parametrize("where", [*FOLDERS, *POLICY_FOLDERS])
def test_temporary_files_of_killed_commands_go_after_a_while(bed: Bed, where: str) -> None:
    old, new = (bed.state / where / f".{name}.json.123.abcd.tmp" for name in ("old", "new"))
    (bed.state / where).mkdir(parents=True, exist_ok=True)
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (0, 0))
    bed.ledger.clear_up(removed_before=bed.clock())
    assert (old.exists(), new.exists()) == (False, True)


def test_a_directory_in_the_queue_is_nobody_and_is_not_reported(bed: Bed) -> None:
    folder = bed.state / "queue" / "f00.json"
    (folder / "inside").mkdir(parents=True)
    assert bed.ledger.line().waiters() == ()
    assert [bed.ledger.line().drop_gone() for _ in range(2)] == [[], []]
    assert folder.is_dir()


def test_a_waiter_who_cannot_be_looked_at_now_is_not_dropped(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bed.state / "queue" / "f00.json"
    path.write_text("{}")
    opened = os.open

    def failing(name: Any, *arguments: Any, **more: Any) -> int:
        if str(name) == str(path):
            raise OSError(errno.EIO, "Input/output error")
        return opened(name, *arguments, **more)

    monkeypatch.setattr(os, "open", failing)
    assert bed.ledger.line().drop_gone() == []
    monkeypatch.undo()
    assert path.exists()
