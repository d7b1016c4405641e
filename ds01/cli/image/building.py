"""Building an image: the steps as they come, all of it in a log file, and the last lines of what failed."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Generator, Iterator, Mapping
from itertools import takewhile
from pathlib import Path

from ds01.api.images import BuildImage, HasImage
from ds01.cli.container.environment import proxies_of
from ds01.cli.live import LiveLine, fitted
from ds01.cli.pulling import pull
from ds01.cli.session import Session
from ds01.engines.protocol import Progress
from ds01.errors import Ds01Error
from ds01.images.context import pack_tar
from ds01.images.dockerfile import base_image
from ds01.images.source import context_digest
from ds01.records.request import BuildRequest
from ds01.system.home import Home

WIDEST = 160  # letters of one line of output that are shown; the log has all of it
INDENT = "    "  # before a step's output in the log
LAST_LINES = 12  # of a failing step's output; the reason stands near its end, and it fits a terminal


def reference_of(session: Session, name: str) -> str:
    """The image of that name, of whom the command is for."""
    return f"ds01-{session.owner.uid}/{name}"


def log_of(home: Home, name: str) -> Path:
    """Where the log of an image's last build is."""
    return home.path / "dockerfiles" / f"{name}.build.log"


def build(
    session: Session, name: str, dockerfile: str, files: Mapping[str, bytes], *, at: Path, no_cache: bool = False
) -> str:
    """Build the image `name` from `files`, of which one is its Dockerfile; `at` is where that stands. Its reference.

    The base image is fetched first, for its progress. Raises Ds01Error; the image is then what it was.
    """
    reference, home = reference_of(session, name), session.home
    base = base_image(files[dockerfile].decode("utf-8", "replace"))
    if base not in (None, "scratch") and "$" not in str(base) and not there(session, str(base)):
        pull(session, str(base))
    session.say(f"Building {reference} …")
    # All of them each time: an image has those of its base, too.
    labels = {"ds01.image": name, "ds01.source": context_digest(files), "ds01.dockerfile": str(at)}
    request = BuildRequest(session.owner.uid, name, dockerfile, labels, no_cache, proxies_of(session))
    log: list[str] = []
    try:
        with contextlib.closing(_shown(session, session.stream(BuildImage(request, pack_tar(files))))) as steps:
            for step in steps:
                log.append(step)
    except Ds01Error as error:
        if (error.data or {}).get("problem") != "build":
            raise
        last = [textwrap.shorten(line, WIDEST) for line in takewhile(_is_output, reversed(log)) if line.strip()]
        why = "\n".join(reversed(last[:LAST_LINES])) or error.why
        hint = f"the whole log is in {log_of(home, name)}"
        raise error.reworded(error.message, why=why, hint=hint) from error
    finally:
        try:
            home.write(log_of(home, name), "".join(f"{line}\n" for line in log))
        except Ds01Error as error:  # the image is there, or is not, whatever becomes of the log
            session.warn(f"{error.message}: {error.why}")
    return reference


def there(session: Session, image: str) -> bool:
    """Whether the server has an image."""
    return session.run(HasImage(image))


def _shown(session: Session, steps: Iterator[Progress]) -> Generator[str, None, None]:
    """The lines for the log. Each step is said; on a terminal its last line of output stands below, until the next."""
    live = LiveLine(session)
    before = ""
    for step in steps:
        if step.warning:
            session.warn(step.text)
            continue
        if step.step == "built":
            break
        if step.step != before:
            before = step.step
            live.clear()
            session.say(f"  {fitted(step.step)}")
            yield step.step
        if step.text:
            live.show(f"    {step.text}")
            yield f"{INDENT}{step.text}"
    live.clear()


def _is_output(line: str) -> bool:
    """Whether a line of the log is what a step wrote, and not its heading."""
    return line.startswith(INDENT)
