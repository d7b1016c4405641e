"""Actor and owner of a command, and its output."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from ds01 import main
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_duration, format_size
from ds01.cli.ui.output import wrap_line
from tests.command_line import CommandLine


@pytest.fixture
def real(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line as it finds out itself who acts."""
    ds.use_real_identity()
    monkeypatch.setenv("SUDO_UID", "70001")
    return ds


def test_behind_sudo_the_person_is_recorded_and_is_the_owner(real: CommandLine) -> None:
    real.ok("container-create", "thesis", "pytorch", "-q", who="root")
    assert real.harness.record("alice").history[0].actor == "alice"
    real.ok("container-retire", "thesis", "-q", who="root")
    real.ok("container-create", "thesis", "pytorch", "--user", "bob", "-q", who="root")
    assert real.harness.record("bob").history[0].actor == "alice"


def test_root_itself_is_root(real: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID")
    real.ok("container-create", "thesis", "pytorch", "--user", "bob", "-q", who="root")
    assert real.harness.record("bob").history[0].actor == "root"


def test_without_root_sudo_uid_is_not_believed(real: CommandLine) -> None:
    real.ok("container-create", "thesis", "pytorch", "-q", who="bob")
    assert real.harness.record("bob").history[0].actor == "bob"
    real.fails(3, "container-create", "x", "pytorch", "--user", "alice", "-q", who="bob")


def test_the_clock_is_the_one_of_ds01_now(real: CommandLine) -> None:
    real.ok("container-create", "thesis", "pytorch", who="bob")
    real.harness.clock.advance(minutes=10)
    assert "release in 20m" in real.ok("container-list", who="bob")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (0.4, "0s"), (59, "59s"), (60, "1m"), (3569, "59m"), (3590, "1h"), (3660, "1h 1m"),
     (86390, "1d"), (86400, "1d"), (84600, "23h 30m"), (172799, "2d"), (90000, "1d 1h"), (86400 * 400, "400d")],
)  # fmt: skip
def test_spans(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


def test_sizes() -> None:
    assert [format_size(number) for number in (None, 0, 1023, 1024, 1 << 20, 1 << 35, 1 << 42)] == [
        "–", "0b", "1023b", "1k", "1m", "32g", "4t",
    ]  # fmt: skip


HEADINGS = ("NAME", "STATE", "GPU", "FOR", "NEXT", "PORTS", "IMAGE")
ROW = ("my-thesis", "running, idle 3h", "1:0,1:1", "2d 3h", "idle stop in 1d 21h", "32768→8888,32769→6006",
       "aimehub/pytorch-2.7.1-aime-cuda11.8.0")  # fmt: skip


def test_a_table_fits_80_columns() -> None:
    lines = tables.fit_table([HEADINGS, ROW], 80, cut="IMAGE")
    assert max(len(line) for line in lines) <= 80
    assert "32769→6006" in "\n".join(lines) and "pytorch" in lines[1] and "…" in lines[1]


def test_an_optional_column_is_left_out_where_the_others_need_the_room() -> None:
    rows = [(*HEADINGS[:1], "PROJECT", *HEADINGS[1:]), (*ROW[:1], "diffusion-models", *ROW[1:])]
    narrow = tables.fit_table(rows, 80, cut="IMAGE", optional=("PROJECT",))
    assert max(len(line) for line in narrow) <= 80 and "PROJECT" not in narrow[0] and "diffusion" not in narrow[1]
    wide = tables.fit_table(rows, 200, cut="IMAGE", optional=("PROJECT",))
    assert "PROJECT" in wide[0] and "diffusion-models" in wide[1]


def test_reasons_are_broken_between_words_before_a_column_is_left_out() -> None:
    why = "held, exited by itself, code 1, after a process ran out of memory: limit 32g"
    rows = [HEADINGS, (ROW[0], why, *ROW[2:])]
    lines = tables.fit_table(rows, 80, cut="IMAGE", wrap=("STATE", "NEXT"), optional=("PORTS",))
    column = lines[0].index("STATE"), lines[0].index("GPU")
    assert max(map(len, lines)) <= 80 and "PORTS" in lines[0]
    assert " ".join(line[slice(*column)].strip() for line in lines[1:]).strip() == why
    users = [(*row[:1], heading, *row[1:]) for row, heading in zip(rows, ("USER", "a-long-login"), strict=True)]
    lines = tables.fit_table(users, 80, cut="IMAGE", wrap=("STATE", "NEXT"), optional=("PORTS",))
    assert max(map(len, lines)) <= 80 and "PORTS" not in lines[0]


def test_a_table_that_fits_is_left_as_it_is() -> None:
    assert tables.fit_table([HEADINGS, ROW], 200) == list(tables.format_plain([HEADINGS, ROW]))


def test_the_last_column_is_broken_between_words() -> None:
    why = "container other; outside.ignore_containers in the policy can ignore it"
    lines = tables.fit_table([("SLOT", "WHY"), ("1:0", why)], 40)
    assert max(map(len, lines)) <= 40 and " ".join(line[6:] for line in lines[1:]) == why


def test_colours_on_a_terminal_only_and_not_with_no_color(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name, value, coloured in (("TERM", "xterm", True), ("NO_COLOR", "1", False)):
        monkeypatch.setenv(name, value)
        tables.print_table(("NAME", "STATE"), [("x", "running, idle 1h"), ("y\x1b[31m", "odd")])
        out = capsys.readouterr().out
        assert ("\x1b[32m" in out) == coloured and "\x1b[31m" not in out
        assert ("\x1b" in out) == coloured


def test_lines_are_broken_between_words() -> None:
    assert wrap_line("  short", 80) == ["  short"]
    assert wrap_line("  one two three", 10) == ["  one two", "    three"]
    assert wrap_line("x" * 30, 10) == ["x" * 30], "a name is not broken"


def test_one_file_only_reads_the_settings_from_the_environment() -> None:
    cli = Path(main.__file__).parent / "cli"
    assert not [path for path in cli.rglob("*.py") if "DS01_" in (text := path.read_text()) and "environ" in text]


def test_heavy_modules_are_not_loaded_for_what_does_not_need_them() -> None:
    code = (
        "import sys, ds01.main as m; m.run(['ds01', '--names']); assert 'click' not in sys.modules;"
        "m.run(['container-exit']); assert not {'rich', 'docker', 'pynvml', 'requests'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=60)
