"""Find instructions in a Dockerfile that only BuildKit understands, before anything is downloaded for it.

ds01 builds with Docker's classic builder, which every Docker has and which keeps build steps within the owner's limits.
BuildKit runs the steps outside of them.
"""

from __future__ import annotations

import re

from ds01.errors import UsageError
from ds01.images.instructions import Instruction, parse_instructions

_FLAGS = {
    "RUN": {
        "--mount": "remove the mount: a cache only makes a build faster, and COPY can replace a bind mount",
        "--network": "remove it: steps have the network that the policy sets",
        "--security": "remove it",
        "--device": "remove it: a build has no GPU",
    },
    "COPY": {
        "--link": "remove it: it only makes a build faster",
        "--chmod": "change the mode in a separate step: RUN chmod 0755 FILE",
        "--parents": "copy each directory to its own place",
        "--exclude": "list what to leave out in .dockerignore",
    },
    "ADD": {
        "--link": "remove it: it only makes a build faster",
        "--chmod": "change the mode in a separate step: RUN chmod 0755 FILE",
        "--checksum": "check it in a separate step: RUN echo 'SUM  FILE' | sha256sum -c",
        "--keep-git-dir": "clone it in a separate step: RUN git clone ADDRESS",
        "--exclude": "list what to leave out in .dockerignore",
    },
}
_CLASSIC_FLAGS = {"COPY": ("--chown", "--from"), "ADD": ("--chown",)}  # the classic builder's own flags; RUN has none
_PLATFORM = re.compile(r"--platform=\S*\$\{?(BUILD|TARGET)")
_OF_PLATFORM = re.compile(r"(BUILD|TARGET)(PLATFORM|OS|ARCH|VARIANT)")
_REPOSITORY = re.compile(r"git@\S+|(git|ssh)://\S+|https?://\S+\.git(#\S*)?")
_SECRET = re.compile(r"--mount=\S*\btype=(secret|ssh)\b")
_FILE_BESIDE = "put the text into a file beside the Dockerfile, and copy the file"


def check_classic(dockerfile: str) -> None:
    """Raise UsageError for the first instruction that the classic builder does not support, with a replacement."""
    for instruction in parse_instructions(dockerfile):
        feature_and_hint = _buildkit_feature(instruction)
        if feature_and_hint is not None:
            feature, hint = feature_and_hint
            raise UsageError(
                f"line {instruction.line + 1} of the Dockerfile needs BuildKit: {feature}",
                why="ds01 builds with Docker's classic builder, since that keeps a build within your limits",
                hint=hint,
            )


def _buildkit_feature(instruction: Instruction) -> tuple[str, str] | None:
    """Return the BuildKit feature that an instruction uses, and a replacement; None if it uses none."""
    word = instruction.word
    feature_and_hint = _unsupported_flag(instruction) if word in _FLAGS else None
    if feature_and_hint is not None:
        return feature_and_hint
    if instruction.heredocs:
        if word == "RUN" and instruction.rest.startswith("<<"):
            return "RUN with a here-document", "join the commands with && and end each line but the last with \\"
        return f"{word} with a here-document", _FILE_BESIDE
    if word == "FROM" and _PLATFORM.search(instruction.rest):
        return "a platform variable", "remove --platform: images are for this server"
    if word == "ARG":
        # Only BuildKit sets these; with a default in the Dockerfile the classic builder works too.
        unset_name = next((name for name in instruction.rest.split() if _OF_PLATFORM.fullmatch(name)), None)
        return (
            None
            if unset_name is None
            else (f"ARG {unset_name} without a value", f"give it one: ARG {unset_name}=VALUE")
        )
    if word == "ADD" and any(_REPOSITORY.fullmatch(source.strip('"[],')) for source in instruction.rest.split()):
        return "ADD of a Git repository", "clone it in a separate step: RUN git clone ADDRESS"
    return None


def _unsupported_flag(instruction: Instruction) -> tuple[str, str] | None:
    """Return the first flag of RUN, COPY or ADD that the classic builder does not support, and a replacement."""
    word = instruction.word
    for part in instruction.rest.split():
        if not part.startswith("--"):
            break
        flag = part.partition("=")[0]
        if flag in _CLASSIC_FLAGS.get(word, ()):
            continue
        if _SECRET.match(part):
            return f"{word} {flag}", "fetch what needs the secret beforehand, and copy it from beside the Dockerfile"
        return f"{word} {flag}", _FLAGS[word].get(flag, "remove it")
    return None
