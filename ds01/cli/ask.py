"""Questions to somebody at a terminal. Whoever calls made sure that there is one."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ds01.cli.session import Session
from ds01.errors import NotFound


def confirm(question: str, *, default: bool) -> bool:
    """Yes or no."""
    return click.confirm(question, default=default)


def choose(title: str, choices: Sequence[str], *, default: int = 1) -> int:
    """One of several, shown with numbers from 1; the index from 0."""
    click.echo(title)
    _number(choices)
    number: int = click.prompt("Number", type=click.IntRange(1, len(choices)), default=default)
    return number - 1


def choose_several(title: str, choices: Sequence[str]) -> list[int]:
    """Any of several: numbers separated by spaces or commas, `all`, or nothing; the indexes from 0."""
    click.echo(title)
    _number(choices)
    while True:
        answer: str = click.prompt("Numbers, or all", default="", show_default=False)
        words = answer.replace(",", " ").split()
        if [word.lower() for word in words] == ["all"]:
            return list(range(len(choices)))
        if all(word.isascii() and word.isdigit() and 1 <= int(word) <= len(choices) for word in words):
            return sorted({int(word) - 1 for word in words})
        click.echo(f"Numbers from 1 to {len(choices)}, please.")


def text(question: str, *, default: str | None = None) -> str:
    """A line of text."""
    answer: str = click.prompt(question, default=default)
    return answer


def pick_container(session: Session, *, states: tuple[str, ...], verb: str) -> str:
    """One of the owner's containers that the verb can act on; the only one without asking. Raises NotFound."""
    views = session.gate.containers(session.actor, owner=session.owner.uid)
    fitting = [view for view in views if view.state in states]
    if not fitting:
        raise NotFound(
            f"you have no container to {verb}",
            why=f"it would have to be {' or '.join(states)}",
            hint="`container-list` shows yours",
        )
    rows = [f"{view.name}  {view.state}  {view.image}" for view in fitting]
    return fitting[choose(f"Which container to {verb}?", rows)].container


def _number(choices: Sequence[str]) -> None:
    for number, choice in enumerate(choices, 1):
        click.echo(f"  {number:2}) {choice}")
