"""Questions to somebody at a terminal. Whoever calls made sure that there is one."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from ds01.cli import tables
from ds01.cli.output import put
from ds01.cli.session import Session
from ds01.errors import NotFound, WrongUse
from ds01.system.programs import at_terminal, find

EDITORS = ("sensible-editor", "editor", "nano", "vim", "vi")  # Debian's own choice first


def confirm(question: str, *, default: bool) -> bool:
    """Yes or no."""
    return click.confirm(question, default=default)


def choose(title: str, choices: Sequence[str], *, default: int | None = 1) -> int:
    """One of several, shown with numbers from 1; the index from 0. `default` None: Enter alone does not answer."""
    put(title)
    for number, choice in enumerate(choices, 1):
        put(f"  {number:2}) {choice}")
    number = click.prompt("Number", type=click.IntRange(1, len(choices)), default=default)
    return int(number) - 1


def choose_several(among: int) -> list[int]:
    """Any of `among` things that are shown already: numbers, `all`, or nothing; the indexes from 0."""
    while True:
        answer: str = click.prompt(
            "Which? Numbers, or all; Enter for none", default="", show_default=False, prompt_suffix=": "
        )
        words = answer.replace(",", " ").split()
        if [word.lower() for word in words] == ["all"]:
            return list(range(among))
        if all(word in {str(number) for number in range(1, among + 1)} for word in words):
            return sorted({int(word) - 1 for word in words})
        put(f"Numbers from 1 to {among}, please.")


def text(question: str, *, default: str | None = None, check: Callable[[str], object] = str) -> str:
    """A line of text; asked again while `check` raises WrongUse."""
    while True:
        answer: str = click.prompt(question, default=default, show_default=bool(default))
        try:
            check(answer)
        except WrongUse as error:
            put(f"{error.message}; {error.why}")
        else:
            return answer


def edit(session: Session, text: str, *, name: str) -> str:
    """A text as it comes back from the editor that the person uses. Raises Ds01Error if that fails."""
    words = shlex.split(session.settings.editor or "")
    program = words or [next((one for one in EDITORS if find(one)), EDITORS[0])]
    with tempfile.TemporaryDirectory(prefix="ds01-") as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        at_terminal([*program, str(path)])
        return path.read_text(encoding="utf-8", errors="replace")


def pick_container(session: Session, *, states: tuple[str, ...], verb: str) -> str:
    """The full name of one of the owner's containers that the verb can act on. Raises NotFound if there is none."""
    views = session.gate.containers(session.actor, owner=session.owner.uid)
    fitting = [view for view in views if view.state in states]
    if not fitting:
        raise NotFound(
            f"you have no container to {verb}",
            why=f"it would have to be {' or '.join(states)}",
            hint="`container-list` shows yours",
        )
    rows = tables.plain([(view.name, "paused" if view.paused else view.state, view.image) for view in fitting])
    # Enter alone decides nothing where there is something to decide: some verbs act without another question.
    default = 1 if len(fitting) == 1 else None
    return fitting[choose(f"Which container to {verb}?", list(rows), default=default)].container
