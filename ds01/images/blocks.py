"""The parts of a Dockerfile that ds01 writes. Pure functions from checked values to text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from ds01.images.plan import ImagePlan
from ds01.images.requirements import extra_file, requirements_file

FIRST, LAST = "# ds01: system packages, one a line", "# ds01: end of the system packages"
NOT_ISOLATED = "--no-build-isolation"
_FOLDER = "/tmp/ds01"  # noqa: S108  in the image, while it is built
_ENVIRONMENT = {  # each run logs at once; GPUs have nvidia-smi's order; what is fetched once outlives the container
    "PYTHONUNBUFFERED": "1",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    "HF_HOME": "/workspace/.cache/huggingface",
    "TORCH_HOME": "/workspace/.cache/torch",
}


def header(plan: ImagePlan) -> str:
    """What the image is, for who opens the file."""
    rows = {
        "Image": f"{plan.name}, as ds01-{plan.uid}/{plan.name}",
        "Framework": plan.framework or "none of the catalogue",
        "Use case": plan.use_case.title if plan.use_case else "none",
        "Author": plan.login,
        "Created": f"{plan.created:%Y-%m-%d %H:%M} UTC, by ds01 {plan.ds01_version}",
    }
    # The first line must not look like one of Docker's directives, `# NAME=VALUE`.
    return "\n".join(
        [
            "# An image for ds01.",
            *(f"# {title + ':':11}{value}" for title, value in rows.items()),
            "#",
            f"# To change it: edit this file, then image-update {plan.name} --rebuild.",
        ]
    )


def base(plan: ImagePlan) -> str:
    """What it begins from, and as whom the steps run."""
    return "\n".join(
        [
            f"FROM {plan.base}",
            "# Packages are installed by root; a container's processes have the uid of whose container it is.",
            "USER root",
            "# A build shall not see other people's GPUs where Docker's runtime gives it all of them; a container gets",
            "# its own value from ds01.",
            "ENV NVIDIA_VISIBLE_DEVICES=void",
        ]
    )


def system_block(packages: Iterable[str]) -> str:
    """The step that installs packages of apt; nothing without any."""
    lines = system_lines(packages)
    if not lines:
        return ""
    return "\n".join(
        [
            "RUN command -v apt-get >/dev/null \\",
            f"    {_or_say('the base image has no apt-get. Take this step out of the Dockerfile.')} \\",
            "    && apt-get update \\",
            "    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\",
            FIRST,
            f"{lines}{LAST}",
            "    && rm -rf /var/lib/apt/lists/*",
        ]
    )


def system_lines(packages: Iterable[str]) -> str:
    """What stands between the marks. Of two versions of a package the later one counts."""
    by_name = {package.partition("=")[0]: package for package in packages}
    return "".join(f"        {package} \\\n" for package in by_name.values())


def pip_block(name: str) -> str:
    """The step that installs NAME.requirements.txt."""
    return "\n".join(
        [
            "# Python packages. The pattern takes in NAME.constraints.txt, where there is one.",
            f"COPY {name}.*.txt {_FOLDER}/",
            *_pip(requirements_file(name)),
        ]
    )


def extra_block(name: str, *, isolated: bool = True) -> str:
    """The step that installs NAME.extra.txt. `isolated` is False where builds use what the image has, as PyTorch."""
    return "\n".join(
        [
            "# Your requirements, in a step of their own: what they say of an index, of hashes or of how packages are",
            "# built does not hold for the packages above.",
            f"COPY {name}.*.txt {_FOLDER}/",
            *_pip(extra_file(name), *(() if isolated else (NOT_ISOLATED,))),
        ]
    )


def _pip(file: str, *options: str) -> list[str]:
    return [
        "RUN python3 -m pip --version >/dev/null \\",
        f"    {_or_say('the base image has no Python with pip. On Debian or Ubuntu: --system python3-pip')} \\",
        # A Python of Debian's refuses without the first; a pip that knows neither passes over them.
        "    && PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore \\",
        f"    {' '.join(('python3 -m pip install --no-cache-dir', *options))} -r {_FOLDER}/{file}",
    ]


def jupyter_block(plan: ImagePlan) -> str:
    """How Jupyter listens, and a kernel that has the image's name."""
    shown = f"{plan.name} ({plan.framework})" if plan.framework else plan.name
    config = json.dumps({"ServerApp": {"ip": "0.0.0.0", "open_browser": False}})  # noqa: S104
    kernel = ["python3", "-m", "ipykernel", "install", "--sys-prefix", "--name", plan.name, "--display-name", shown]
    return "\n".join(
        [
            "# Jupyter listens on all addresses inside; outside, only the server's own loopback has its port. It wants",
            "# the token that it makes itself and shows at its start.",
            "RUN mkdir -p /etc/jupyter \\",
            f"    && echo '{config}' > /etc/jupyter/jupyter_server_config.json",
            f"RUN {json.dumps(kernel)}",
        ]
    )


def environment() -> str:
    """What programs in the container find set."""
    return _together("ENV", _ENVIRONMENT)


def labels(plan: ImagePlan) -> str:
    """What tools can read from the image. At the end of the file: Docker runs all steps behind a change anew."""
    values = {
        "maintainer": plan.login,
        "maintainer.id": str(plan.uid),
        "ds01.image": plan.name,
        "ds01.framework": plan.framework or "",
        "ds01.created": plan.created.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "ds01.use_case": plan.use_case.key if plan.use_case else "",
        "ds01.jupyter": "true" if plan.jupyter else "false",
    }
    return _together("LABEL", {key: _quoted(value) for key, value in values.items()})


def _together(word: str, values: Mapping[str, str]) -> str:
    """All values in one instruction, a line each: each instruction is a step of the build."""
    return f"{word} " + " \\\n    ".join(f"{key}={value}" for key, value in values.items())


def _or_say(text: str) -> str:
    """What ends a step in words, where the command before it failed."""
    return f"|| {{ echo 'ds01: {text}' >&2; exit 1; }}"


def _quoted(text: str) -> str:
    """A value as Docker's parser gives it back unchanged."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
