"""A state directory that cannot be written: reading commands show the real state."""

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
from tests import invariants
from tests.harness import Harness

ALICE_THESIS = "thesis._.70001"


@pytest.fixture(params=["records", "counter", "read-only"])
def full(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the disk be full from now on, or read-only."""

    def refuse(number: int) -> Callable[..., Any]:
        def write(*arguments: Any, **more: Any) -> Any:
            raise OSError(number, os.strerror(number))

        return write

    def create_container() -> None:
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

    return create_container


def running(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    harness.gate.create(harness.actor("bob"), harness.request("bob"))
    harness.clock.advance(minutes=10)


def test_a_list_shows_a_stop_that_cannot_be_written(harness: Harness, full: Callable[[], None]) -> None:
    running(harness)
    harness.engine.kill(ALICE_THESIS)
    full()
    harness.events.clear()
    for _ in range(2):
        (seen,) = harness.another_gate().containers(harness.actor("alice"))
        assert seen.state == "held"
        (other,) = harness.another_gate().containers(harness.actor("bob"))
        assert other.state == "created"
    assert harness.kinds() == []  # nothing was recorded, so no event: there would be one at every read


def test_gpu_status_shows_a_removal_that_cannot_be_written(harness: Harness, full: Callable[[], None]) -> None:
    running(harness)
    harness.engine.remove_by_force(ALICE_THESIS)
    full()
    rows = harness.another_gate().gpus(harness.actor("bob")).slots
    assert [row.state for row in rows if row.container == ALICE_THESIS] == []
    assert len([row for row in rows if row.container == harness.full("bob")]) == 1
    assert harness.another_gate().containers(harness.actor("alice")) == ()


def test_sizes_and_processes_work_on_a_full_disk(harness: Harness, full: Callable[[], None]) -> None:
    running(harness)
    harness.engine.kill(ALICE_THESIS)
    full()
    (seen,) = harness.another_gate().sizes(harness.actor("alice"), (ALICE_THESIS,))
    assert seen.container.state == "held"


def test_unwritten_change_is_recorded_once_there_is_room(
    harness: Harness, full: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    running(harness)
    harness.engine.kill(ALICE_THESIS)
    full()
    harness.another_gate().containers(harness.actor("alice"))
    monkeypatch.undo()
    assert harness.record("alice").state.value == "running"
    harness.another_gate().containers(harness.actor("alice"))
    assert harness.record("alice").state.value == "held"
    invariants.check_settled(harness)


def test_changing_command_reports_a_full_disk(harness: Harness, full: Callable[[], None]) -> None:
    running(harness)
    full()
    with pytest.raises(Ds01Error) as caught:
        harness.another_gate().start(harness.actor("bob"), harness.full("bob"))
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


FOLDERS = (".", "container-metadata", "container-metadata/removed", "locks", "queue", "outbox", "image-facts")
POLICY_FOLDERS = (LAST_GOOD_POLICY, f"{LAST_GOOD_POLICY}/groups")


@pytest.mark.parametrize("where", [*FOLDERS, *POLICY_FOLDERS])
def test_temporary_files_of_killed_commands_go_after_a_while(harness: Harness, where: str) -> None:
    old, new = (harness.state / where / f".{name}.json.123.abcd.tmp" for name in ("old", "new"))
    (harness.state / where).mkdir(parents=True, exist_ok=True)
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (0, 0))
    harness.ledger.delete_expired(removed_before=harness.clock())
    assert (old.exists(), new.exists()) == (False, True)


def test_directory_in_the_queue_is_ignored(harness: Harness) -> None:
    folder = harness.state / "queue" / "f00.json"
    (folder / "inside").mkdir(parents=True)
    assert harness.ledger.wait_queue().waiters() == ()
    assert [harness.ledger.wait_queue().remove_exited() for _ in range(2)] == [[], []]
    assert folder.is_dir()


def test_unreadable_waiter_is_not_dropped(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    path = harness.state / "queue" / "f00.json"
    path.write_text("{}")
    opened = os.open

    def failing(name: Any, *arguments: Any, **more: Any) -> int:
        if str(name) == str(path):
            raise OSError(errno.EIO, "Input/output error")
        return opened(name, *arguments, **more)

    monkeypatch.setattr(os, "open", failing)
    assert harness.ledger.wait_queue().remove_exited() == []
    monkeypatch.undo()
    assert path.exists()
