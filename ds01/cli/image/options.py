"""The options of image-create, with the checks that need no look at the server."""

from __future__ import annotations

import click

from ds01.api.types import is_reference
from ds01.cli.command.definition import option_group
from ds01.dataclass import dataclass
from ds01.errors import UsageError
from ds01.policy.names import parse_name


@dataclass(frozen=True)
class ImageOptions:
    """The options as typed, under their names. None: not given."""

    name: str | None = None
    framework: str | None = None
    version: str | None = None
    base_image: str | None = None
    dockerfile: str | None = None
    jupyter: bool | None = None
    base_packages: str | None = None
    use_case: str | None = None
    packages: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    requirements: str | None = None
    arch: str | None = None
    project_dockerfile: bool = False
    no_build_isolation: bool = False

    def check(self) -> None:
        """Raise UsageError for contradictory options, before any question is asked."""
        words = {"--framework": self.framework, "--base-image": self.base_image, "--dockerfile": self.dockerfile}
        given = [word for word, value in words.items() if value is not None]
        if len(given) > 1:
            raise UsageError("more than one base was named", why=f"{' and '.join(given)} each name one")
        if self.version is not None and self.framework is None:
            raise UsageError("--version needs --framework", hint="`--framework pytorch --version 2.5.1`")
        if self.base_image is not None and not is_reference(self.base_image):
            raise UsageError(
                f"'{self.base_image}' is not an image name", why="it has the form [HOST/]NAME[:TAG], in lower case"
            )
        if self.dockerfile is not None:
            rest = [
                option
                for option, value in {
                    "--jupyter": self.jupyter is not None,
                    "--base-packages": self.base_packages,
                    "--use-case": self.use_case,
                    "--packages": self.packages,
                    "--system": self.system,
                    "--requirements": self.requirements,
                    "--project-dockerfile": self.project_dockerfile,
                    "--no-build-isolation": self.no_build_isolation,
                }.items()
                if value
            ]
            if rest:
                raise UsageError(
                    f"--dockerfile builds your file as it is, so {' and '.join(rest)} cannot change it",
                    hint="put it into the Dockerfile, or leave --dockerfile out",
                )

    @property
    def has_base(self) -> bool:
        """Return whether the base of the image is given; all else has defaults."""
        return (self.framework, self.base_image, self.dockerfile) != (None, None, None)


_OPTIONS = (
    click.argument("name", required=False),
    click.option("--framework", metavar="NAME[-VERSION]", help="A framework of the catalogue, such as pytorch."),
    click.option("--version", metavar="VERSION", help="Its version. Default: the newest for these GPUs."),
    click.option("--base-image", metavar="IMAGE", help="Any other image to start from."),
    click.option("--dockerfile", metavar="FILE", help="Build your own Dockerfile, unchanged."),
    click.option("--jupyter/--no-jupyter", default=None, help="JupyterLab, with a kernel. Default: yes."),
    click.option(
        "--base-packages",
        metavar="default|none|LIST",
        help="Data science packages; LIST is separated by spaces. Default: all.",
    ),
    click.option("--use-case", metavar="CASE", help="ml, cv, nlp, rl, audio, timeseries, llm. Default: none."),
    click.option(
        "--packages", multiple=True, metavar="LIST", help='pip packages, separated by spaces: "pandas>=2.0,<3 tqdm".'
    ),
    click.option(
        "--system", multiple=True, metavar="LIST", help='apt packages, separated by spaces: "ffmpeg libsndfile1".'
    ),
    click.option("--requirements", metavar="FILE", help="A requirements file for pip."),
    click.option(
        "--no-build-isolation", is_flag=True, help="Let pip build your packages against the image's own (flash-attn)."
    ),
    click.option("--arch", metavar="ARCH", help="The GPU architecture, such as CUDA_ADA. Default: this server's."),
    click.option("--project-dockerfile", is_flag=True, help="Keep the Dockerfile in ~/workspace/NAME."),
)
# The options of image-create; the function gets them as one `options`.
image_options = option_group(ImageOptions, _OPTIONS)


def parse_image_name(text: str) -> str:
    """Return a valid image name for the typed text. Raises UsageError."""
    return parse_name(text, "image name")


def apt_packages(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names in `--system`, each once, unchecked: the plan of the image checks them."""
    return tuple(dict.fromkeys(name for text in texts for name in text.replace(",", " ").split()))
