"""Building an image: progress by steps, all output in a log file, and the last lines of a failing step."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Generator, Iterator, Mapping
from itertools import takewhile
from pathlib import Path

from ds01.api.images import BuildImage, HasImage
from ds01.api.types import BuildRequest, Progress
from ds01.cli.container.creation.environment import read_proxies
from ds01.cli.image_pull import pull
from ds01.cli.session import Session
from ds01.cli.ui.live_line import LiveLine, fit_to_terminal
from ds01.errors import Ds01Error
from ds01.images.context import pack_tar
from ds01.images.dockerfile import base_image
from ds01.images.source import context_digest
from ds01.system.home import Home

MAX_LINE_LENGTH = 160  # characters shown of one line of output; the log has all of it
INDENT = "    "  # before a step's output in the log
MAX_ERROR_LINES = 12  # lines shown of a failing step: the reason is near its end, and this fits a terminal


def image_reference(session: Session, name: str) -> str:
    """Return the reference of the owner's image of that name."""
    return f"ds01-{session.owner.uid}/{name}"


def build_log_path(home: Home, name: str) -> Path:
    """Return the path of the log of an image's last build."""
    return home.path / "dockerfiles" / f"{name}.build.log"


def build(
    session: Session, name: str, dockerfile: str, files: Mapping[str, bytes], *, at: Path, no_cache: bool = False
) -> str:
    """Build the image `name` from `files`, and return its reference. `at`: the path of the Dockerfile.

    The base image is fetched first, to show its progress. Raises Ds01Error; the image is then unchanged.
    """
    reference, home = image_reference(session, name), session.home
    base = base_image(files[dockerfile].decode("utf-8", "replace"))
    if base not in (None, "scratch") and "$" not in str(base) and not has_image(session, str(base)):
        pull(session, str(base))
    session.say(f"Building {reference} …")
    # Always set all labels: an image inherits those of its base.
    labels = {"ds01.image": name, "ds01.source": context_digest(files), "ds01.dockerfile": str(at)}
    request = BuildRequest(session.owner.uid, name, dockerfile, labels, no_cache, read_proxies(session))
    log: list[str] = []
    try:
        with contextlib.closing(_show_steps(session, session.stream(BuildImage(request, pack_tar(files))))) as steps:
            for step in steps:
                log.append(step)
    except Ds01Error as error:
        if (error.data or {}).get("problem") != "build":
            raise
        last_lines = [
            textwrap.shorten(line, MAX_LINE_LENGTH) for line in takewhile(_is_output, reversed(log)) if line.strip()
        ]
        why = "\n".join(reversed(last_lines[:MAX_ERROR_LINES])) or error.why
        hint = f"the full log is in {build_log_path(home, name)}"
        raise error.reworded(error.message, why=why, hint=hint) from error
    finally:
        try:
            home.write(build_log_path(home, name), "".join(f"{line}\n" for line in log))
        except Ds01Error as error:  # a failure to write the log does not change the result of the build
            session.warn(f"{error.message}: {error.why}")
    return reference


def has_image(session: Session, image: str) -> bool:
    """Return whether the server has an image."""
    return session.run(HasImage(image))


def _show_steps(session: Session, steps: Iterator[Progress]) -> Generator[str, None, None]:
    """Yield the lines for the log. Report each step; on a terminal, show its latest line of output below it."""
    live = LiveLine(enabled=session.shows_progress)
    previous_step = ""
    for step in steps:
        if step.warning:
            session.warn(step.text)
            continue
        if step.step == "built":
            break
        if step.step != previous_step:
            previous_step = step.step
            live.clear()
            session.say(f"  {fit_to_terminal(step.step)}")
            yield step.step
        if step.text:
            live.show(f"    {step.text}")
            yield f"{INDENT}{step.text}"
    live.clear()


def _is_output(line: str) -> bool:
    """Return whether a line of the log is output of a step, and not its heading."""
    return line.startswith(INDENT)
