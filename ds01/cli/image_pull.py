"""Fetching an image, with progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ds01.api.images import HasImage, PullImage
from ds01.api.types import Progress, is_reference
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.cli.ui.formats import format_error, format_size
from ds01.cli.ui.output import print_text, supports_escape_codes
from ds01.errors import EngineNotFound, EngineRejected, UsageError


def pull(session: Session, image: str) -> None:
    """Fetch an image. Ctrl-C ends it; complete layers are kept. Raises EngineNotFound if no registry has it."""
    show_pull(session, image, session.stream(PullImage(image)))


def show_pull(session: Session, image: str, progress: Iterator[Progress]) -> None:
    """Consume the progress of a fetch, and show it. Raises the errors of the fetch."""
    session.say(f"Fetching {image} …")
    steps = _pass_on_steps(session, progress)
    if not (session.shows_progress and supports_escape_codes(sys.stdout)):
        for _ in steps:
            pass
    else:
        _show_progress(steps)
    session.say(f"Fetched {image}.")


def _pass_on_steps(session: Session, steps: Iterator[Progress]) -> Iterator[Progress]:
    """Show the warnings, and yield the other steps."""
    for step in steps:
        if step.warning:
            session.warn(step.text)
        else:
            yield step


def pull_typed(session: Session, image: str) -> str:
    """Fetch a typed image if the server lacks it, asking again if that fails; return it. Raises EngineUnreachable."""
    while not session.run(HasImage(image)):
        try:
            pull(session, image)
        except (EngineNotFound, EngineRejected) as error:
            print_text(format_error(error), error=True)
            image = prompts.ask_text("Image", check=_check_image_name)
    return image


def _check_image_name(reference: str) -> None:
    if not is_reference(reference):
        raise UsageError(f"'{reference}' is not an image name", why="it has the form [HOST/]NAME[:TAG], in lower case")


def _show_progress(steps: Iterator[Progress]) -> None:
    from rich.progress import BarColumn, TaskID, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description:14}"), BarColumn(), TextColumn("{task.fields[amount]}"))
    with Bar(*columns, transient=True) as bar:
        tasks: dict[str, TaskID] = {}
        for step in steps:
            if step.step not in tasks:
                tasks[step.step] = bar.add_task(step.step, total=step.total, amount="")
            amount = f"{format_size(step.current)} of {format_size(step.total)}" if step.total else step.text
            bar.update(tasks[step.step], total=step.total, completed=step.current or 0, amount=amount)
