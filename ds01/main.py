"""The entry: which command was meant, by argv[0] or by words; loads only that command's module.

The only file that reads `DS01_*` and SUDO_UID. Every error ends here, as a few lines and an exit code.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from ds01 import __version__

if TYPE_CHECKING:
    import click

    from ds01.errors import Ds01Error
    from ds01.system.settings import Settings

# What can be typed, by what it is for: the words, where the command is, and one line on it. `container create` is also
# the program `container-create`, by a symlink.
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "To begin": {
        "user setup": ("ds01.cli.user.setup", "First steps: SSH key, a project, VS Code"),
        "project init": ("ds01.cli.project.init", "A new project: folder, git, README, image, container"),
        "container deploy": ("ds01.cli.container.deploy", "Create a container and start it"),
        "container retire": ("ds01.cli.container.retire", "Stop a container, remove it, free its GPU"),
    },
    "Containers": {
        "container create": ("ds01.cli.container.create", "Create a container; it does not run yet"),
        "container start": ("ds01.cli.container.start", "Start a container in the background"),
        "container run": ("ds01.cli.container.run", "Enter a container, or run a command in it"),
        "container stop": ("ds01.cli.container.stop", "Stop a container; its GPU is held for a while"),
        "container list": ("ds01.cli.container.list", "Your containers, their GPUs and deadlines"),
        "container stats": ("ds01.cli.container.stats", "What running containers use, against their limits"),
        "container remove": ("ds01.cli.container.remove", "Remove stopped containers"),
        "container cleanup": ("ds01.cli.container.cleanup", "Find stopped containers and remove them"),
        "container pause": ("ds01.cli.container.pause", "Freeze a running container"),
        "container unpause": ("ds01.cli.container.unpause", "Let a paused container go on"),
        "container extend": ("ds01.cli.container.extend", "Move the deadlines of a running container"),
        "container adopt": ("ds01.cli.container.adopt", "Take over a container made by AIME's tools"),
        "container exit": ("ds01.cli.container.exit", "How to leave a container"),
    },
    "Images": {
        "image create": ("ds01.cli.image.create", "Build an image of your own, step by step"),
        "image update": ("ds01.cli.image.update", "Change an image of yours and build it again"),
        "image list": ("ds01.cli.image.list", "Your images, and what uses them"),
        "image delete": ("ds01.cli.image.delete", "Delete an image of yours"),
    },
    "Projects": {
        "dir create": ("ds01.cli.project.dir_create", "A project's folders"),
        "git init": ("ds01.cli.project.git_init", "Git for a project, with an ignore list for ML"),
        "readme create": ("ds01.cli.project.readme_create", "A README for a project"),
        "devcontainer init": ("ds01.cli.project.devcontainer_init", "A devcontainer.json for VS Code"),
        "ssh setup": ("ds01.cli.user.ssh_setup", "An SSH key, and how to reach this server"),
        "vscode setup": ("ds01.cli.user.vscode_setup", "VS Code on your computer, working here"),
    },
    "The server": {
        "gpu status": ("ds01.cli.gpu.status", "All GPUs, and who has them until when"),
        "queue": ("ds01.cli.queue", "Who waits for a GPU"),
        "limits": ("ds01.cli.limits", "What the policy gives a user, and why"),
        "notices": ("ds01.cli.notices", "What ds01 did or will do to your containers"),
        "aliases": ("ds01.cli.aliases", "Every command with one line"),
    },
    "AIME's names for it": {
        "mlc create": ("ds01.cli.mlc.create", "As container-deploy: framework and version"),
        "mlc open": ("ds01.cli.mlc.open", "As container-run; stops it when nothing is left"),
        "mlc list": ("ds01.cli.mlc.list", "As container-list, in AIME's columns"),
        "mlc stats": ("ds01.cli.mlc.stats", "As container-stats, in AIME's columns"),
        "mlc start": ("ds01.cli.mlc.start", "As container-start"),
        "mlc stop": ("ds01.cli.mlc.stop", "As container-stop"),
        "mlc remove": ("ds01.cli.mlc.remove", "As container-remove"),
        "mlc update-sys": ("ds01.cli.mlc.update_sys", "Says how ds01 is updated"),
        "mlc upgrade-sys": ("ds01.cli.mlc.update_sys", "Says how ds01 is updated"),
    },
    "Administration": {
        "gpu list": ("ds01.cli.gpu.list", "The slots, for scripts"),
        "gpu allocate": ("ds01.cli.gpu.allocate", "Lease GPUs by hand"),
        "gpu release": ("ds01.cli.gpu.release", "Give a lease back"),
        "gpu mark-stopped": ("ds01.cli.gpu.mark_stopped", "Record that a container was stopped"),
        "gpu clear-stopped": ("ds01.cli.gpu.clear_stopped", "Record that a container runs again"),
        "gpu validate": ("ds01.cli.gpu.validate", "Whether a container's GPU is still there"),
        "policy check": ("ds01.cli.policy.check", "Whether a policy is right, and what it would change"),
        "doctor": ("ds01.cli.doctor", "Check the whole installation, and mend it"),
        "slices apply": ("ds01.cli.slices.apply", "Give groups and users the limits of the policy"),
        "user add": ("ds01.cli.user.add", "Let somebody use ds01"),
        "emergency-stop": ("ds01.cli.emergency_stop", "Stop containers at once"),
        "tick": ("ds01.cli.tick", "One pass of the automation, as root's cron runs it"),
    },
}
COMMANDS = {words: entry for commands in GROUPS.values() for words, entry in commands.items()}
DISPATCHERS = ("container", "image", "project", "user", "mlc")  # nouns that are programs of their own
# Nouns whose verbs are programs, as `git-init`; `ds01 NOUN VERB` works for all.
PROGRAM_NOUNS = (*DISPATCHERS, "dir", "git", "readme", "devcontainer", "ssh", "vscode")
ALIASES = {  # programs that are called otherwise than their words
    "new-user": "user setup",
    "new-project": "project init",
    "alias-list": "aliases",
    "add-user-to-docker": "user add",
}
_BY_ALIAS_ONLY = frozenset({"user add"})

INTERRUPTED = 130
OWN_FAILURE = 125


def main() -> None:
    """Run the command that the process was started as, and exit with its code."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed: the number would go to the next file that is opened
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  it stays
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of another encoding gets `?` for what it cannot show
    # Most commands live for a moment and make few cycles: a sixth of their time would go into looking for them.
    gc.disable()
    try:
        code = run(sys.argv)
    except KeyboardInterrupt:
        code = INTERRUPTED
    _flush()
    sys.exit(code)


def run(argv: Sequence[str]) -> int:
    """Run a command line, program name first; the exit code."""
    words, arguments = _split(Path(argv[0]).name, list(argv[1:]))
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    try:
        if words not in COMMANDS:
            return _without_command(words)
        # The command reads the settings itself, so that --help needs none.
        code = load(words).main(arguments, prog_name=shown(words), standalone_mode=False, obj=_settings)
        return code if isinstance(code, int) else 0
    except (Exception, KeyboardInterrupt) as error:
        failure, code = _failure(error, words)
        # `container-run NAME -- COMMAND` hands the command's code on, so ds01's own failures have one that is free.
        if words == "container run" and own != arguments and code != INTERRUPTED:
            code = OWN_FAILURE
        _tell(failure, code, as_json="--json" in own, debug="--debug" in own)
        return code


def names() -> list[str]:
    """The names of all programs that are symlinks to this one."""
    return [*DISPATCHERS, *(_hyphenated(words) for words in COMMANDS if _is_program(words)), *ALIASES]


def load(words: str) -> click.Command:
    """The click command behind some words of the table."""
    from importlib import import_module

    command: click.Command = import_module(COMMANDS[words][0]).command
    return command


def shown(words: str) -> str:
    """How a command is called in its own texts: `container-create`, `ds01 gpu status`."""
    return _hyphenated(words) if _is_program(words) else f"ds01 {words}"


def _is_program(words: str) -> bool:
    return words.partition(" ")[0] in PROGRAM_NOUNS and words not in _BY_ALIAS_ONLY


def _hyphenated(words: str) -> str:
    return words.replace(" ", "-")


def _split(program: str, arguments: list[str]) -> tuple[str, list[str]]:
    """The command's words, and the arguments that are left; words that name no command are returned as they are."""
    by_hyphen = {_hyphenated(words): words for words in COMMANDS} | ALIASES
    if program in by_hyphen:
        return by_hyphen[program], arguments
    said = [program, *arguments] if program in DISPATCHERS else arguments
    if said and said[0] in by_hyphen:
        return by_hyphen[said[0]], said[1:]
    if len(said) > 1 and f"{said[0]} {said[1]}" in COMMANDS:
        return f"{said[0]} {said[1]}", said[2:]
    return " ".join(said[:2]), said[2:]


def _without_command(words: str) -> int:
    from ds01.cli.output import put
    from ds01.errors import WrongUse

    first, _, second = words.partition(" ")
    if first == "--version":
        put(f"ds01 {__version__}")
        return 0
    if first == "--names":
        put("\n".join(names()))
        return 0
    noun = first if any(known.startswith(f"{first} ") for known in COMMANDS) else None
    if (first if noun is None else second) in ("", "--help", "-h", "help"):
        put(_overview(noun))
        return 0
    from difflib import get_close_matches

    near = get_close_matches(words, COMMANDS, n=1) or get_close_matches(first.replace("-", " "), COMMANDS, n=1)
    hint = f"did you mean `{shown(near[0])}`?" if near else "`ds01 --help` lists the commands"
    raise WrongUse(f"there is no command `{words}`", hint=hint)


def _overview(noun: str | None) -> str:
    what = f"{noun if noun in DISPATCHERS else f'ds01 {noun}'} VERB" if noun else "ds01 COMMAND"
    lines = [f"Usage: {what} …        every command has --help with an example", ""]
    if noun is None:
        lines.insert(0, "ds01: a container service for many people on one GPU server.\n")
    for title, commands in GROUPS.items():
        rows = [
            f"  {shown(words):24}{summary}"
            for words, (_, summary) in commands.items()
            if noun is None or words.startswith(f"{noun} ")
        ]
        if rows:
            lines += [title, *rows, ""] if noun is None else rows
    if noun is None:
        lines += ["`container-create` is also `container create` and `ds01 container create`."]
    return "\n".join(lines)


def _failure(error: BaseException, words: str) -> tuple[Ds01Error, int]:
    """An error as one that people understand, and the exit code."""
    import click

    from ds01.errors import Ds01Error, WrongUse

    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return Ds01Error("interrupted"), INTERRUPTED
    if isinstance(error, click.ClickException):
        error = WrongUse(error.format_message(), hint=f"`{shown(words)} --help` shows how it is used")
    elif isinstance(error, OSError):
        error = Ds01Error(error.strerror or str(error), why=str(error.filename) if error.filename else None)
    elif not isinstance(error, Ds01Error):
        why = f"{type(error).__name__}: {error}"
        error = Ds01Error("something unexpected went wrong", why=why, hint="--debug shows where; please report it")
    return error, error.code


def _settings() -> Settings:
    from ds01.system.settings import read

    return read(os.environ, euid=os.geteuid())


def _tell(failure: Ds01Error, code: int, *, as_json: bool, debug: bool) -> None:
    from ds01.cli.output import OutputLost, put, put_json
    from ds01.cli.words import describe_error

    if debug:
        import traceback

        put(traceback.format_exc(), error=True)
    if as_json and not isinstance(failure, OutputLost):
        put_json({"error": {"code": code, "message": failure.message, "why": failure.why, "hint": failure.hint}})
    else:
        put(describe_error(failure), error=True)


def _flush() -> None:
    """Write what is kept back still; what cannot be written is dropped, or Python would complain at its end."""
    from ds01.cli.output import mute

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            mute(stream)


if __name__ == "__main__":
    main()
