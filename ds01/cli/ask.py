"""Questions to somebody at a terminal. Whoever calls made sure that there is one."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from ds01.api.containers import ListContainers
from ds01.cli import tables
from ds01.cli.output import put
from ds01.cli.session import Session
from ds01.errors import NotFound, WrongUse
from ds01.system.home import Home
from ds01.system.programs import find, run_at_terminal
from ds01.system.utf8 import is_utf8

EDITORS = ("sensible-editor", "editor", "nano", "vim", "vi")  # Debian's own choice first


def confirm(question: str, *, default: bool) -> bool:
    """Yes or no; asked again until it is one of them. Enter alone is the default."""
    words = {"y": True, "yes": True, "n": False, "no": False, "": default}
    while True:
        answer = line(f"{question} [{'Y/n' if default else 'y/N'}]").strip().casefold()
        if answer in words:
            return words[answer]
        put("y or n, please.")


def choose(title: str, choices: Sequence[str], *, default: int | None = 1) -> int:
    """One of several, shown with numbers from 1; the index from 0. `default` None: Enter alone does not answer."""
    put(title)
    for index, choice in enumerate(choices, 1):
        put(f"  {index:2}) {choice}")
    return number("Number", most=len(choices), default=default) - 1


def number(question: str, *, most: int | None, default: int | None = 1) -> int:
    """A number from 1 to `most`; None: to any. Asked again until it is one."""
    while True:
        answer: str = _answered(lambda: click.prompt(question, default=None if default is None else str(default)))
        text = answer.strip()
        if text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= (most or int(text)):
            return int(text)
        put(f"A number from 1 to {most}, please." if most else "A number from 1 on, please.")


def choose_several(among: int) -> list[int]:
    """Any of `among` things that are shown already: numbers, `all`, or nothing; the indexes from 0."""
    while True:
        answer = line("Which? Numbers, or all; Enter for none")
        words = answer.replace(",", " ").split()
        if [word.lower() for word in words] == ["all"]:
            return list(range(among))
        if all(word in {str(number) for number in range(1, among + 1)} for word in words):
            return sorted({int(word) - 1 for word in words})
        put(f"Numbers from 1 to {among}, please.")


def text(question: str, *, default: str | None = None, check: Callable[[str], object] = str) -> str:
    """A line of text; asked again while `check` raises WrongUse."""
    while True:
        answer: str = _answered(lambda: click.prompt(question, default=default, show_default=bool(default)))
        try:
            check(answer)
        except WrongUse as error:
            put("; ".join(filter(None, (error.message, error.why, error.hint))))
        else:
            return answer


def line(question: str, *, suffix: str = ": ") -> str:
    """A line of text, or Enter alone for nothing."""
    return str(_answered(lambda: click.prompt(question, default="", show_default=False, prompt_suffix=suffix)))


def edit(session: Session, text: str, *, name: str) -> str:
    """A text as it comes back from the editor that the person uses. Raises Ds01Error if that fails."""
    words = shlex.split(session.settings.editor or "")
    program = words or [next((one for one in EDITORS if find(one)), EDITORS[0])]
    # Under sudo it is the person's too: an editor of root's would open and start anything as root.
    uid = session.settings.sudo_uid if session.actor.via == "sudo" else session.actor.uid
    home = Home(session.users.by_uid(session.actor.uid if uid is None else uid))
    with tempfile.TemporaryDirectory(prefix="ds01-") as folder:
        if os.geteuid() == 0:
            os.chown(folder, home.account.uid, home.account.gid)
        path = Path(folder) / name
        home.write(path, text, mode=0o600)
        run_at_terminal([*program, str(path)], account=home.account)
        return home.read_text(path) or ""


def pick_container(session: Session, *, states: tuple[str, ...], verb: str) -> str:
    """The full name of one of the owner's containers that the verb can act on. Raises NotFound if there is none."""
    views = session.run(ListContainers(owner=session.owner.uid)).containers
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


def _answered(ask: Callable[[], str]) -> str:
    """Return the answer to a question; one that is not UTF-8 is asked again.

    After Ctrl-C what is said next does not stand behind the question.
    """
    while True:
        try:
            answer = ask()
        except click.Abort:
            put(error=True)
            raise
        except UnicodeDecodeError:
            answer = None
        if answer is not None and is_utf8(answer):
            return answer
        put("That was not UTF-8; once more, please.")
