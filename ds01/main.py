"""The entry: which command was meant, by argv[0] or by words; loads only that command's module.

The only file that reads `DS01_*` and SUDO_UID. Every error ends here, as a few lines and an exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ds01 import __version__

if TYPE_CHECKING:
    import click

    from ds01.system.settings import Settings

# What can be typed: the words, where the command is, and one line on it. `container create` is also the program
# `container-create`, by a symlink.
COMMANDS: dict[str, tuple[str, str]] = {
    "container deploy": ("ds01.cli.container.deploy", "Create a container and start it"),
    "container retire": ("ds01.cli.container.retire", "Stop a container, remove it, free its GPU"),
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
    "container exit": ("ds01.cli.container.exit", "How to leave a container"),
    "limits": ("ds01.cli.limits", "What the policy gives a user, and why"),
    "gpu status": ("ds01.cli.gpu.status", "All GPUs, and who has them until when"),
    "gpu list": ("ds01.cli.gpu.list", "The slots, for scripts"),
    "gpu allocate": ("ds01.cli.gpu.allocate", "Lease GPUs by hand"),
    "gpu release": ("ds01.cli.gpu.release", "Give a lease back"),
    "gpu mark-stopped": ("ds01.cli.gpu.mark_stopped", "Record that a container was stopped"),
    "gpu clear-stopped": ("ds01.cli.gpu.clear_stopped", "Record that a container runs again"),
    "gpu validate": ("ds01.cli.gpu.validate", "Whether a container's GPU is still there"),
}
DISPATCHERS = ("container",)  # nouns that are programs of their own; `ds01 NOUN VERB` works for all

INTERRUPTED = 130


def main() -> None:
    """Run the command that the process was started as, and exit with its code."""
    sys.exit(run(sys.argv))


def run(argv: Sequence[str]) -> int:
    """Run a command line, program name first; the exit code."""
    program, arguments = Path(argv[0]).name, list(argv[1:])
    words, rest = _split(program, arguments)
    if words not in COMMANDS:
        return _without_command(words, rest)
    try:
        return _run_command(words, rest)
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def names() -> list[str]:
    """The names of all programs that are symlinks to this one."""
    return [*DISPATCHERS, *(_hyphenated(words) for words in COMMANDS if words.split()[0] in DISPATCHERS)]


def load(words: str) -> click.Command:
    """The click command behind some words of the table."""
    from importlib import import_module

    command: click.Command = import_module(COMMANDS[words][0]).command
    return command


def shown(words: str) -> str:
    """How a command is called in its own texts: `container-create`, `ds01 gpu status`."""
    return _hyphenated(words) if words.split()[0] in DISPATCHERS else f"ds01 {words}"


def _hyphenated(words: str) -> str:
    return words.replace(" ", "-")


def _split(program: str, arguments: list[str]) -> tuple[str, list[str]]:
    """The command's words, and the arguments that are left; words that name no command are returned as they are."""
    by_hyphen = {_hyphenated(words): words for words in COMMANDS}
    if program in by_hyphen:
        return by_hyphen[program], arguments
    said = [program, *arguments] if program in DISPATCHERS else arguments
    if said and said[0] in by_hyphen:
        return by_hyphen[said[0]], said[1:]
    if len(said) > 1 and f"{said[0]} {said[1]}" in COMMANDS:
        return f"{said[0]} {said[1]}", said[2:]
    return " ".join(said[:2]), said[2:]


def _without_command(words: str, rest: list[str]) -> int:
    first = words.split()[0] if words else ""
    if first == "--version":
        print(f"ds01 {__version__}")
        return 0
    if first == "--names":
        print("\n".join(names()))
        return 0
    noun = first if any(known.startswith(f"{first} ") for known in COMMANDS) else None
    asked = words.removeprefix(noun or "").strip()
    if asked in ("", "--help", "-h", "help"):
        print(_overview(noun))
        return 0 if asked or not words else 2
    from difflib import get_close_matches

    near = get_close_matches(words, COMMANDS, n=1) or get_close_matches(first, COMMANDS, n=1)
    hint = f"did you mean `{shown(near[0])}`?" if near else "`ds01 --help` lists the commands"
    print(f"Error: there is no command `{words}`\n  {hint}", file=sys.stderr)
    return 2


def _overview(noun: str | None) -> str:
    lines = ["Usage: ds01 COMMAND …        every command has --help with an example", ""]
    if noun is None:
        lines.insert(0, "ds01: a container service for many people on one GPU server.\n")
    for words, (_, summary) in COMMANDS.items():
        if noun is None or words.startswith(f"{noun} "):
            lines.append(f"  {shown(words):24}{summary}")
    if noun is None:
        lines += ["", "`container-create` may be written `container create` and `ds01 container create`."]
    return "\n".join(lines)


def _run_command(words: str, arguments: list[str]) -> int:
    import click

    from ds01.errors import Ds01Error, WrongUse

    debug = "--debug" in arguments
    as_json = "--json" in arguments
    # `container-run NAME -- COMMAND` hands the command's exit code on, so its own failures have one that is free.
    own_code = 125 if words == "container run" and "--" in arguments else None
    try:
        command = load(words)
        code = command.main(arguments, prog_name=shown(words), standalone_mode=False, obj=_settings())
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as wrong:
        hint = f"`{shown(words)} --help` shows how it is used"
        return _fail(WrongUse(wrong.format_message(), hint=hint), as_json=as_json, debug=debug, code=own_code)
    except Ds01Error as error:
        return _fail(error, as_json=as_json, debug=debug, code=own_code)
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug:
            raise
        why = f"{type(error).__name__}: {error}"
        unexpected = Ds01Error("something unexpected went wrong", why=why, hint="--debug shows where; please report it")
        return _fail(unexpected, as_json=as_json, debug=False, code=own_code)


def _settings() -> Settings:
    from ds01.system.settings import read

    return read(os.environ, euid=os.geteuid())


def _fail(error: Any, *, as_json: bool, debug: bool, code: int | None) -> int:
    from ds01.cli.words import describe_error

    if debug:
        import traceback

        traceback.print_exc()
    if as_json:
        import json

        from ds01.cli.words import error_document

        print(json.dumps(error_document(error), ensure_ascii=False))
    else:
        print(describe_error(error), file=sys.stderr)
    return error.code if code is None else code


if __name__ == "__main__":
    main()
