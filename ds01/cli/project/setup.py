"""Setting up a project from nothing to a running container, in steps that are also commands of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import click

from ds01.api.listing import ListContainers
from ds01.api.views import ContainerView
from ds01.cli.command.definition import command_name
from ds01.cli.command.guide import explain
from ds01.cli.command.refusals import adapt_error
from ds01.cli.container.creation import deployment, workflow
from ds01.cli.container.creation.alternatives import resolve_refusal
from ds01.cli.container.steps import startup
from ds01.cli.image import wizard
from ds01.cli.image import workflow as image_workflow
from ds01.cli.image.builder import image_reference
from ds01.cli.image.options import ImageOptions
from ds01.cli.image.sources import find_image, find_source
from ds01.cli.project.git_init import ask_author
from ds01.cli.project.options import ProjectOptions, complete_options
from ds01.cli.project.target import Project, show_step
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_error
from ds01.cli.ui.output import print_text
from ds01.dataclass import dataclass
from ds01.errors import Ds01Error
from ds01.projects import git, project_directory, project_file, readme
from ds01.system.home import Home


@dataclass(frozen=True)
class _SetupStep:
    """One step. `command`: does only this step. If a `required` step fails, the setup ends."""

    title: str
    command: str
    run: Callable[[], int | None]
    required: bool = True


def set_up_project(session: Session, project_options: ProjectOptions, *, next_command: str | None = None) -> int | None:
    """Take the steps from nothing to a running container; steps that are already done are skipped.

    A container that would be refused is reported before the first step. If a step fails, the earlier ones stay, and the
    error says how to continue: with that step, and then with `next_command`, which the caller would have run next.
    Returns the exit code of a shell that was opened at the end, or 1 if a step failed that is not required.
    """
    project_options.check(session)
    project_options = complete_options(session, project_options)
    project_options = _check_container(session, project_options, next_command)
    project = _ProjectSetup(session, project_options)
    steps = project.steps()
    code = None
    failed = False
    for number, step in enumerate(steps, 1):
        session.say(f"\nStep {number}/{len(steps)}  {step.title}")
        try:
            code = step.run()
        except click.Abort:
            session.say(f"\n`{command_name()} {project.name}` continues from here.")
            raise
        except Ds01Error as error:
            error = adapt_error(error, session.now())
            if step.required:
                raise _with_continuation(
                    error, number, project.retry_command(step), project.name, next_command
                ) from error
            print_text(format_error(error), error=True)
            session.say(f"The other steps do not need this one. `{step.command}` repeats it.")
            failed = True
    project.finish()
    image = project_options.image or image_reference(session, project.name)
    session.write_document({"project": {"name": project.name, "folder": str(project.folder), "image": image}})
    session.say(f"\n{project.name} is ready. Its directory is {project.folder}, in the container /workspace.")
    return code or (1 if failed else code)


class _ProjectSetup:
    """The steps of one project."""

    def __init__(self, session: Session, project_options: ProjectOptions) -> None:
        self._session = session
        self._options = project_options
        self._home: Home = session.home
        self.name = project_options.name or ""
        self.folder: Path = project_directory.project_path(self._home, self.name)

    def steps(self) -> list[_SetupStep]:
        """Return the requested steps in order."""
        name, project_options = self.name, self._options
        steps = [_SetupStep("Directory", f"dir-create {name}", self._make_folder)]
        if project_options.git:
            steps.append(_SetupStep("Git", f"git-init {name}", self._make_git, required=False))
        steps.append(_SetupStep("README", f"readme-create {name}", self._make_readme))
        if project_options.with_image and project_options.image is None:
            steps.append(_SetupStep("Image", f"image-create {name}", self._make_image))
        if project_options.with_container:
            steps.append(
                _SetupStep(
                    "Container", f"container-deploy {name}{project_options.container_flags()}", self._deploy_container
                )
            )
        return steps

    def retry_command(self, step: _SetupStep) -> str:
        """Return the command that repeats this step. An image that has a Dockerfile by now is built from that."""
        if step.title == "Image" and find_source(self._session, self.name, None) is not None:
            return f"image-update {self.name} --rebuild"
        return step.command

    def finish(self) -> None:
        """Mark the setup as finished."""
        project_file.update(self._home, self.folder, {project_file.SETUP_KEY: None})

    def _make_folder(self) -> None:
        session, project_options = self._session, self._options
        explain(session, "project-folder", name=self.name)
        show_step(
            session, project_directory.create_project_directory(self._home, self.name, blank=project_options.blank)
        )
        # Written first, so that an interrupted setup continues with the same answers.
        image = project_options.image or image_reference(session, self.name)
        values = {"kind": project_options.kind, "image": image, "framework": project_options.framework}
        setup = project_file.SETUP_UNFINISHED
        stored = project_file.read(self._home, self.folder)
        kept = project_file.write(self._home, self.folder, self.name, **values, setup=setup)
        if not stored or not kept.is_unchanged:
            show_step(session, kept)
            return
        if project_options.framework is None and project_options.image is not None:
            values["framework"] = None  # it described the previous image
        elif project_options.framework is None:
            del values["framework"]
        changed = {key: value for key, value in values.items() if stored.get(key) != value and (value or key in stored)}
        if project_file.update(self._home, self.folder, {**changed, project_file.SETUP_KEY: setup}) and changed:
            session.say(f"Changed in {project_file.FILE}: {', '.join(changed)}.")

    def _make_git(self) -> None:
        explain(self._session, "git")
        person, email = None, None
        # Asked only once: not again if the repository exists.
        if self._session.interactive and not self._home.exists(self.folder / ".git"):
            person, email = ask_author(self._session, Project(self._home, self.name, self.folder), None, None)
        show_step(self._session, git.init_repository(self._home, self.folder, name=person, email=email))

    def _make_readme(self) -> None:
        project_options = self._options
        step = readme.write_readme(
            self._home,
            self.folder,
            self.name,
            description=project_options.description,
            kind=project_options.kind,
            framework=project_options.framework,
        )
        show_step(self._session, step)

    def _make_image(self) -> None:
        """Provide the project's image: keep it, build it from its Dockerfile, or create both."""
        session, name, project_options = self._session, self.name, self._options
        if find_image(session, name) is not None:
            session.say(f"  The image {name} already exists: `image-update {name}` changes it.")
            return
        place = find_source(session, name, None)
        if place is None:
            options = ImageOptions(name=name, framework=project_options.framework, use_case=project_options.kind)
            if session.interactive and project_options.framework is None:
                options = wizard.ask_phases(session, options)
            elif project_options.framework is None:
                options = dataclasses.replace(options, framework="pytorch")
            place = image_workflow.write_source(session, options)
        explain(session, "build")
        session.say(f"Built {image_workflow.build(session, name, place)}.")

    def _deploy_container(self) -> int | None:
        session, name = self._session, self.name
        view = _container_named(session, name)
        if view is None:
            options = self._options.container_options(self._options.image or image_reference(session, name))
            request = workflow.build_request(session, options)
            return deployment.deploy(session, request, options, background=not session.interactive)[1]
        if view.state == "created":  # interrupted between create and start
            startup.start(session, view.container)
            session.say(f"Started {name}.")
        session.say(f"  The container {name} already exists: `container-run {name}`")
        return None


def _container_named(session: Session, name: str) -> ContainerView | None:
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    return next((view for view in views if view.name == name), None)


def _check_container(session: Session, project_options: ProjectOptions, next_command: str | None) -> ProjectOptions:
    """Check whether the container would be refused, before anything is built for it.

    On a terminal, offer alternatives to a refused container. Raises Ds01Error.
    """
    name = project_options.name or ""
    if not project_options.with_container or _container_named(session, name) is not None:
        return project_options
    image = project_options.image or image_reference(session, name)
    try:
        options = resolve_refusal(
            session, project_options.container_options(), image, fallback="everything but the container"
        )
    except Ds01Error as error:
        raise _refused_before_setup(error, project_options, next_command) from error
    return project_options.with_options(options)


def _refused_before_setup(error: Ds01Error, project_options: ProjectOptions, next_command: str | None) -> Ds01Error:
    """Return the error of a refused container, with a hint at how to set up the rest."""
    name = project_options.name or ""
    what = f" --image {project_options.image}" if project_options.image else ""
    what = f" --framework {project_options.framework}" if project_options.framework and not what else what
    continuation = f"No step was taken. `{command_name()} {name}{what} --no-container` takes all the others, and "
    continuation += f"`container-deploy {name}` then creates the container."
    continuation += f" After that: `{next_command}`." if next_command else ""
    hint = f"{error.hint}\n{continuation}" if error.hint else continuation
    return error.reworded(error.message, why=error.why, hint=hint)


def _with_continuation(error: Ds01Error, number: int, command: str, name: str, next_command: str | None) -> Ds01Error:
    """Return the error of a step, with a hint at how to continue."""
    before = "The results of the earlier steps stay. " if number > 1 else ""
    continuation = f"{before}To continue: `{command}`, or `{command_name()} {name}` again, which skips finished steps."
    continuation += f" After that: `{next_command}`." if next_command else ""
    hint = f"{error.hint}\n{continuation}" if error.hint else continuation
    return error.reworded(error.message, why=error.why, hint=hint)
