"""The help of the dashboard."""

from __future__ import annotations

from collections.abc import Iterator

from ds01.cli.dashboard.screen import BOLD, Line, Span

KEYS = (
    ("1 … 5, Tab", "GPUs, containers, users, queue, events"),
    ("↑ ↓ j k, PgUp PgDn, Home End", "select a row"),
    ("Enter", "its details; of a user: their containers"),
    ("/", "filter by words; Enter keeps, Esc clears"),
    ("o O", "sort by the next column, reverse; Esc: unsorted"),
    ("g", "GPUs: owners and their use in the last hour"),
    ("r", "look again now"),
    ("h ?", "this help; Esc goes back"),
    ("q, Ctrl-C", "quit"),
)
WORDS = (
    ("HELD", "since when the lease has existed"),
    ("IDLE", "since when the container has not been active, as the last tick judged"),
    ("NEXT", "what happens next automatically, and in how long"),
    ("USED", "mean utilisation of the GPU since the lease began"),
    ("NOW", "utilisation of the GPU at this moment"),
    ("HOUR", "utilisation of the last hour, since the dashboard was started"),
    ("CPU", "mean since the last tick, of one core; the bar: of the limit"),
    ("? ░", "unknown: hardware, driver or kernel does not say; never shown as 0"),
    ("–", "nothing: does not apply"),
)
KEY_WIDTH = 30


def draw_help() -> Iterator[Line]:
    """Yield the lines of the help."""
    yield (Span("Keys", BOLD),)
    for key, what in KEYS:
        yield (Span(f"  {key:{KEY_WIDTH}}", BOLD), Span(what))
    yield (Span(""),)
    yield (Span("Words", BOLD),)
    for word, what in WORDS:
        yield (Span(f"  {word:8}", BOLD), Span(what))
    yield (Span(""),)
    yield (Span("No key stops or removes anything: that is for `container-stop` and `container-retire`."),)
