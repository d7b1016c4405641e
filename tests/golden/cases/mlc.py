"""AIME's commands."""

from __future__ import annotations

from tests.golden.case import Case

_MADE = "mlc-create my Pytorch"

CASES = [
    Case("mlc: a container is created", _MADE),
    Case("mlc: no name", "mlc-create"),
    Case("mlc: no framework", "mlc-create my"),
    Case("mlc: an unknown framework", "mlc-create my Cobol"),
    Case("mlc: an unknown version", "mlc-create my Pytorch 99"),
    Case("mlc: an unknown architecture", "mlc-create my Pytorch -arch VOODOO"),
    Case("mlc: not a number of GPUs", "mlc-create my Pytorch -g=x"),
    Case("mlc: a GPU by name", "mlc-create my Pytorch -g=device=0"),
    Case("mlc: all GPUs", "mlc-create my Pytorch -g=all"),
    Case("mlc: all GPUs while the quota is used", "mlc-create two Pytorch -g=all", ("mlc-create my Pytorch -g=all",)),
    Case("mlc: a container is started", "mlc-start my", (_MADE,)),
    Case("mlc: which container to start", "mlc-start"),
    Case("mlc: a container that does not exist is started", "mlc-start my"),
    Case("mlc: the output of a command as JSON", "mlc-start my --json true", (_MADE,)),
    Case("mlc: a shell without a terminal", "mlc-open my", (_MADE,)),
    Case("mlc: a container is stopped", "mlc-stop my -Y", (_MADE, "mlc-start my")),
    Case("mlc: which container to stop", "mlc-stop", (_MADE,)),
    Case("mlc: a running container is removed", "mlc-remove my", (_MADE, "mlc-start my")),
    Case("mlc: a container is removed", "mlc-remove my -f", (_MADE,)),
    Case("mlc: a list", "mlc-list", (_MADE,)),
    Case("mlc: stats that stream JSON", "mlc-stats --stream --json"),
    Case("mlc: an update of the system", "mlc-update-sys"),
    Case("mlc: an upgrade of the system", "mlc-upgrade-sys"),
]
