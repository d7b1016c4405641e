"""What a Dockerfile may have that only BuildKit understands, found before anything is fetched for it.

ds01 builds with Docker's classic builder: it keeps the steps of a build within the owner's limits, and every Docker has
it. BuildKit runs the steps outside of them.
"""

from __future__ import annotations

import re

from ds01.errors import UsageError
from ds01.images.instructions import Instruction, parse_instructions

_FLAGS = {
    "RUN": {
        "--mount": "leave the mount out: a cache only makes a build faster; what is bound can be copied with COPY",
        "--network": "leave it out: steps have the network that the policy says",
        "--security": "leave it out",
        "--device": "leave it out: a build has no GPU",
    },
    "COPY": {
        "--link": "leave it out: it only makes a build faster",
        "--chmod": "change the mode in a step of its own: RUN chmod 0755 FILE",
        "--parents": "copy each directory to its own place",
        "--exclude": "name what is not wanted in .dockerignore",
    },
    "ADD": {
        "--link": "leave it out: it only makes a build faster",
        "--chmod": "change the mode in a step of its own: RUN chmod 0755 FILE",
        "--checksum": "check it in a step of its own: RUN echo 'SUM  FILE' | sha256sum -c",
        "--keep-git-dir": "clone it in a step of its own: RUN git clone ADDRESS",
        "--exclude": "name what is not wanted in .dockerignore",
    },
}
_CLASSIC_FLAGS = {"COPY": ("--chown", "--from"), "ADD": ("--chown",)}  # the classic builder's own flags; RUN has none
_PLATFORM = re.compile(r"--platform=\S*\$\{?(BUILD|TARGET)")
_OF_PLATFORM = re.compile(r"(BUILD|TARGET)(PLATFORM|OS|ARCH|VARIANT)")
_REPOSITORY = re.compile(r"git@\S+|(git|ssh)://\S+|https?://\S+\.git(#\S*)?")
_SECRET = re.compile(r"--mount=\S*\btype=(secret|ssh)\b")
_FILE_BESIDE = "put the text into a file beside the Dockerfile, and copy that"


def check_classic(dockerfile: str) -> None:
    """Raise UsageError for the first instruction that the classic builder does not know, with what to write instead."""
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
    """The feature of BuildKit that an instruction uses, and what does the same without."""
    word = instruction.word
    feature_and_hint = _unsupported_flag(instruction) if word in _FLAGS else None
    if feature_and_hint is not None:
        return feature_and_hint
    if instruction.heredocs:
        if word == "RUN" and instruction.rest.startswith("<<"):
            return "RUN with a here-document", "join the commands with && and end each line but the last with \\"
        return f"{word} with a here-document", _FILE_BESIDE
    if word == "FROM" and _PLATFORM.search(instruction.rest):
        return "a variable of the platform", "leave --platform out: an image is for this server"
    if word == "ARG":
        # Only BuildKit sets these; a default in the Dockerfile serves the classic builder too.
        unset_name = next((name for name in instruction.rest.split() if _OF_PLATFORM.fullmatch(name)), None)
        return (
            None
            if unset_name is None
            else (f"ARG {unset_name} without a value", f"give it one: ARG {unset_name}=VALUE")
        )
    if word == "ADD" and any(_REPOSITORY.fullmatch(source.strip('"[],')) for source in instruction.rest.split()):
        return "ADD of a Git repository", "clone it in a step of its own: RUN git clone ADDRESS"
    return None


def _unsupported_flag(instruction: Instruction) -> tuple[str, str] | None:
    """The first flag of RUN, COPY or ADD that the classic builder does not know, and what to do without it."""
    word = instruction.word
    for part in instruction.rest.split():
        if not part.startswith("--"):
            break
        flag = part.partition("=")[0]
        if flag in _CLASSIC_FLAGS.get(word, ()):
            continue
        if _SECRET.match(part):
            return f"{word} {flag}", "get what needs the secret beforehand, put it beside the Dockerfile, and copy it"
        return f"{word} {flag}", _FLAGS[word].get(flag, "leave it out")
    return None
