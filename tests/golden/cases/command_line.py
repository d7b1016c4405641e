"""Command lines that are wrong, and settings."""

from __future__ import annotations

from tests.golden.case import Case, env

CASES = [
    Case("An unknown command", "xyzzy"),
    Case("An unknown verb near a known one", "container-strat thesis"),
    Case("An unknown verb", "container frobnicate"),
    Case("An unknown verb of a noun that is no program", "gpu x"),
    Case("An unknown option", "container-list --nonsense"),
    Case("Too many arguments", "container-list too many"),
    Case("An option without its value", "container-create thesis --image"),
    Case("A flag with a value", "container-list -ax"),
    Case("A number that is none", "container-create thesis pytorch --gpus zero"),
    Case("A number out of its range", "container-stop thesis --timeout 86401"),
    Case("An argument in another encoding", "container-stop 'a\udcff'"),
    Case("An unknown user", "boss$ container-list --user nobody-here"),
    Case("A uid without a user", "boss$ container-list --user 4711"),
    Case("Acting for others without being an administrator", "bob$ container-list --user alice"),
    Case("A state directory that is not absolute", "container-list", (env("DS01_STATE", "relative"),)),
    Case("A state directory that cannot be used", "container-list", (env("DS01_STATE", "/dev/null"),)),
    Case("An unknown engine", "container-list", (env("DS01_ENGINE", "podman"),)),
    Case("An unknown source of GPUs", "container-list", (env("DS01_GPUS", "many"),)),
    Case("A description of GPUs that is none", "gpu status", (env("DS01_GPUS", "simulated:0xA100"),)),
    Case("A refusal for a script", "container-create thesis pytorch --gpus 3 --json"),
]
