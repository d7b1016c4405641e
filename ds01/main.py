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
from typing import TYPE_CHECKING, TextIO, cast

from ds01 import __version__
from ds01.commands import ALIASES, COMMANDS, DISPATCHERS, GROUPS, names, shown, split

if TYPE_CHECKING:
    import click

    from ds01.errors import Ds01Error
    from ds01.system.settings import Settings

INTERRUPTED = 130
OWN_FAILURE = 125
NEAR_NOUN, NEAR_WORD = 0.8, 0.75  # how near a word is that was meant, for difflib: of two letters turned round, say


def main() -> None:
    """Run the command that the process was started as, and exit with its code."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed: the number would go to the next file that is opened
            setattr(sys, name, _nowhere(mode))
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
    words, arguments = split(Path(argv[0]).name, argv[1:])
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    try:
        _check_texts(arguments)
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
        _tell(failure, code, as_json="--json" in (own if words in COMMANDS else argv[1:]), debug="--debug" in own)
        return code


def _check_texts(arguments: Sequence[str]) -> None:
    """Check all that was typed before any of it is acted on. Raises WrongUse."""
    if all(map(str.isascii, arguments)):
        return
    from ds01.system.utf8 import expect_utf8

    for argument in arguments:
        expect_utf8(argument, "an argument")


def load(words: str) -> click.Command:
    """The click command behind some words of the table."""
    from importlib import import_module

    command: click.Command = import_module(COMMANDS[words][0]).command
    return command


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
    if first == "mlc" and second in ("-v", "--version"):
        put(f"ds01 {__version__}, with the commands of AIME MLC 1 and 2.2.0")
        return 0
    noun = first if any(known.startswith(f"{first} ") for known in COMMANDS) else None
    if (first if noun is None else second) in ("", "--help", "-h", "help"):
        put(_overview(noun))
        return 0
    why, hint = _what_there_is(first, second)
    name = " ".join(word for word in words.split(" ") if not word.startswith("-")) or words
    raise WrongUse(f"there is no command `{name}`", why=why, hint=hint)


def _what_there_is(first: str, second: str) -> tuple[str | None, str]:
    """For words that name no command: the verbs of the noun that was meant, if none is near, and what to do."""
    from difflib import get_close_matches

    verbs: dict[str, list[str]] = {}
    for words in COMMANDS:
        noun, _, verb = words.partition(" ")
        if verb:
            verbs.setdefault(noun, []).append(verb)
    noun, _, verb = first.partition("-")
    nouns = get_close_matches(noun, verbs, n=1, cutoff=NEAR_NOUN)
    if nouns:
        noun, verb = nouns[0], verb or second
        near = get_close_matches(verb, verbs[noun], n=1)
        if near:
            return None, f"did you mean `{shown(f'{noun} {near[0]}')}`?"
        program = noun if noun in DISPATCHERS else f"ds01 {noun}"
        return f"the verbs of {noun} are {', '.join(verbs[noun])}", f"`{program} --help` says what they do"
    alone = {words: shown(words) for words in COMMANDS if " " not in words} | {name: name for name in ALIASES}
    near = get_close_matches(first, alone, n=1, cutoff=NEAR_WORD)
    return None, f"did you mean `{alone[near[0]]}`?" if near else "`ds01 --help` lists the commands"


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

    from ds01.cli.interrupted import Interrupted
    from ds01.errors import Ds01Error, WrongUse

    if isinstance(error, Interrupted):
        return error.error, INTERRUPTED
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return Ds01Error("interrupted", code="interrupted"), INTERRUPTED
    if isinstance(error, click.ClickException):
        error = WrongUse(error.format_message(), hint=f"`{shown(words)} --help` shows how it is used")
    elif isinstance(error, OSError):
        error = Ds01Error(error.strerror or str(error), why=str(error.filename) if error.filename else None)
    elif not isinstance(error, Ds01Error):
        why = f"{type(error).__name__}: {error}"
        error = Ds01Error(
            "something unexpected went wrong", why=why, hint="`--debug` shows where; please report it", code="internal"
        )
    return error, error.exit_code


def _settings() -> Settings:
    from ds01.system.settings import read
    from ds01.system.utf8 import expect_utf8, is_utf8

    for name, value in os.environ.items():
        if name.startswith("DS01_"):
            expect_utf8(value, name)
    # The others, as TERM, are only handed on.
    return read({name: value for name, value in os.environ.items() if is_utf8(value)}, euid=os.geteuid())


def _tell(failure: Ds01Error, code: int, *, as_json: bool, debug: bool) -> None:
    from ds01.cli.output import OutputLost, put, put_json
    from ds01.cli.words import describe_error

    if debug:
        import traceback

        put(traceback.format_exc(), error=True)
    if as_json and not isinstance(failure, OutputLost):
        told = failure.to_json()
        del told["kind"]
        put_json({"error": {"code": told.pop("code"), "exit": code} | told})
    else:
        put(describe_error(failure), error=True)


def _nowhere(mode: str) -> TextIO:
    """A stream in place of one that was closed, with its number where that is possible."""
    from io import StringIO

    from ds01.cli.output import open_nowhere

    try:
        return cast("TextIO", os.fdopen(open_nowhere(), mode))
    except OSError:
        return StringIO()


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
