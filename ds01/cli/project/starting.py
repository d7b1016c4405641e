"""A project from nothing to a running container: one step after the other, each as its own command does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from ds01.cli import ask, catalogues
from ds01.cli.container.deploying import deploy_named
from ds01.cli.guide import explain
from ds01.cli.image import making, wizard
from ds01.cli.image.asked import Asked as AskedImage
from ds01.cli.image.building import reference_of
from ds01.cli.image.sources import image_named, source_of
from ds01.cli.project.git_init import ask_author
from ds01.cli.project.meant import Project, show
from ds01.cli.session import Session
from ds01.cli.words import worded
from ds01.engines.references import well_formed
from ds01.errors import Ds01Error, NotFound, WrongUse
from ds01.images.catalogue import lookup
from ds01.images.packages import use_case
from ds01.projects import folders, git, project_file, readme


@dataclass(frozen=True)
class Wanted:
    """What a project shall have; None: it was not said."""

    name: str | None = None
    kind: str | None = None
    framework: str | None = None
    image: str | None = None
    description: str | None = None
    blank: bool = False
    git: bool = True
    with_image: bool = True
    with_container: bool = True

    def check(self, session: Session) -> None:
        """Raises WrongUse for what contradicts itself or cannot be written down, NotFound for a kind or a framework
        that is none: before the first step, since the later ones would leave half a project.
        """
        if self.image is not None and self.framework is not None:
            raise WrongUse("one image, please", why="--image and --framework each name one")
        if self.image is not None and not self.with_image:
            raise WrongUse("--image and --no-image at once")
        if self.image is not None and not well_formed(self.image):
            raise WrongUse(f"'{self.image}' is no name of an image", why="it has the form [HOST/]NAME[:TAG]")
        if self.description is not None:
            readme.check_description(self.description)
        if self.kind is not None:
            try:
                use_case(catalogues.package_sets(), self.kind)
            except NotFound as error:
                hint = "or leave --type out; packages can be added later, with image-update"
                raise NotFound(error.message, why=error.why, hint=hint) from None
        if self.framework is not None:
            architecture = catalogues.architecture(session) if self.with_image else None
            lookup(catalogues.frameworks(), self.framework, architecture)


def start_project(session: Session, wanted: Wanted, *, afterwards: str | None = None) -> int | None:
    """Go through the steps. One that fails leaves those before it, and says how to go on: with that step, and with
    `afterwards`, a command that would have come next. The exit code of a shell that was opened at the end.
    """
    wanted.check(session)
    wanted = _complete(session, wanted)
    name, code = wanted.name or "", None
    home = session.home
    folder = folders.folder_of(home, name)
    image = wanted.image

    def make_folder() -> None:
        explain(session, "project-folder", name=name)
        show(session, folders.create(home, name, blank=wanted.blank))

    def make_git() -> None:
        explain(session, "git")
        person, email = None, None
        if session.interactive:
            person, email = ask_author(session, Project(home, name, folder), None, None)
        show(session, git.init(home, folder, name=person, email=email))

    def make_readme() -> None:
        kind = wanted.kind
        made = readme.create(home, folder, name, description=wanted.description, kind=kind, framework=wanted.framework)
        show(session, made)
        reference = image or reference_of(session, name)
        kept = project_file.write(home, folder, name, kind=kind, image=reference, framework=wanted.framework)
        show(session, kept)

    def make_image() -> None:
        _image(session, wanted)

    def make_container() -> None:
        nonlocal code
        if any(view.name == name for view in session.asking.containers(session.actor, owner=session.owner.uid)):
            session.say(f"  There is a container {name} already: container-run {name}")
            return
        reference = image or reference_of(session, name)
        code = deploy_named(session, name, image=reference, background=not session.interactive)

    steps: list[tuple[str, str, Callable[[], None]]] = [("Folder", f"dir-create {name}", make_folder)]
    if wanted.git:
        steps.append(("Git", f"git-init {name}", make_git))
    steps.append(("README", f"readme-create {name}", make_readme))
    if wanted.with_image and image is None:
        steps.append(("Image", f"image-create {name}", make_image))
    if wanted.with_container:
        steps.append(("Container", f"container-deploy {name}", make_container))
    for number, (title, alone, step) in enumerate(steps, 1):
        session.say(f"\nStep {number}/{len(steps)}  {title}")
        try:
            step()
        except Ds01Error as error:
            if title == "Image" and source_of(session, name, None) is not None:
                alone = f"image-update {name} --rebuild"
            raise _with_way_on(worded(error, session.now()), number, alone, name, afterwards) from error
    session.answer({"project": {"name": name, "folder": str(folder), "image": image or reference_of(session, name)}})
    session.say(f"\n{name} is ready. Its folder is {folder}, in the container /workspace.")
    return code


def _complete(session: Session, wanted: Wanted) -> Wanted:
    """What was said, with a name and a kind: by questions on a terminal. Raises WrongUse without one."""
    if wanted.name is None:
        if not session.terminal or session.as_json:
            raise WrongUse("what shall the project be called?", hint="project-init NAME --type ml")
        explain(session, "project")
        wanted = dataclasses.replace(wanted, name=ask.text("Name of the project", check=folders.project_name))
    name = folders.project_name(wanted.name or "")
    if name != wanted.name:
        session.say(f"The name becomes {name}: lower case, without spaces.")
    wanted = dataclasses.replace(wanted, name=name)
    if not session.interactive:
        return wanted
    if wanted.kind is None:
        cases = catalogues.package_sets().use_cases
        chosen = ask.choose("What is it about?", [*(f"{one.title}: {one.summary}" for one in cases), "something else"])
        wanted = dataclasses.replace(wanted, kind=cases[chosen].key if chosen < len(cases) else "none")
    if wanted.description is None:
        described = ask.text("In one line (Enter: later)", default="", check=readme.check_description)
        wanted = dataclasses.replace(wanted, description=described or None)
    return wanted


def _image(session: Session, wanted: Wanted) -> None:
    """The project's own image: there already, built again from its Dockerfile, or made now."""
    name = wanted.name or ""
    if image_named(session, name) is not None:
        session.say(f"  There is an image {name} already: `image-update {name}` changes it.")
        return
    place = source_of(session, name, None)
    if place is None:
        asked = AskedImage(name=name, framework=wanted.framework, use_case=wanted.kind)
        if session.interactive and wanted.framework is None:
            asked = wizard.phases(session, asked)
        elif wanted.framework is None:
            asked = dataclasses.replace(asked, framework="pytorch")
        place = making.write_source(session, asked)
    explain(session, "build")
    session.say(f"Built {making.build(session, name, place)}.")


def _with_way_on(error: Ds01Error, number: int, alone: str, name: str, afterwards: str | None) -> Ds01Error:
    """The error of a step, with how to go on from there."""
    before = "What the steps before made stays. " if number > 1 else ""
    on = f"{before}To go on: `{alone}`, or `project-init {name}` again, which skips what is there."
    on += f" After that: `{afterwards}`." if afterwards else ""
    hint = f"{error.hint}\n{on}" if error.hint else on
    data = {key: value for key, value in (error.data or {}).items() if key != "refusal"}  # it is in words already
    return type(error)(error.message, why=error.why, hint=hint, data=data or None)
