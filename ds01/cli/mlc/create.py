"""mlc-create"""

from __future__ import annotations

import dataclasses

import click

from ds01.cli import catalogues
from ds01.cli.command.definition import command as verb
from ds01.cli.container.creation import workflow
from ds01.cli.container.creation.options import CreateOptions
from ds01.cli.mlc.command_line import AimeCommand
from ds01.cli.mlc.gpu_count import parse_gpu_count
from ds01.cli.session import Session
from ds01.cli.ui.output import print_text
from ds01.errors import NotFound, UsageError
from ds01.images.catalogue import CatalogueEntry, explain_choice, find_entry, frameworks_for, versions_for


@verb(example="mlc-create my-thesis Pytorch 2.5.1 -w ~/workspace", asks=True, guided=False, kind=AimeCommand)
@click.argument("name", required=False)
@click.argument("framework", required=False)
@click.argument("version", required=False)
@click.option(
    "-w", "--workspace", "--workspace_dir", metavar="DIR", help="Mounted at /workspace. Default: ~/workspace."
)
@click.option("-d", "--data", "--data_dir", metavar="DIR", help="Mounted at /data.")
@click.option("-m", "--models", "--models_dir", metavar="DIR", help="Mounted at /models.")
@click.option("-g", "-ng", "--num_gpus", "--gpus", metavar="N|all", help="How many GPUs. Default: one.")
@click.option(
    "-arch", "--architecture", metavar="ARCH", help="The GPU architecture. Default: MLC_ARCH, else this server's."
)
@click.option("-i", "--info", is_flag=True, help="List the frameworks and versions, and create nothing.")
@click.option("-s", "--script", is_flag=True, help="Ask nothing, like --yes.")
@click.option("--interactive", is_flag=True, help="No effect: on a terminal missing words are asked for anyway.")
def command(
    session: Session,
    name: str | None,
    framework: str | None,
    version: str | None,
    workspace: str | None,
    data: str | None,
    models: str | None,
    num_gpus: str | None,
    architecture: str | None,
    info: bool,
    script: bool,
    interactive: bool,
) -> None:
    """Create a container with FRAMEWORK, by default in its newest VERSION. It does not run yet.

    Like container-create, with the same limits; but the default workspace is all of ~/workspace, as with AIME.
    """
    session.yes |= script
    architectures = _architectures(session, architecture or session.settings.mlc_arch)
    if info:
        return _show_info(session, architectures)
    if framework is None and not session.interactive:
        what = "which name, and which framework?" if name is None else f"which framework for {name}?"
        raise UsageError(what, hint="`mlc-create NAME Pytorch`; `mlc-create --info` lists them")
    entry = _entry(framework, version, architectures) if framework is not None else None
    options = CreateOptions(
        name=name,
        image=entry.image if entry else None,
        workspace=str(session.home.workspaces) if workspace is None else workspace,
        data=data,
        models=models,
        gpus=parse_gpu_count(session, num_gpus),
    )
    request = workflow.build_request(session, options)
    if entry is not None:
        why = explain_choice(entry, *architectures)
        if why is not None and version is None:
            session.say(why)
        request = dataclasses.replace(request, framework=entry.label)
    acted = workflow.create(session, request, options)
    session.say(f"Its /workspace is {request.workspace}.")
    session.say(f"[{request.name}] is ready. Open it: mlc-open {request.name}")
    return session.write_document({"container": acted.container})


def _architectures(session: Session, given: str | None) -> tuple[str, ...]:
    """Return the architectures to choose an image for; none if they are unknown. Raises UsageError."""
    if given is None:
        return catalogues.architectures(session)
    available = sorted({name for entry in catalogues.frameworks().entries for name in entry.architectures})
    for name in available:
        if name.casefold() == given.casefold():
            return (name,)
    why = f"the architectures are {', '.join(available)}"
    raise UsageError(f"unknown architecture '{given}'", why=why, hint="-arch and MLC_ARCH name one of these")


def _entry(framework: str, version: str | None, architectures: tuple[str, ...]) -> CatalogueEntry:
    """Return the catalogue's entry for a framework and a version. Raises NotFound."""
    try:
        text = framework if version is None else f"{framework}-{version}"
        return find_entry(catalogues.frameworks(), text, *architectures)
    except NotFound as error:
        hint = "`mlc-create --info` lists them; any other image: `container-create --image IMAGE`"
        raise NotFound(error.message, why=error.why, hint=hint) from None


def _show_info(session: Session, architectures: tuple[str, ...]) -> None:
    """List the frameworks and their versions: those for `architectures`, or all if these are unknown."""
    available = catalogues.frameworks()
    versions = {
        framework: list(versions_for(available, framework, *architectures))
        for framework in sorted(frameworks_for(available, *architectures))
    }
    gpus = ", ".join(architectures)
    session.write_document({"architecture": gpus or None, "frameworks": versions})
    if session.as_json:
        return
    print_text(f"Frameworks and versions for {gpus or 'all GPUs'}; the first version is the default:")
    for framework, names in versions.items():
        print_text(f"{framework}: {', '.join(names)}")
