"""container-exit"""

from __future__ import annotations

from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.session import Session
from ds01.cli.ui.output import print_text

TEXT = """\
Leaving a container: type `exit`, or press Ctrl-D.
  Everything inside goes on running, and the container keeps its GPU.
  `container-run NAME` brings you back.
  (Ctrl-P Ctrl-Q is for `docker attach`, and does nothing here.)

Leaving is not stopping:
  container-stop NAME     ends the programs inside; the GPU is held for a while
  container-retire NAME   ends it all and gives the GPU back; your workspace stays

To keep a program running when you leave, start it with `nohup … &`, or in tmux inside."""


@verb(example="container-exit", json=False, user=False)
def command(session: Session) -> None:
    """Explain how to leave a container, and why leaving does not stop it."""
    explain(session, "exit")
    print_text(TEXT)
