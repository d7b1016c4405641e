"""Render the parts of ds01's Dockerfiles. Pure functions from checked values to text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from ds01.images.plan import ImagePlan
from ds01.images.requirements import extra_file, requirements_file

SYSTEM_BEGIN, SYSTEM_END = "# ds01: system packages, one a line", "# ds01: end of the system packages"
NO_BUILD_ISOLATION = "--no-build-isolation"
_BUILD_DIRECTORY = "/tmp/ds01"  # noqa: S108  in the image, during the build
_ENVIRONMENT = {  # unbuffered logs; GPUs in nvidia-smi's order; downloads outlive the container
    "PYTHONUNBUFFERED": "1",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    "HF_HOME": "/workspace/.cache/huggingface",
    "TORCH_HOME": "/workspace/.cache/torch",
}


def header_block(plan: ImagePlan) -> str:
    """Return the head of the file, which describes the image."""
    rows = {
        "Image": f"{plan.name}, as ds01-{plan.uid}/{plan.name}",
        "Framework": plan.framework or "not from the catalogue",
        "Use case": plan.use_case.title if plan.use_case else "none",
        "Author": plan.login,
        "Created": f"{plan.created:%Y-%m-%d %H:%M} UTC, by ds01 {plan.ds01_version}",
    }
    # The first line must not look like a directive of Docker, `# NAME=VALUE`.
    return "\n".join(
        [
            "# An image for ds01.",
            *(f"# {title + ':':11}{value}" for title, value in rows.items()),
            "#",
            f"# To change it: edit this file, then image-update {plan.name} --rebuild.",
        ]
    )


def base_block(plan: ImagePlan) -> str:
    """Return FROM, and the user of the steps."""
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
    """Return the step that installs apt packages; empty without packages."""
    lines = system_lines(packages)
    if not lines:
        return ""
    return "\n".join(
        [
            "RUN command -v apt-get >/dev/null \\",
            f"    {_fail_with_message('the base image has no apt-get. Remove this step from the Dockerfile.')} \\",
            "    && apt-get update \\",
            "    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\",
            SYSTEM_BEGIN,
            f"{lines}{SYSTEM_END}",
            "    && rm -rf /var/lib/apt/lists/*",
        ]
    )


def system_lines(packages: Iterable[str]) -> str:
    """Return the lines between the marks. Of two versions of a package the later one counts."""
    by_name = {package.partition("=")[0]: package for package in packages}
    return "".join(f"        {package} \\\n" for package in by_name.values())


def pip_block(name: str) -> str:
    """Return the step that installs NAME.requirements.txt."""
    return "\n".join(
        [
            "# Python packages. The pattern takes in NAME.constraints.txt, where there is one.",
            f"COPY {name}.*.txt {_BUILD_DIRECTORY}/",
            *_pip_step(requirements_file(name)),
        ]
    )


def extra_block(name: str, *, isolated: bool = True) -> str:
    """Return the step that installs NAME.extra.txt. `isolated` False: builds use the image's packages, like PyTorch."""
    return "\n".join(
        [
            "# Your requirements, in a step of their own: what they say of an index, of hashes or of how packages are",
            "# built does not hold for the packages above.",
            f"COPY {name}.*.txt {_BUILD_DIRECTORY}/",
            *_pip_step(extra_file(name), *(() if isolated else (NO_BUILD_ISOLATION,))),
        ]
    )


def _pip_step(file: str, *options: str) -> list[str]:
    no_pip = _fail_with_message("the base image has no Python with pip. On Debian or Ubuntu: --system python3-pip")
    return [
        "RUN python3 -m pip --version >/dev/null \\",
        f"    {no_pip} \\",
        # Debian's Python refuses without the first variable; a pip that does not know them ignores them.
        "    && PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore \\",
        f"    {' '.join(('python3 -m pip install --no-cache-dir', *options))} -r {_BUILD_DIRECTORY}/{file}",
    ]


def jupyter_block(plan: ImagePlan) -> str:
    """Return Jupyter's configuration, and a kernel with the image's name."""
    display_name = f"{plan.name} ({plan.framework})" if plan.framework else plan.name
    config = json.dumps({"ServerApp": {"ip": "0.0.0.0", "open_browser": False}})  # noqa: S104
    kernel = [
        "python3",
        "-m",
        "ipykernel",
        "install",
        "--sys-prefix",
        "--name",
        plan.name,
        "--display-name",
        display_name,
    ]
    return "\n".join(
        [
            "# Jupyter listens on all addresses inside; outside, only the server's own loopback has its port. It wants",
            "# the token that it makes itself and shows at its start.",
            "RUN mkdir -p /etc/jupyter \\",
            f"    && echo '{config}' > /etc/jupyter/jupyter_server_config.json",
            f"RUN {json.dumps(kernel)}",
        ]
    )


def environment_block() -> str:
    """Return the environment variables of the image."""
    return _join_values("ENV", _ENVIRONMENT)


def label_block(plan: ImagePlan) -> str:
    """Return the labels, for the end of the file: Docker runs all steps after a change again."""
    values = {
        "maintainer": plan.login,
        "maintainer.id": str(plan.uid),
        "ds01.image": plan.name,
        "ds01.framework": plan.framework or "",
        "ds01.created": plan.created.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "ds01.use_case": plan.use_case.key if plan.use_case else "",
        "ds01.jupyter": "true" if plan.jupyter else "false",
    }
    return _join_values("LABEL", {key: _quote_value(value) for key, value in values.items()})


def _join_values(word: str, values: Mapping[str, str]) -> str:
    """Return all values in one instruction, one per line, since each instruction is a build step."""
    return f"{word} " + " \\\n    ".join(f"{key}={value}" for key, value in values.items())


def _fail_with_message(text: str) -> str:
    """Return shell code that ends the step with a message if the previous command failed."""
    return f"|| {{ echo 'ds01: {text}' >&2; exit 1; }}"


def _quote_value(text: str) -> str:
    """Quote a value so that Docker's parser returns it unchanged."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
