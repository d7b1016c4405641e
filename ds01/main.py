"""The entry point: finds the command by argv[0] or by its words, and loads only that command's module.

Only this file reads the environment (`DS01_*`, SUDO_UID). It turns every error into a few lines and an exit code.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from ds01 import __version__
from ds01.commands import ALIASES, COMMANDS, DISPATCHERS, GROUPS, display_name, program_names, split_command

if TYPE_CHECKING:
    import click

    from ds01.errors import Ds01Error
    from ds01.system.settings import Settings

INTERRUPTED = 130
DS01_FAILURE = 125
NOUN_CUTOFF, WORD_CUTOFF = 0.8, 0.75  # similarity for difflib: two swapped letters still match


def main() -> None:
    """Run the command that the process was started as, and exit with its code."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed: the next file to be opened would get its descriptor
            setattr(sys, name, _open_null_stream(mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # terminals with another encoding get `?` for other characters
    # Most commands run briefly and create few cycles; collecting them would take a sixth of the time.
    gc.disable()
    try:
        code = run(sys.argv)
    except KeyboardInterrupt:
        code = INTERRUPTED
    _flush_streams()
    sys.exit(code)


def run(argv: Sequence[str]) -> int:
    """Run a command line, program name first; return the exit code."""
    words, arguments = split_command(Path(argv[0]).name, argv[1:])
    own_arguments = arguments[: arguments.index("--")] if "--" in arguments else arguments
    try:
        _check_utf8(arguments)
        if words not in COMMANDS:
            return _handle_unknown_command(words)
        # Pass the function, so that --help does not need valid settings.
        code = load_command(words).main(
            arguments, prog_name=display_name(words), standalone_mode=False, obj=_read_settings
        )
        return code if isinstance(code, int) else 0
    except (Exception, KeyboardInterrupt) as error:
        failure, code = _classify_error(error, words)
        # `container-run NAME -- COMMAND` returns the command's code, so ds01's own failures need a distinct one.
        if words == "container run" and own_arguments != arguments and code != INTERRUPTED:
            code = DS01_FAILURE
        _report_failure(
            failure,
            code,
            as_json="--json" in (own_arguments if words in COMMANDS else argv[1:]),
            debug="--debug" in own_arguments,
        )
        return code


def _check_utf8(arguments: Sequence[str]) -> None:
    """Check all arguments before any action. Raises UsageError."""
    if all(map(str.isascii, arguments)):
        return
    from ds01.system.utf8 import expect_utf8

    for argument in arguments:
        expect_utf8(argument, "an argument")


def load_command(words: str) -> click.Command:
    """Return the click command for an entry of the command table."""
    from importlib import import_module

    command: click.Command = import_module(COMMANDS[words][0]).command
    return command


def _handle_unknown_command(words: str) -> int:
    from ds01.cli.ui.output import print_text
    from ds01.errors import UsageError

    first, _, second = words.partition(" ")
    if first == "--version":
        print_text(f"ds01 {__version__}")
        return 0
    if first == "--names":
        print_text("\n".join(program_names()))
        return 0
    if first == "mlc" and second in ("-v", "--version"):
        print_text(f"ds01 {__version__}, with the commands of AIME MLC 1 and 2.2.0")
        return 0
    noun = first if any(command.startswith(f"{first} ") for command in COMMANDS) else None
    if (first if noun is None else second) in ("", "--help", "-h", "help"):
        print_text(_overview(noun))
        return 0
    why, hint = _suggest_command(first, second)
    name = " ".join(word for word in words.split(" ") if not word.startswith("-")) or words
    raise UsageError(f"there is no command `{name}`", why=why, hint=hint)


def _suggest_command(first: str, second: str) -> tuple[str | None, str]:
    """Return why and hint for an unknown command: the closest command, or the verbs of the closest noun."""
    from difflib import get_close_matches

    verbs: dict[str, list[str]] = {}
    for words in COMMANDS:
        noun, _, verb = words.partition(" ")
        if verb:
            verbs.setdefault(noun, []).append(verb)
    noun, _, verb = first.partition("-")
    nouns = get_close_matches(noun, verbs, n=1, cutoff=NOUN_CUTOFF)
    if nouns:
        noun, verb = nouns[0], verb or second
        matches = get_close_matches(verb, verbs[noun], n=1)
        if matches:
            return None, f"did you mean `{display_name(f'{noun} {matches[0]}')}`?"
        program = noun if noun in DISPATCHERS else f"ds01 {noun}"
        return f"the verbs of {noun} are {', '.join(verbs[noun])}", f"`{program} --help` says what they do"
    display_names = {words: display_name(words) for words in COMMANDS if " " not in words} | {
        name: name for name in ALIASES
    }
    matches = get_close_matches(first, display_names, n=1, cutoff=WORD_CUTOFF)
    return None, f"did you mean `{display_names[matches[0]]}`?" if matches else "`ds01 --help` lists the commands"


def _overview(noun: str | None) -> str:
    what = f"{noun if noun in DISPATCHERS else f'ds01 {noun}'} VERB" if noun else "ds01 COMMAND"
    lines = [f"Usage: {what} …        every command has --help with an example", ""]
    if noun is None:
        lines.insert(0, "ds01: a container service for many people on one GPU server.\n")
    for title, commands in GROUPS.items():
        rows = [
            f"  {display_name(words):24}{summary}"
            for words, (_, summary) in commands.items()
            if noun is None or words.startswith(f"{noun} ")
        ]
        if rows:
            lines += [title, *rows, ""] if noun is None else rows
    if noun is None:
        lines += ["`container-create` is also `container create` and `ds01 container create`."]
    return "\n".join(lines)


def _classify_error(error: BaseException, words: str) -> tuple[Ds01Error, int]:
    """Return the error as a Ds01Error, and the exit code."""
    import click

    from ds01.cli.ui.interruption import Interruption
    from ds01.errors import Ds01Error, UsageError

    if isinstance(error, Interruption):
        return error.error, INTERRUPTED
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return Ds01Error("interrupted", code="interrupted"), INTERRUPTED
    if isinstance(error, click.ClickException):
        message = error.format_message().removesuffix(".")
        hint = f"`{display_name(words)} --help` shows the options"
        error = UsageError(message[:1].lower() + message[1:], hint=hint)
    elif isinstance(error, OSError):
        problem = error.strerror or str(error)
        error = Ds01Error(f"{error.filename} cannot be used", why=problem) if error.filename else Ds01Error(problem)
    elif not isinstance(error, Ds01Error):
        why = f"{type(error).__name__}: {error}"
        error = Ds01Error(
            "internal error in ds01", why=why, hint="`--debug` shows where; please report it", code="internal"
        )
    return error, error.exit_code


def _read_settings() -> Settings:
    from ds01.system.settings import read
    from ds01.system.utf8 import expect_utf8, is_utf8

    for name, value in os.environ.items():
        if name.startswith("DS01_"):
            expect_utf8(value, name)
    # Other variables, such as TERM, are left out if they are not UTF-8.
    return read({name: value for name, value in os.environ.items() if is_utf8(value)}, euid=os.geteuid())


def _report_failure(failure: Ds01Error, code: int, *, as_json: bool, debug: bool) -> None:
    from ds01.cli.ui.formats import format_error
    from ds01.cli.ui.output import OutputLost, print_json, print_text

    if debug:
        import traceback

        print_text(traceback.format_exc(), error=True)
    if as_json and not isinstance(failure, OutputLost):
        from ds01.system.data import to_json

        document = to_json(failure.to_json())
        del document["kind"]
        print_json({"error": {"code": document.pop("code"), "exit": code} | document})
    else:
        print_text(format_error(failure), error=True)


def _open_null_stream(mode: str) -> TextIO:
    """Return a stream in place of a closed one, with its descriptor if possible."""
    from io import StringIO

    from ds01.cli.ui.output import open_null

    try:
        return cast("TextIO", os.fdopen(open_null(), mode))
    except OSError:
        return StringIO()


def _flush_streams() -> None:
    """Flush stdout and stderr; discard what cannot be written, which Python would report at exit."""
    from ds01.cli.ui.output import discard_output

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            discard_output(stream)


if __name__ == "__main__":
    main()
