"""A project from nothing to a running container: one step after the other, each as its own command does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from ds01.api.containers import ListContainers
from ds01.api.views import ContainerView
from ds01.cli.container import deploying, making, starting
from ds01.cli.container.refusing import settle
from ds01.cli.guide import explain
from ds01.cli.image import making as image_making
from ds01.cli.image import wizard
from ds01.cli.image.asked import Asked as ImageOptions
from ds01.cli.image.building import reference_of
from ds01.cli.image.sources import image_named, source_of
from ds01.cli.options import typed
from ds01.cli.output import put
from ds01.cli.project.git_init import ask_author
from ds01.cli.project.meant import Project, show
from ds01.cli.project.wanted import Wanted, complete
from ds01.cli.session import Session
from ds01.cli.words import describe_error, worded
from ds01.errors import Ds01Error
from ds01.projects import git, project_directory, project_file, readme
from ds01.system.home import Home


@dataclass(frozen=True)
class _Step:
    """`alone`: the command that takes only this step. A failing step ends the rest only if it is `needed`."""

    title: str
    alone: str
    take: Callable[[], int | None]
    needed: bool = True


def start_project(session: Session, wanted: Wanted, *, afterwards: str | None = None) -> int | None:
    """Take the steps from nothing to a running container; steps that were taken before are skipped.

    Whether the container would be refused is found out before the first step. A failing step leaves those before it,
    and its error says how to go on: with that step, and with `afterwards`, the command that would have come next.
    Returns the exit code of a shell that was opened at the end, or 1 if a step failed that the others do not need.
    """
    wanted.check(session)
    wanted = complete(session, wanted)
    wanted = _check_container(session, wanted, afterwards)
    project = _NewProject(session, wanted)
    steps = project.steps()
    code = None
    failed = False
    for number, step in enumerate(steps, 1):
        session.say(f"\nStep {number}/{len(steps)}  {step.title}")
        try:
            code = step.take()
        except click.Abort:
            session.say(f"\n`{typed()} {project.name}` continues from here.")
            raise
        except Ds01Error as error:
            error = worded(error, session.now())
            if step.needed:
                raise _with_way_on(error, number, project.alone(step), project.name, afterwards) from error
            put(describe_error(error), error=True)
            session.say(f"The other steps do not need this one. `{step.alone}` repeats it.")
            failed = True
    project.finish()
    image = wanted.image or reference_of(session, project.name)
    session.answer({"project": {"name": project.name, "folder": str(project.folder), "image": image}})
    session.say(f"\n{project.name} is ready. Its folder is {project.folder}, in the container /workspace.")
    return code or (1 if failed else code)


class _NewProject:
    """The steps of one project."""

    def __init__(self, session: Session, wanted: Wanted) -> None:
        self._session = session
        self._wanted = wanted
        self._home: Home = session.home
        self.name = wanted.name or ""
        self.folder: Path = project_directory.project_path(self._home, self.name)

    def steps(self) -> list[_Step]:
        """The steps that were asked for, in their order."""
        name, wanted = self.name, self._wanted
        steps = [_Step("Folder", f"dir-create {name}", self._make_folder)]
        if wanted.git:
            steps.append(_Step("Git", f"git-init {name}", self._make_git, needed=False))
        steps.append(_Step("README", f"readme-create {name}", self._make_readme))
        if wanted.with_image and wanted.image is None:
            steps.append(_Step("Image", f"image-create {name}", self._make_image))
        if wanted.with_container:
            steps.append(_Step("Container", f"container-deploy {name}{wanted.container_flags()}", self._run_container))
        return steps

    def alone(self, step: _Step) -> str:
        """The command that takes this step now: an image that has a Dockerfile is built again from it."""
        if step.title == "Image" and source_of(self._session, self.name, None) is not None:
            return f"image-update {self.name} --rebuild"
        return step.alone

    def finish(self) -> None:
        """Note that nothing is left to do."""
        project_file.update(self._home, self.folder, {project_file.SETUP_KEY: None})

    def _make_folder(self) -> None:
        session, wanted = self._session, self._wanted
        explain(session, "project-folder", name=self.name)
        show(session, project_directory.create_project_directory(self._home, self.name, blank=wanted.blank))
        # First of all, so that a setup that is interrupted continues with the same answers.
        image = wanted.image or reference_of(session, self.name)
        values = {"kind": wanted.kind, "image": image, "framework": wanted.framework}
        setup = project_file.SETUP_UNFINISHED
        there = project_file.read(self._home, self.folder)
        kept = project_file.write(self._home, self.folder, self.name, **values, setup=setup)
        if not there or not kept.is_unchanged:
            show(session, kept)
            return
        if wanted.framework is None and wanted.image is not None:
            values["framework"] = None  # it described the image before
        elif wanted.framework is None:
            del values["framework"]
        changed = {key: value for key, value in values.items() if there.get(key) != value and (value or key in there)}
        if project_file.update(self._home, self.folder, {**changed, project_file.SETUP_KEY: setup}) and changed:
            session.say(f"Changed in {project_file.FILE}: {', '.join(changed)}.")

    def _make_git(self) -> None:
        explain(self._session, "git")
        person, email = None, None
        # Whoever left it open when the repository was made is not asked again.
        if self._session.interactive and not self._home.exists(self.folder / ".git"):
            person, email = ask_author(self._session, Project(self._home, self.name, self.folder), None, None)
        show(self._session, git.init_repository(self._home, self.folder, name=person, email=email))

    def _make_readme(self) -> None:
        wanted = self._wanted
        made = readme.write_readme(
            self._home,
            self.folder,
            self.name,
            description=wanted.description,
            kind=wanted.kind,
            framework=wanted.framework,
        )
        show(self._session, made)

    def _make_image(self) -> None:
        """The project's own image: there already, built again from its Dockerfile, or made now."""
        session, name, wanted = self._session, self.name, self._wanted
        if image_named(session, name) is not None:
            session.say(f"  There is an image {name} already: `image-update {name}` changes it.")
            return
        place = source_of(session, name, None)
        if place is None:
            options = ImageOptions(name=name, framework=wanted.framework, use_case=wanted.kind)
            if session.interactive and wanted.framework is None:
                options = wizard.phases(session, options)
            elif wanted.framework is None:
                options = dataclasses.replace(options, framework="pytorch")
            place = image_making.write_source(session, options)
        explain(session, "build")
        session.say(f"Built {image_making.build(session, name, place)}.")

    def _run_container(self) -> int | None:
        session, name = self._session, self.name
        view = _container_named(session, name)
        if view is None:
            options = self._wanted.container_options(self._wanted.image or reference_of(session, name))
            request = making.request_of(session, options)
            return deploying.deploy(session, request, options, background=not session.interactive)[1]
        if view.state == "created":  # interrupted between create and start
            starting.start(session, view.container)
            session.say(f"Started {name}.")
        session.say(f"  There is a container {name} already: `container-run {name}`")
        return None


def _container_named(session: Session, name: str) -> ContainerView | None:
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    return next((view for view in views if view.name == name), None)


def _check_container(session: Session, wanted: Wanted, afterwards: str | None) -> Wanted:
    """Find out whether the container would be refused, before anything is built for it.

    On a terminal a refusal is followed by a choice of what is possible. Raises Ds01Error.
    """
    name = wanted.name or ""
    if not wanted.with_container or _container_named(session, name) is not None:
        return wanted
    image = wanted.image or reference_of(session, name)
    try:
        options = settle(session, wanted.container_options(), image, instead="everything but the container")
    except Ds01Error as error:
        raise _before_all_steps(error, wanted, afterwards) from error
    return wanted.with_options(options)


def _before_all_steps(error: Ds01Error, wanted: Wanted, afterwards: str | None) -> Ds01Error:
    """The error of a refused container, with how to get the rest."""
    name = wanted.name or ""
    what = f" --image {wanted.image}" if wanted.image else ""
    what = f" --framework {wanted.framework}" if wanted.framework and not what else what
    on = f"No step was taken. `{typed()} {name}{what} --no-container` takes all the others, and "
    on += f"`container-deploy {name}` then makes the container."
    on += f" After that: `{afterwards}`." if afterwards else ""
    hint = f"{error.hint}\n{on}" if error.hint else on
    return error.reworded(error.message, why=error.why, hint=hint)


def _with_way_on(error: Ds01Error, number: int, alone: str, name: str, afterwards: str | None) -> Ds01Error:
    """The error of a step, with how to go on from there."""
    before = "What the steps before made stays. " if number > 1 else ""
    on = f"{before}To go on: `{alone}`, or `{typed()} {name}` again, which skips what is there."
    on += f" After that: `{afterwards}`." if afterwards else ""
    hint = f"{error.hint}\n{on}" if error.hint else on
    return error.reworded(error.message, why=error.why, hint=hint)
