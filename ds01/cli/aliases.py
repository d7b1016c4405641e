"""ds01 aliases, alias-list"""

from __future__ import annotations

from ds01 import commands
from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui import tables


@verb(example="ds01 aliases", user=False, guided=False, pending=False)
def command(session: Session) -> None:
    """List all commands, with one line and the other names of each."""
    rows = [
        {"group": group, "command": commands.display_name(words), "also": _also(words), "summary": summary}
        for group, entries in commands.GROUPS.items()
        for words, (_, summary) in entries.items()
    ]
    session.write_document({"commands": rows})
    if session.as_json:
        return
    lines = list(tables.format_plain([(f"  {row['command']}", str(row["summary"])) for row in rows]))
    group = ""
    for row, line in zip(rows, lines, strict=True):
        if row["group"] != group:
            group = str(row["group"])
            session.say(f"{group}:")
        session.say(line + (f" (also {', '.join(row['also'])})" if row["also"] else ""))
    session.say("`container-create` is also `container create`.")
    session.say("Every command has --help, with an example.")


def _also(words: str) -> list[str]:
    """Return the other names of a command."""
    return [name for name, target in commands.ALIASES.items() if target == words]
