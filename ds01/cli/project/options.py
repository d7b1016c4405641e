"""The options of a project: from the command line, from its pyproject.toml, and by questions on a terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import click

from ds01.api.listing import ListContainers
from ds01.api.types import is_reference
from ds01.cli import catalogues
from ds01.cli.command.definition import BoundedInteger, command_name
from ds01.cli.command.guide import explain
from ds01.cli.container.creation.options import CreateOptions
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.dataclass import dataclass
from ds01.errors import NotFound, UsageError
from ds01.images.packages import find_use_case
from ds01.projects import project_directory, project_file, readme
from ds01.projects.devcontainer import default_image


@dataclass(frozen=True)
class ProjectOptions:
    """What a project gets; None: not specified."""

    name: str | None = None
    kind: str | None = None
    framework: str | None = None
    image: str | None = None
    description: str | None = None
    blank: bool = False
    git: bool = True
    with_image: bool = True
    with_container: bool = True
    gpus: int | None = None
    cpu_only: bool = False
    wait: bool = False
    wait_for: str | None = None

    def check(self, session: Session) -> None:
        """Raise UsageError for contradictions and malformed values, NotFound for an unknown use case or framework.

        Called before the first step, since a later failure would leave a half-finished project.
        """
        if self.image is not None and self.framework is not None:
            raise UsageError("more than one image was named", why="--image and --framework each name one")
        if self.image is not None and not self.with_image:
            raise UsageError("--image cannot be combined with --no-image")
        if self.image is not None and not is_reference(self.image):
            raise UsageError(
                f"'{self.image}' is not an image name", why="it has the form [HOST/]NAME[:TAG], in lower case"
            )
        self.container_options().check()
        if self.description is not None:
            readme.check_description(self.description)
        if self.kind is not None:
            try:
                find_use_case(catalogues.package_sets(), self.kind)
            except NotFound as error:
                hint = "or leave --type out; packages can be added later, with `image-update NAME`"
                raise NotFound(error.message, why=error.why, hint=hint) from None
        if self.framework is not None:
            catalogues.find(session, self.framework, for_these_gpus=self.with_image)

    def container_options(self, image: str | None = None) -> CreateOptions:
        """Return the project's container as options of container-deploy."""
        return CreateOptions(
            name=self.name,
            image=image,
            gpus=self.gpus,
            cpu_only=self.cpu_only,
            wait=self.wait,
            wait_for=self.wait_for,
        )

    def with_options(self, options: CreateOptions | None) -> ProjectOptions:
        """Return a copy with the container's final options; None: without a container."""
        if options is None:
            return dataclasses.replace(self, with_container=False)
        gpus, wait = options.gpus, options.wait
        return dataclasses.replace(self, gpus=gpus, cpu_only=options.cpu_only, wait=wait, wait_for=options.wait_for)

    def container_flags(self) -> str:
        """Return the container's options as typed, each after a space."""
        words = [f"--gpus {self.gpus}"] if self.gpus is not None else []
        words += ["--cpu-only"] if self.cpu_only else []
        words += ["--wait"] if self.wait else []
        words += [f"--wait-for {self.wait_for}"] if self.wait_for is not None else []
        return "".join(f" {word}" for word in words)


_CONTAINER_OPTIONS = (
    click.option(
        "--gpus", type=BoundedInteger(min=0), metavar="N", help="How many GPUs the container gets. Default: one."
    ),
    click.option("--cpu-only", is_flag=True, help="A container without a GPU."),
    click.option("--wait", is_flag=True, help="Wait in the queue if no GPU is free; Ctrl-C leaves it."),
    click.option("--wait-for", metavar="DURATION", help="Wait in the queue for at most this long, such as 2h."),
)


def container_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the project's container."""
    for option in reversed(_CONTAINER_OPTIONS):
        function = option(function)
    return function


def complete_options(session: Session, project_options: ProjectOptions) -> ProjectOptions:
    """Complete the options from the project's file, and by questions on a terminal.

    Options take precedence over the file, and the file over questions. Raises UsageError if the name is missing and
    nobody can be asked.
    """
    if project_options.name is None:
        if not session.has_terminal or session.as_json:
            raise UsageError("the project needs a name", hint=f"`{command_name()} NAME --type ml`")
        explain(session, "project")
        project_options = dataclasses.replace(
            project_options, name=prompts.ask_text("Name of the project", check=_new_name_check(session))
        )
    name = project_directory.project_name(project_options.name or "")
    if name != project_options.name:
        session.say(f"The name becomes {name}: lower case, without spaces.")
    project_options = _with_project_file(session, dataclasses.replace(project_options, name=name))
    if not session.interactive:
        return project_options
    if project_options.kind is None:
        cases = catalogues.package_sets().use_cases
        chosen = prompts.choose(
            "What is it about?", [*(f"{case.title}: {case.summary}" for case in cases), "something else"]
        )
        project_options = dataclasses.replace(
            project_options, kind=cases[chosen].key if chosen < len(cases) else "none"
        )
    if project_options.description is None and not readme.readme_names(
        session.home, project_directory.project_path(session.home, name)
    ):
        description = prompts.ask_text("In one line (Enter: later)", default="", check=readme.check_description)
        project_options = dataclasses.replace(project_options, description=description or None)
    return project_options


def unfinished_projects(session: Session) -> tuple[str, ...]:
    """Return the projects whose setup was started but not finished, and that have no container of their name."""
    home = session.home
    names = [
        name
        for name in home.list(project_directory.workspaces_directory(home))
        if project_directory.is_project_name(name)
    ]
    marked = [
        name
        for name in names
        if project_file.read(home, project_directory.project_path(home, name)).get(project_file.SETUP_KEY)
        == project_file.SETUP_UNFINISHED
    ]
    if not marked:
        return ()
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    created = {view.name for view in views if view.state != "created"}
    return tuple(name for name in marked if name not in created)


def _with_project_file(session: Session, project_options: ProjectOptions) -> ProjectOptions:
    """Fill in the values of the project's pyproject.toml that no option overrides."""
    home, name = session.home, project_options.name or ""
    stored = project_file.read(home, project_directory.project_path(home, name))
    kind, framework, image = stored.get("kind"), stored.get("framework"), stored.get("image")
    cases = catalogues.package_sets()
    if project_options.kind is None and kind is not None and (kind == "none" or _is_use_case(kind)):
        project_options = dataclasses.replace(
            project_options, kind="none" if kind == "none" else find_use_case(cases, kind).key
        )
    if project_options.image is not None or project_options.framework is not None or not project_options.with_image:
        return project_options
    if image is not None and image.removesuffix(":latest") != default_image(session.owner, name):
        if is_reference(image):
            session.say(f"The image is {image}, as {project_file.FILE} of the project says.")
            return dataclasses.replace(project_options, image=image)
        session.warn(f"{project_file.FILE} of {name} names '{image}', which is not an image name; it is not used.")
    if framework is not None and catalogues.is_known(framework):
        return dataclasses.replace(project_options, framework=framework)
    return project_options


def _is_use_case(text: str) -> bool:
    try:
        find_use_case(catalogues.package_sets(), text)
    except NotFound:
        return False
    return True


def _new_name_check(session: Session) -> Callable[[str], None]:
    """Return a check for a typed name: valid, and without a file at the path of its directory."""

    def check(text: str) -> None:
        home = session.home
        folder = project_directory.project_path(home, project_directory.project_name(text))
        if home.exists(folder) and not home.is_directory(folder):
            raise UsageError(f"{folder} is a file", why="the project's directory would have that name")

    return check
