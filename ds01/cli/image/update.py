"""image-update"""

from __future__ import annotations

from collections.abc import Mapping

import click

from ds01.api.answers import ImageView
from ds01.api.containers import RecreateContainer
from ds01.api.listing import ListContainers, ResolveContainer
from ds01.api.measures import CountProcesses
from ds01.api.views import ContainerView
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.container.steps.jupyter_hint import show_jupyter_hint
from ds01.cli.image import builder, editor, sources, workflow
from ds01.cli.image.options import apt_packages
from ds01.cli.image.source_changes import Changes, apply_changes
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.cli.ui.formats import describe_ending_processes, format_error
from ds01.cli.ui.output import print_text
from ds01.errors import Ds01Error, NotFound, UsageError
from ds01.images import source
from ds01.images.requirements import split_packages
from ds01.images.source import SourcePaths
from ds01.system.home import Home


@verb(example='image-update my-thesis --add "pandas>=2.0"', asks=True)
@click.argument("name", required=False)
@click.option("--add", multiple=True, metavar="LIST", help="pip packages to add, or to change the version of.")
@click.option("--remove", multiple=True, metavar="LIST", help="pip packages to remove.")
@click.option("--add-system", multiple=True, metavar="LIST", help="apt packages to add.")
@click.option("--requirements", metavar="FILE", help="Add the packages of this requirements file.")
@click.option("--no-build-isolation", is_flag=True, help="Let pip build added packages against the image's own.")
@click.option("--rebuild", is_flag=True, help="Build the image again, even if nothing changed.")
@click.option("--no-cache", is_flag=True, help="Build all steps again, without the cache.")
@click.option("--recreate", is_flag=True, help="Create its containers again, each on its own GPU.")
def command(
    session: Session,
    name: str | None,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    add_system: tuple[str, ...],
    requirements: str | None,
    no_build_isolation: bool,
    rebuild: bool,
    no_cache: bool,
    recreate: bool,
) -> None:
    """Change one of your images and build it again: by options, or by hand in its Dockerfile.

    If that fails, image, Dockerfile and containers stay as they were.
    """
    home = session.home
    name = sources.resolve_image_name(session, name, verb="update")
    image = sources.find_image(session, name)
    place = sources.find_source(session, name, image)
    if place is None:
        raise NotFound(
            f"there is no Dockerfile for {name}",
            why=f"looked for {source.source_paths(home, name).dockerfile}",
            hint="`image-create NAME` writes one",
        )
    extra = workflow.requirements_in(session, home, requirements) if requirements is not None else None
    changes = Changes(
        split_packages(add), split_packages(remove), apt_packages(add_system), extra, isolated=not no_build_isolation
    )
    by_hand = not (changes.any or rebuild or no_cache or recreate)
    before = _read_source(session, place, to_edit=by_hand and session.interactive)
    after = apply_changes(before, name, place, changes)
    if by_hand:
        after = _edit_dockerfile(session, place, before)
    newer = image is None or bool(sources.is_newer(session, place, image))
    reference = builder.image_reference(session, name)
    if after != before or newer or rebuild or no_cache:
        if image is not None and newer and after == before:
            session.say("The Dockerfile is newer than the image.")
        if by_hand and not _confirm(session, "Phase 2/3  Build it again?"):
            _write_changed_files(home, place, before, after)
            session.say(f"Nothing was built. `image-update {name} --rebuild` builds it.")
            return
        explain(session, "build")
        _build(session, name, place, before, after, by_hand=by_hand, no_cache=no_cache)
        session.say(f"Built {reference}.")
    else:
        session.say(f"{name} matches its Dockerfile: nothing to build. --rebuild builds it anyway.")
    current_image = sources.find_image(session, name)
    recreated = _recreate(session, current_image, recreate=recreate, heading="Phase 3/3  " if by_hand else "")
    session.write_document(
        {"image": {"name": name, "reference": reference, "dockerfile": str(place.dockerfile)}, "recreated": recreated}
    )


def _build(
    session: Session,
    name: str,
    place: SourcePaths,
    before: Mapping[str, bytes],
    after: Mapping[str, bytes],
    *,
    by_hand: bool,
    no_cache: bool,
) -> None:
    """Build from the changed files, and write them only then. Edits from the editor are never lost."""
    home = session.home
    try:
        builder.build(session, name, place.dockerfile.name, after, at=place.dockerfile, no_cache=no_cache)
    except (Ds01Error, KeyboardInterrupt):
        if by_hand and after != before:
            _keep_failed(session, place, after[place.dockerfile.name])
        raise
    _write_changed_files(home, place, before, after)


def _keep_failed(session: Session, place: SourcePaths, dockerfile: bytes) -> None:
    """Keep the edited Dockerfile beside the original, and say where."""
    kept = place.dockerfile.with_name(f"{place.dockerfile.name}.failed")
    session.home.write(kept, dockerfile)
    session.warn(f"the Dockerfile is unchanged; your edited one is {kept}")


def _write_changed_files(
    home: Home, place: SourcePaths, before: Mapping[str, bytes], after: Mapping[str, bytes]
) -> None:
    for path in source.source_files(place):
        if after.get(path.name) not in (None, before.get(path.name)):
            home.write(path, after[path.name])


def _read_source(session: Session, place: SourcePaths, *, to_edit: bool) -> dict[str, bytes]:
    """Read the image's source. `to_edit`: return a Dockerfile that cannot be built too, so that it can be fixed."""
    try:
        return source.read_build_context(session.home, place)
    except (UsageError, NotFound) as error:
        content = session.home.read(place.dockerfile)
        if content is None or not to_edit:
            raise
        print_text(format_error(error), error=True)
        return {place.dockerfile.name: content}


def _edit_dockerfile(session: Session, place: SourcePaths, before: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files with the edited Dockerfile. Raises UsageError without a terminal."""
    if not session.interactive:
        raise UsageError("no change was named", hint="--add, --remove, --add-system, --requirements, or --rebuild")
    session.say(f"Phase 1/3  The Dockerfile: {place.dockerfile}")
    name = place.dockerfile.name
    if not prompts.confirm("Edit it now?", default=True):
        return dict(before)
    text = before[name].decode("utf-8", "replace")
    while True:
        text = editor.edit(session, text, name=name)
        edited = text.encode()
        try:
            return {**source.read_build_context(session.home, place, dockerfile=edited), name: edited}
        except (UsageError, NotFound) as error:
            print_text(format_error(error), error=True)
            if not prompts.confirm("Edit it again?", default=True):
                _keep_failed(session, place, edited)
                raise


def _recreate(session: Session, image: ImageView | None, *, recreate: bool, heading: str) -> list[ContainerView]:
    """Create containers that use the image again, each on its own slots, and return them.

    `recreate`: all of them; otherwise ask about those whose image is older.
    """
    outdated = image.outdated if image is not None else ()
    names = image.used_by if image is not None and recreate else outdated
    own_names = {view.name for view in session.run(ListContainers(owner=session.owner.uid)).containers} if names else ()
    recreated = []
    for name in (name for name in names if name in own_names):
        explain(session, "recreate", name=name)
        if not recreate and not (
            session.interactive
            and prompts.confirm(
                f"{heading}Create {name} again? Programs in it end, its workspace stays.", default=False
            )
        ):
            continue
        container = session.run(ResolveContainer(name, owner=session.owner.uid))
        count = session.run(CountProcesses(container))
        if count:
            grace = session.policy.policies.stop_grace.total_seconds()
            session.say(
                f"{name}: {describe_ending_processes(count)}; they get up to {grace:.0f} s to save their work …"
            )
        acted = session.run(RecreateContainer(container))
        for warning in acted.warnings:
            session.warn(warning)
        session.say(f"Created {name} again; it is {acted.container.state}.")
        show_jupyter_hint(session, acted.container)
        recreated.append(acted.container)
    left = [name for name in outdated if name not in {view.name for view in recreated}]
    if image is not None and left:
        again = f"`image-update {image.name} --recreate` creates {'it' if len(left) == 1 else 'them'} again."
        session.say(f"Still on the old image: {', '.join(left)}. {again}")
    return recreated


def _confirm(session: Session, question: str) -> bool:
    return not session.interactive or prompts.confirm(question, default=True)
