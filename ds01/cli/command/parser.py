"""The parser of all ds01 commands: it accepts `-w=DIR` for `-w DIR`, and keeps the words as typed for hints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import click

TYPED_WORDS_KEY = "ds01.typed"  # the key in click's `meta` under which the words of a command line are kept


class Command(click.Command):
    """A command whose short options take their value after a space, after `=`, or joined to the letter."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words. Raises click.UsageError."""
        ctx.meta.setdefault(TYPED_WORDS_KEY, tuple(args))
        return super().parse_args(ctx, list(split_values(args, self.get_params(ctx))))


def typed_words() -> tuple[str, ...]:
    """Return the words after the command's name, as they were typed."""
    words: tuple[str, ...] = click.get_current_context().meta.get(TYPED_WORDS_KEY, ())
    return words


def split_values(args: Sequence[str], params: Sequence[click.Parameter]) -> Iterator[str]:
    """Yield the words, with `-w=DIR` split in two.

    Click takes the `=` as part of the value, which would name a directory `=DIR`. The word after an option that
    takes a value is its value, whatever it looks like. Raises click.UsageError for a flag with a value.
    """
    options = [param for param in params if isinstance(param, click.Option)]
    takes_value = {
        name: not (option.is_flag or option.count)
        for option in options
        for name in (*option.opts, *option.secondary_opts)
    }
    words = iter(args)
    for word in words:
        if word == "--":
            yield word
            yield from words
            return
        name, equals, _ = word.partition("=")
        value_index = None if _is_not_cluster(word, takes_value) else _value_index(word, takes_value)
        if value_index is not None and word[value_index:].startswith("="):
            yield word[:value_index]
            yield word[value_index + 1 :]
            continue
        yield word
        needs_next = (
            value_index == len(word) if value_index is not None else takes_value.get(name, False) and not equals
        )
        if needs_next and (value := next(words, None)) is not None:
            yield value


def _is_not_cluster(word: str, takes_value: Mapping[str, bool]) -> bool:
    """Return whether a word is not a cluster of one-letter options: `thesis`, `--wait`, mlc-create's `-arch=ARCH`."""
    name = word.partition("=")[0]
    return not word.startswith("-") or word.startswith("--") or (len(name) > 2 and name in takes_value)


def _value_index(word: str, takes_value: Mapping[str, bool]) -> int | None:
    """Return where the value begins in `-wDIR`, or in `-fwDIR` after flags; None if no letter takes one."""
    for value_index, letter in enumerate(word[1:], 1):
        if letter == "=" and value_index > 1:
            raise click.UsageError(f"Option '-{word[value_index - 1]}' does not take a value.")
        if f"-{letter}" not in takes_value:
            return None
        if takes_value[f"-{letter}"]:
            return value_index + 1
    return None
