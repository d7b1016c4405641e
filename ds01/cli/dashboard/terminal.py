"""The terminal, by curses: keys as names, and painting of the lines that have changed."""

from __future__ import annotations

import curses
import locale
import os
import re
from collections.abc import Sequence
from contextlib import suppress

from ds01.cli.dashboard import screen as styles
from ds01.cli.dashboard.guard import Guard
from ds01.cli.dashboard.screen import Line, Screen
from ds01.cli.ui.output import names_utf8, terminal_type, use_terminal_type
from ds01.cli.ui.width import text_width
from ds01.errors import UsageError

ESCAPE_DELAY = 25  # ms after Esc within which the rest of a key's sequence arrives, also over a slow connection
KEY_NAMES = {
    curses.KEY_UP: "up",
    curses.KEY_DOWN: "down",
    curses.KEY_LEFT: "left",
    curses.KEY_RIGHT: "right",
    curses.KEY_PPAGE: "page_up",
    curses.KEY_NPAGE: "page_down",
    curses.KEY_HOME: "home",
    curses.KEY_END: "end",
    curses.KEY_ENTER: "enter",
    curses.KEY_BACKSPACE: "backspace",
    curses.KEY_BTAB: "back_tab",
    curses.KEY_F1: "f1",
    curses.KEY_F5: "r",
    "\n": "enter",
    "\r": "enter",
    "\t": "tab",
    "\x1b": "escape",
    "\x7f": "backspace",
    "\b": "backspace",
    "\x0c": "redraw",
}
SEQUENCES = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}  # by their last letter
COLOURS = {
    styles.GREEN: curses.COLOR_GREEN,
    styles.YELLOW: curses.COLOR_YELLOW,
    styles.RED: curses.COLOR_RED,
    styles.CYAN: curses.COLOR_CYAN,
}
ATTRIBUTES = {styles.BOLD: curses.A_BOLD, styles.DIM: curses.A_DIM, styles.REVERSE: curses.A_REVERSE}
# For terminals that do not take UTF-8.
PLAIN_LETTERS = str.maketrans("▏▎▍▌▋▊▉█▁▂▃▄▅▆▇░└–…▲▼↑↓×∞°→", ".::-=+*#_.-=+*%?`-.^v^vx~'>")
# What leaves the dashboard's screen: alternate screen off, cursor on, plain letters, keys as before.
_RESTORING = ("rmcup", "cnorm", "sgr0", "rmkx")
_DELAY = re.compile(rb"\$<[0-9.]+[*/]*>")


class Terminal:
    """The terminal of stdin and stdout. `coloured`: whether colours may be used."""

    def __init__(self, *, coloured: bool) -> None:
        """Find out what the terminal is, and fork its guard. Raises UsageError."""
        self._coloured = coloured
        _set_up()
        restore = b"".join(_DELAY.sub(b"", curses.tigetstr(name) or b"") for name in _RESTORING)
        self._guard = Guard(1, restore)
        self._shown: list[Line] = []
        self._pairs: dict[int, int] = {}
        self._window: curses.window | None = None

    def enter(self) -> None:
        """Take the whole screen."""
        curses.set_escdelay(ESCAPE_DELAY)
        self._window = curses.initscr()
        self._is_utf8 = self._window.encoding.lower().replace("-", "") == "utf8"
        curses.noecho()
        curses.cbreak()
        self._window.keypad(True)
        self._window.nodelay(True)
        with suppress(curses.error):
            curses.curs_set(0)
        if self._coloured:
            self._start_colours()
        self._shown = []
        self._guard.entered()

    def leave(self) -> None:
        """Give the screen back as it was."""
        if self._window is None:
            return
        with suppress(curses.error):
            curses.endwin()
        self._window = None
        self._guard.left()

    def close(self) -> None:
        """Leave, and end the guard."""
        self.leave()
        self._guard.end()

    def size(self) -> tuple[int, int]:
        """Return columns and rows as the terminal has them now; 80x24 if it does not know."""
        size = os.get_terminal_size(1)
        return size.columns or 80, size.lines or 24

    def repaint(self) -> None:
        """Paint everything at the next paint, whatever is on the screen."""
        self._shown = []
        if self._window is not None:
            self._window.clear()

    def paint(self, screen: Screen) -> None:
        """Paint the lines that differ from what is shown."""
        window = self._window
        if window is None:
            return
        size = (len(screen.lines), screen.width)
        if window.getmaxyx() != size:
            with suppress(curses.error):
                curses.resizeterm(*size)
            self.repaint()
        changed = False
        for row, line in enumerate(screen.lines):
            if row < len(self._shown) and self._shown[row] == line:
                continue
            changed = True
            column = 0
            for text, style in line:
                # curses reports an error after the last column of the last row, when everything is written.
                with suppress(curses.error):
                    window.addstr(row, column, self._encoded(text), self._attributes(style))
                column += text_width(text)
        if changed:
            window.refresh()
        self._shown = [*screen.lines]

    def read_keys(self) -> list[str]:
        """Return the keys that were typed. Never waits."""
        window = self._window
        typed: list[str | int] = []
        while window is not None:
            try:
                typed.append(window.get_wch())
            except curses.error:
                break
        return parse_keys(typed)

    def _encoded(self, text: str) -> str:
        if self._is_utf8 or text.isascii():
            return text
        return text.translate(PLAIN_LETTERS).encode("ascii", "replace").decode()

    def _attributes(self, style: int) -> int:
        attributes = self._pairs.get(style)
        if attributes is None:
            attributes = 0
            for flag, attribute in ATTRIBUTES.items():
                attributes |= attribute if style & flag else 0
            for number, flag in enumerate(COLOURS, 1):
                attributes |= curses.color_pair(number) if style & flag and self._coloured else 0
            self._pairs[style] = attributes
        return attributes

    def _start_colours(self) -> None:
        try:
            curses.start_color()
            curses.use_default_colors()
            for number, colour in enumerate(COLOURS.values(), 1):
                curses.init_pair(number, colour, -1)
        except curses.error:  # a terminal without colours
            self._coloured = False


def parse_keys(typed: Sequence[str | int]) -> list[str]:
    """Return the names of keys. Sequences that curses does not know, such as Alt with a letter, are left out."""
    names: list[str] = []
    waiting = [*typed]
    while waiting:
        key = waiting.pop(0)
        name = _end_sequence(waiting) if key == "\x1b" and waiting else _key_name(key)
        names += [name] if name is not None else []
    return names


def _end_sequence(waiting: list[str | int]) -> str | None:
    """Remove the rest of an escape sequence; return the key, if it is a common one."""
    if waiting.pop(0) not in ("[", "O"):
        return None
    while waiting:
        key = waiting.pop(0)
        if isinstance(key, str) and "@" <= key <= "~":
            return SEQUENCES.get(key)
    return None


def _key_name(key: str | int) -> str | None:
    if key in KEY_NAMES:
        return KEY_NAMES[key]
    return key if isinstance(key, str) and key.isprintable() else None


def _set_up() -> None:
    """Let curses read what the terminal can do, by its type or the family that the type names, and how it encodes."""
    if names_utf8() and locale.nl_langinfo(locale.CODESET) != "UTF-8":
        with suppress(locale.Error):
            locale.setlocale(locale.LC_CTYPE, "C.UTF-8")  # the named locale is not installed on this server
    name = terminal_type()
    family = name.partition("-")[0]
    for candidate in dict.fromkeys((name, family, f"{family}-256color")):
        with suppress(curses.error):
            curses.setupterm(candidate, 1)
            if curses.tigetstr("cup"):
                use_terminal_type(candidate)
                return
    raise UsageError(
        f"the terminal type '{name}' is unknown on this server, or cannot move its cursor",
        hint="`ds01 status --watch` needs nothing of it; `TERM=xterm-256color ds01 dashboard` tries a common type",
    )
