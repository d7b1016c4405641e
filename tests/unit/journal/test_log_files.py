"""Reading rotated logs: the last lines first, whatever lies in the directory, and following across rotations."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ds01.journal import log_files
from ds01.journal.log_files import LastLines, LogFollower, StopReading, log_status, read_last, rotated_files


def text(line: bytes) -> str:
    return line.decode()


def last(path: Path, limit: int | None = None, parse: Callable[[bytes], str | None] = text) -> list[str]:
    return read_last(path, LastLines(parse, limit))


def test_lines_come_oldest_first_through_all_rotated_files(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("e\nf\n")
    (tmp_path / "log.1").write_text("c\nd\n")
    (tmp_path / "log.2.gz").write_bytes(gzip.compress(b"b\n"))
    (tmp_path / "log.10.gz").write_bytes(gzip.compress(b"a\n"))
    (tmp_path / "log.old").write_text("no\n")
    assert last(tmp_path / "log") == ["a", "b", "c", "d", "e", "f"]
    assert last(tmp_path / "log", 3) == ["d", "e", "f"]
    assert last(tmp_path / "log", 5) == ["b", "c", "d", "e", "f"]


def test_rotated_files_with_dates_are_ordered_by_date(tmp_path: Path) -> None:
    for name in ("log-20261101.gz", "log-20261128", "log-20261115.gz"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in rotated_files(tmp_path / "log")] == [
        "log-20261128",
        "log-20261115.gz",
        "log-20261101.gz",
    ]


def test_a_log_that_does_not_exist_is_empty_but_its_rotated_files_count(tmp_path: Path) -> None:
    assert last(tmp_path / "log") == []
    (tmp_path / "log.1").write_text("a\n")
    assert last(tmp_path / "log") == ["a"]


def test_lines_that_cross_blocks_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "BLOCK_SIZE", 7)
    lines = [f"line {number} ".ljust(number % 30, "x") for number in range(200)]
    (tmp_path / "log").write_text("\n".join(lines) + "\n")
    assert last(tmp_path / "log") == lines


def test_only_the_end_of_a_large_log_is_read(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        file.truncate(10 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\na\nb\n")
    assert last(tmp_path / "log", 2) == ["a", "b"]


def test_a_line_without_end_is_left_out_and_its_neighbours_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "BLOCK_SIZE", 8)
    monkeypatch.setattr(log_files, "MAX_LINE_BYTES", 20)
    (tmp_path / "log").write_text("before\n" + "x" * 100 + "\nafter\n")
    assert last(tmp_path / "log") == ["before", "after"]


def test_a_reader_may_stop(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a\nb\nc\n")
    (tmp_path / "log.1").write_text("old\n")

    def until_a(line: bytes) -> str:
        if line == b"a":
            raise StopReading
        return line.decode()

    assert last(tmp_path / "log", None, until_a) == ["b", "c"]


def test_files_rotated_before_the_period_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("new\n")
    (tmp_path / "log.1").write_text("old\n")
    os.utime(tmp_path / "log.1", (1000, 1000))
    since = datetime.fromtimestamp(2000, timezone.utc)
    assert read_last(tmp_path / "log", LastLines(text, None, since)) == ["new"]


def test_a_torn_compressed_file_gives_what_it_has(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b"%d\n" % number for number in range(100_000)))
    (tmp_path / "log.1.gz").write_bytes(whole[: len(whole) // 2])
    found = last(tmp_path / "log")
    assert found[:2] == ["0", "1"] and len(found) < 100_000


def test_links_and_pipes_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "log.1").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "log.2")
    assert last(tmp_path / "log") == []
    (tmp_path / "log").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match=r".+"):
        last(tmp_path / "log")


def test_status_counts_the_rotated_files(tmp_path: Path) -> None:
    assert log_status(tmp_path / "log").changed_at is None
    (tmp_path / "log").write_text("abc\n")
    (tmp_path / "log.1").write_text("de\n")
    os.utime(tmp_path / "log", (1000, 1000))
    found = log_status(tmp_path / "log")
    assert (found.bytes, found.rotated, found.rotated_bytes) == (4, 1, 3)
    assert found.changed_at == datetime.fromtimestamp(1000, timezone.utc)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "log").write_text("a\nb\n")
    return tmp_path / "log"


def append(path: Path, content: str) -> None:
    with path.open("a") as file:
        file.write(content)


def test_a_follower_returns_what_is_appended_once(log: Path) -> None:
    follower = LogFollower(log)
    assert follower.new_lines() == []
    append(log, "c\nd\n")
    assert follower.new_lines() == [b"c", b"d"]
    assert follower.new_lines() == []
    follower.close()


def test_a_line_that_is_being_written_comes_when_it_is_complete(log: Path) -> None:
    append(log, "half")
    follower = LogFollower(log)
    assert follower.read_last(LastLines(text, None)) == ["a", "b"]
    assert follower.new_lines() == []
    append(log, " and half\n")
    assert follower.new_lines() == [b"half and half"]
    follower.close()


def test_a_follower_survives_a_rotation_without_losing_a_line(log: Path) -> None:
    follower = LogFollower(log)
    append(log, "c\n")
    rotated = log.rename(log.with_name("log.1"))
    append(rotated, "d\n")  # a command had it open
    assert follower.new_lines() == [b"c", b"d"]  # and nothing is there in its place yet
    append(log, "e\n")
    assert follower.new_lines() == [b"e"]
    append(rotated, "f\n")
    append(log, "g\n")
    assert follower.new_lines() == [b"f", b"g"]
    follower.close()


def test_a_follower_starts_again_when_the_log_is_truncated(log: Path) -> None:
    follower = LogFollower(log)
    log.write_text("")
    assert follower.new_lines() == []
    append(log, "c\n")
    assert follower.new_lines() == [b"c"]
    follower.close()


def test_a_follower_waits_for_a_log_that_does_not_exist(tmp_path: Path) -> None:
    follower = LogFollower(tmp_path / "log")
    assert follower.new_lines() == []
    append(tmp_path / "log", "a\n")
    assert follower.new_lines() == [b"a"]
    follower.close()
