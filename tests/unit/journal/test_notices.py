"""Mailboxes: each notice is read once, by its owner only. Terminals: what may be shown there."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ds01.journal import notices
from ds01.journal.notices import Mailboxes, Notice, show_on_terminals, writable_terminals
from tests.harness import umask

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=timezone.utc)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mailboxes of others are root's to make")
UID = 70001 if os.geteuid() == 0 else os.geteuid()


def notice(text: str = "it is idle") -> Notice:
    return Notice(NOON, "idle", "thesis._.70001", text, "container-extend thesis 24h")


@pytest.fixture
def boxes(fast_tmp: Path) -> Mailboxes:
    return Mailboxes(fast_tmp / "notices")


@pytest.fixture
def path(fast_tmp: Path) -> Path:
    return fast_tmp / "notices" / f"{UID}.jsonl"


def modes(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return stat.S_IMODE(status.st_mode), status.st_uid


def test_delivered_notices_are_taken_once_in_order(boxes: Mailboxes) -> None:
    assert boxes.deliver(UID, UID, notice("one"))
    assert boxes.deliver(UID, UID, notice("two"))
    assert [item.text for item in boxes.take(UID)] == ["one", "two"]
    assert boxes.take(UID) == []
    assert boxes.deliver(UID, UID, notice("three"))
    assert boxes.take(UID) == [notice("three")]


def test_mailbox_belongs_to_its_owner_whatever_the_umask(boxes: Mailboxes, path: Path) -> None:
    for mask in (0o077, 0):
        with umask(mask):
            assert boxes.deliver(UID, UID, notice())
        assert modes(path.parent) == (0o755, os.geteuid())
        assert modes(path) == (0o600, UID)
        path.unlink()
        path.parent.rmdir()


def test_missing_mailbox_has_no_notices(boxes: Mailboxes) -> None:
    assert boxes.take(UID) == []
    assert boxes.take(4_000_000_000) == []


def test_unreadable_notices_are_dropped(boxes: Mailboxes, path: Path) -> None:
    boxes.deliver(UID, UID, notice("one"))
    with path.open("ab") as file:
        file.write(b'\n{"half": \n\xff\xfe\n[]\n')
    boxes.deliver(UID, UID, notice("two"))
    assert [item.text for item in boxes.take(UID)] == ["one", "two"]


def test_widened_mailbox_mode_is_corrected(boxes: Mailboxes, path: Path) -> None:
    boxes.deliver(UID, UID, notice("one"))
    path.chmod(0o666)
    boxes.deliver(UID, UID, notice("two"))
    assert modes(path) == (0o600, UID)
    assert len(boxes.take(UID)) == 2


def test_linked_mailbox_is_replaced(boxes: Mailboxes, path: Path, fast_tmp: Path) -> None:
    victim = fast_tmp / "victim"
    victim.write_text("untouched")
    path.parent.mkdir()
    path.symlink_to(victim)
    assert boxes.take(UID) == []
    assert boxes.deliver(UID, UID, notice())
    assert victim.read_text() == "untouched"
    assert modes(victim)[1] == os.geteuid()
    assert modes(path) == (0o600, UID)
    assert len(boxes.take(UID)) == 1


def test_hard_linked_mailbox_is_replaced(boxes: Mailboxes, path: Path, fast_tmp: Path) -> None:
    boxes.deliver(UID, UID, notice("one"))
    os.link(path, fast_tmp / "second")
    assert boxes.deliver(UID, UID, notice("two"))
    assert "two" not in (fast_tmp / "second").read_text()


@as_root
def test_foreign_mailbox_is_replaced(boxes: Mailboxes, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("bob's")
    os.chown(path, 70002, 70002)
    descriptor = os.open(path, os.O_RDONLY)  # bob keeps the file open
    assert boxes.deliver(UID, UID, notice())
    assert os.read(descriptor, 100) == b"bob's"
    os.close(descriptor)
    assert modes(path) == (0o600, UID)


@as_root
def test_foreign_mailbox_directory_is_taken_over(boxes: Mailboxes, path: Path) -> None:
    path.parent.mkdir()
    os.chown(path.parent, 70002, 70002)
    path.parent.chmod(0o777)
    assert boxes.deliver(UID, UID, notice())
    assert modes(path.parent) == (0o755, 0)


def test_linked_mailbox_directory_is_not_used(boxes: Mailboxes, path: Path, fast_tmp: Path) -> None:
    (fast_tmp / "elsewhere").mkdir()
    path.parent.symlink_to(fast_tmp / "elsewhere")
    assert not boxes.deliver(UID, UID, notice())
    assert list((fast_tmp / "elsewhere").iterdir()) == []


def test_pipe_is_replaced_without_blocking(boxes: Mailboxes, path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    assert boxes.take(UID) == []
    assert boxes.deliver(UID, UID, notice())
    assert len(boxes.take(UID)) == 1


def test_delivery_works_while_the_owner_keeps_the_lock(
    boxes: Mailboxes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "LOCK_TIMEOUT", 0.02)
    boxes.deliver(UID, UID, notice("one"))
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert boxes.deliver(UID, UID, notice("two"))
    assert len(boxes.take(UID)) == 2


def test_full_disk_leaves_the_mailbox_unchanged(boxes: Mailboxes, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes.deliver(UID, UID, notice("one"))
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:10]))
    assert not boxes.deliver(UID, UID, notice("two"))

    def full(descriptor: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert not boxes.deliver(UID, UID, notice("three"))
    monkeypatch.undo()
    boxes.deliver(UID, UID, notice("four"))
    assert [item.text for item in boxes.take(UID)] == ["one", "four"]


def test_unread_mailbox_has_a_maximum_size(boxes: Mailboxes, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "MAX_MAILBOX_BYTES", 1000)
    for number in range(50):
        assert boxes.deliver(UID, UID, notice(str(number)))
        assert path.stat().st_size <= 1000
    assert boxes.take(UID)[-1].text == "49"


# terminals


@pytest.fixture
def terminal() -> Iterator[tuple[int, Path]]:
    ours, theirs = os.openpty()
    yield ours, Path(os.ttyname(theirs))
    os.close(ours)
    os.close(theirs)


def test_only_terminals_that_accept_messages_are_used(terminal: tuple[int, Path]) -> None:
    _, path = terminal
    path.chmod(0o620)
    assert path in writable_terminals(os.geteuid())
    assert path not in writable_terminals(70001)
    path.chmod(0o600)  # mesg n
    assert path not in writable_terminals(os.geteuid())


def test_links_and_files_are_not_terminals(tmp_path: Path) -> None:
    (tmp_path / "0").touch(mode=0o666)
    (tmp_path / "1").symlink_to("/dev/null")
    assert writable_terminals(os.geteuid(), directory=tmp_path) == []
    assert writable_terminals(os.geteuid(), directory=tmp_path / "none") == []


def test_control_characters_never_reach_a_terminal(terminal: tuple[int, Path]) -> None:
    ours, path = terminal
    show_on_terminals(0, "a\x1b[2J\x07b\r\nc\u202e d", find=lambda uid: [path])
    said = os.read(ours, 1000).decode()
    assert "[ds01] a�[2J�b��c� d" in said
    assert not {"\x1b", "\x07"} & set(said)


def test_blocked_terminal_is_skipped(terminal: tuple[int, Path]) -> None:
    _, path = terminal
    for _ in range(1000):  # fill the terminal's buffer
        show_on_terminals(0, "x" * 500, find=lambda uid: [path, Path("/nonexistent")])


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM])
def test_mailbox_that_cannot_be_opened_keeps_its_content(
    boxes: Mailboxes, path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    assert boxes.deliver(UID, UID, notice("first"))
    opened = os.open

    def failing(name: object, flags: int, *rest: int, **more: int) -> int:
        if name == path.name and not flags & os.O_CREAT:
            raise OSError(number, os.strerror(number))
        return opened(name, flags, *rest, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "open", failing)
    assert not boxes.deliver(UID, UID, notice("second"))
    monkeypatch.undo()
    assert [item.text for item in boxes.take(UID)] == ["first"]


@as_root
def test_non_root_administrator_creates_no_mailbox() -> None:
    with TemporaryDirectory(dir="/tmp") as name:
        state = Path(name)
        state.chmod(0o777)  # the group may write, as on a server
        child = os.fork()
        if child == 0:
            os.setuid(70009)
            os._exit(int(Mailboxes(state / "notices").deliver(UID, UID, notice())))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not (state / "notices").exists()
