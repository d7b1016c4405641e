"""The TERM of programs inside: the caller's if the image knows it."""

from __future__ import annotations

import pytest

from ds01.lifecycle.spec.terminal_type import terminal_type


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("xterm-256color", "xterm-256color"), ("xterm", "xterm"), ("dumb", "dumb"),
        ("xterm-kitty", "xterm-256color"), ("xterm-ghostty", "xterm-256color"), ("alacritty", "xterm-256color"),
        ("foot", "xterm-256color"), ("rxvt-unicode-256color", "xterm-256color"), ("rxvt-unicode", "xterm"),
        ("tmux-256color", "xterm-256color"), ("screen.xterm-256color", "xterm-256color"), ("screen", "xterm"),
        ("", "xterm"), ("../../etc/passwd", "xterm"), ("a b", "xterm"), ("x" * 500, "xterm"), ("\x1b[31m", "xterm"),
    ],
)  # fmt: skip
def test_image_without_terminfo_gets_a_basic_type(wanted: str, expected: str) -> None:
    assert terminal_type(wanted, lambda path: False) == expected


@pytest.mark.parametrize("folder", ["/usr/share/terminfo", "/lib/terminfo", "/etc/terminfo"])
def test_a_terminal_that_the_image_describes_stays(folder: str) -> None:
    assert terminal_type("xterm-kitty", lambda path: path == f"{folder}/x/xterm-kitty") == "xterm-kitty"


def test_multiplexer_type_falls_back_to_an_older_one() -> None:
    has = {"/lib/terminfo/s/screen-256color"}
    assert terminal_type("tmux-256color", has.__contains__) == "screen-256color"


def test_plain_terminals_need_no_look_into_the_image() -> None:
    def never(path: str) -> bool:
        raise AssertionError(path)

    assert terminal_type("xterm-256color", never) == "xterm-256color"
