"""The options of container-create and container-deploy, with the checks that need no look at the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from ds01.api.types import PublishedPort
from ds01.cli.command.definition import BoundedInteger, option_group, parse_profile
from ds01.cli.container.steps.queue_wait import WAIT_OPTIONS, wait_limit
from ds01.cli.session import Session
from ds01.dataclass import dataclass
from ds01.errors import UsageError
from ds01.gpus.model import GpuRequest, GpuType
from ds01.policy.names import parse_name
from ds01.system.utf8 import expect_utf8


@dataclass(frozen=True)
class CreateOptions:
    """The options as typed, under their names."""

    name: str | None = None
    image_or_framework: str | None = None
    image: str | None = None
    framework: str | None = None
    gpus: int | None = None
    gpu_type: str | None = None
    profile: str | None = None
    cpu_only: bool = False
    workspace: str | None = None
    data: str | None = None
    models: str | None = None
    ports: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    project: str | None = None
    wait: bool = False
    wait_for: str | None = None

    def check(self) -> None:
        """Raise UsageError for contradictory options, before any question is asked."""
        words = {"--image": self.image, "--framework": self.framework, "the second word": self.image_or_framework}
        named = [word for word, value in words.items() if value is not None]
        if len(named) > 1:
            raise UsageError("more than one image was named", why=f"{' and '.join(named)} each name one")
        if (self.cpu_only or self.gpus == 0) and (self.gpus or self.profile or self.gpu_type):
            raise UsageError(
                "the options ask for CPU only and for a GPU", hint="leave out `--cpu-only`, or the GPU options"
            )
        if self.profile is not None and self.gpu_type == "full":
            raise UsageError("--profile needs MIG instances, but --gpu-type full asks for whole GPUs")
        parse_profile(self.profile)
        if self.wait_for is not None:
            self.wait_limit()

    @property
    def waits(self) -> bool:
        """Whether to wait in the queue if no GPU is free."""
        return self.wait or self.wait_for is not None

    def wait_limit(self) -> timedelta | None:
        """Return how long to wait; None: without a limit. Raises UsageError."""
        return wait_limit(self.wait_for)

    def gpu_request(self) -> GpuRequest:
        """Return the GPUs that the options ask for."""
        count = 0 if self.cpu_only else self.gpus
        return GpuRequest(count, GpuType(self.gpu_type or "any"), parse_profile(self.profile))


_OPTIONS = (
    click.argument("name", required=False),
    click.argument("image_or_framework", required=False, metavar="[IMAGE|FRAMEWORK]"),
    click.option("--image", metavar="IMAGE", help="The image to use; fetched if the server does not have it."),
    click.option("--framework", metavar="NAME[-VERSION]", help="A framework of the catalogue, such as pytorch-2.5.1."),
    click.option("--gpus", type=BoundedInteger(min=0), metavar="N", help="How many GPUs. Default: one."),
    click.option("--gpu-type", type=click.Choice([kind.value for kind in GpuType]), help="Which kind. Default: any."),
    click.option("--profile", metavar="PROFILE", help="MIG instances of this profile, such as 2g.20gb."),
    click.option("--cpu-only", is_flag=True, help="No GPU."),
    click.option("-w", "--workspace", metavar="DIR", help="Mounted at /workspace. Default: ~/workspace/PROJECT."),
    click.option("-d", "--data", metavar="DIR", help="Mounted at /data."),
    click.option("-m", "--models", metavar="DIR", help="Mounted at /models."),
    click.option("-p", "--port", "ports", multiple=True, metavar="[HOST:]CONTAINER", help="Publish this port too."),
    click.option(
        "-e",
        "--env",
        "environment",
        multiple=True,
        metavar="NAME=VALUE",
        help="Set a variable in the container. Not for secrets: others on the server can read it.",
    ),
    click.option("--project", metavar="PROJECT", help="The project. Default: the container's name."),
    *WAIT_OPTIONS,
    click.option("--dry-run", is_flag=True, help="Show what would be created, and create nothing."),
)
# The options of create and deploy; the function gets them as one `options`.
create_options = option_group(CreateOptions, _OPTIONS)


def parse_container_name(text: str) -> str:
    """Return a valid container name for the typed text. Raises UsageError."""
    return parse_name(text, "container name")


def resolve_directory(session: Session, text: str | None) -> str | None:
    """Return an absolute path; `~` is the owner's home, also if the shell did not expand it."""
    if text is None or text.startswith("/"):
        return text
    if not text:
        raise UsageError("the name of the directory is empty", hint="leave the option out for the default")
    if text == "~" or text.startswith("~/"):
        return session.owner.home + text[1:]
    return expect_utf8(str(Path.cwd() / text), "the directory")


def resolve_existing_directory(session: Session, text: str | None, option: str) -> str | None:
    """Do the same as `resolve_directory`, but raise UsageError if it does not exist: ds01 does not create it."""
    path = resolve_directory(session, text)
    try:
        if path is not None:
            Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        hint = f"`{option} DIR`, an existing directory on this server"
        raise UsageError(f"there is no directory {path}", why=f"{option} names it", hint=hint) from None
    except (OSError, ValueError):
        pass  # the gate reports what is wrong with it
    return path


def parse_ports(texts: Sequence[str]) -> tuple[PublishedPort, ...]:
    """Return the ports of `--port`. Raises UsageError for duplicates, which Docker refuses only at the start."""
    ports = tuple(_parse_port(text) for text in texts)
    for side, numbers in (
        ("in the container", [port.container_port for port in ports]),
        ("of the server", [port.host_port for port in ports if port.host_port is not None]),
    ):
        duplicates = [number for number, count in Counter(numbers).items() if count > 1]
        if duplicates:
            raise UsageError(
                f"port {duplicates[0]} {side} is published {numbers.count(duplicates[0])} times",
                why=f"-p {' -p '.join(texts)}",
                hint="use each port once, on both sides: `-p HOST:CONTAINER`",
            )
    return ports


def _parse_port(text: str) -> PublishedPort:
    host, colon, container = text.rpartition(":")
    for part in (host, container) if colon else (container,):
        if not (part.isascii() and part.isdigit() and len(part) <= 5 and 0 < int(part) < 65536):
            raise UsageError(f"'{text}' is not a port", hint="`-p CONTAINER` or `-p HOST:CONTAINER`, from 1 to 65535")
    return PublishedPort(int(container), int(host) if colon else None)
