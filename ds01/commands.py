"""The table of all commands: words, module and summary. Pure data, for the dispatcher, overviews and packaging."""

from __future__ import annotations

from collections.abc import Sequence

# By purpose: the words of a command, its module, and its summary. `container create` is also the program
# `container-create`, a symlink.
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "To begin": {
        "user setup": ("ds01.cli.user.setup", "First steps: SSH, a project, VS Code"),
        "project init": ("ds01.cli.project.init", "A project with image and container"),
        "container deploy": ("ds01.cli.container.deploy", "Create a container and start it"),
        "container retire": ("ds01.cli.container.retire", "Stop a container, remove it, free its GPU"),
    },
    "Containers": {
        "container create": ("ds01.cli.container.create", "Create a container; it does not run yet"),
        "container start": ("ds01.cli.container.start", "Start a container in the background"),
        "container run": ("ds01.cli.container.run", "Enter a container, or run a command in it"),
        "container stop": ("ds01.cli.container.stop", "Stop a container; its GPU is held for a while"),
        "container list": ("ds01.cli.container.list", "Your containers, their GPUs and deadlines"),
        "container stats": ("ds01.cli.container.stats", "What running containers use, with their limits"),
        "container remove": ("ds01.cli.container.remove", "Remove stopped containers"),
        "container cleanup": ("ds01.cli.container.cleanup", "Find stopped containers and remove them"),
        "container pause": ("ds01.cli.container.pause", "Freeze a running container"),
        "container unpause": ("ds01.cli.container.unpause", "Let a paused container continue"),
        "container extend": ("ds01.cli.container.extend", "Extend the deadlines of a running container"),
        "container adopt": ("ds01.cli.container.adopt", "Take over a container created by AIME's tools"),
        "container exit": ("ds01.cli.container.exit", "How to leave a container"),
    },
    "Images": {
        "image create": ("ds01.cli.image.create", "Build an image of your own, step by step"),
        "image update": ("ds01.cli.image.update", "Change one of your images and build it again"),
        "image list": ("ds01.cli.image.list", "Your images, and what uses them"),
        "image delete": ("ds01.cli.image.delete", "Delete one of your images"),
    },
    "Projects": {
        "dir create": ("ds01.cli.project.dir_create", "A project's directories"),
        "git init": ("ds01.cli.project.git_init", "Git for a project, with an ignore list for ML"),
        "readme create": ("ds01.cli.project.readme_create", "A README for a project"),
        "devcontainer init": ("ds01.cli.project.devcontainer_init", "A devcontainer.json for VS Code"),
        "ssh setup": ("ds01.cli.user.ssh_setup", "An SSH key, and how to reach this server"),
        "vscode setup": ("ds01.cli.user.vscode_setup", "VS Code on your computer, working here"),
    },
    "The server": {
        "status": ("ds01.cli.server.status", "The whole server on one screen"),
        "dashboard": ("ds01.cli.dashboard.command", "The server live, full screen"),
        "gpu status": ("ds01.cli.gpu.status", "All GPUs, and who has them until when"),
        "queue": ("ds01.cli.queue", "Who waits for a GPU"),
        "check-limits": ("ds01.cli.check_limits", "Your quotas: used, left, and your deadlines"),
        "limits": ("ds01.cli.limits", "The limits of a user, and where they come from"),
        "events": ("ds01.cli.server.events", "What happened to your containers, and why"),
        "report": ("ds01.cli.server.report", "Who leased and used GPUs, and their energy"),
        "notices": ("ds01.cli.notices", "What ds01 did or will do to your containers"),
        "aliases": ("ds01.cli.aliases", "Every command with one line"),
    },
    "AIME's names for it": {
        "mlc create": ("ds01.cli.mlc.create", "Like container-create: framework and version"),
        "mlc open": ("ds01.cli.mlc.open", "Like container-run; stops it when nothing else runs"),
        "mlc list": ("ds01.cli.mlc.list", "Like container-list, in AIME's columns"),
        "mlc stats": ("ds01.cli.mlc.stats", "Like container-stats, in AIME's columns"),
        "mlc start": ("ds01.cli.mlc.start", "Like container-start"),
        "mlc stop": ("ds01.cli.mlc.stop", "Like container-stop"),
        "mlc remove": ("ds01.cli.mlc.remove", "Like container-remove"),
        "mlc update-sys": ("ds01.cli.mlc.update_sys", "Explains how to update ds01"),
        "mlc upgrade-sys": ("ds01.cli.mlc.upgrade_sys", "Explains how to update ds01"),
    },
    "Administration": {
        "gpu list": ("ds01.cli.gpu.list", "The slots, for scripts"),
        "gpu allocate": ("ds01.cli.gpu.allocate", "Lease GPUs by hand"),
        "gpu release": ("ds01.cli.gpu.release", "Give a lease back"),
        "gpu mark-stopped": ("ds01.cli.gpu.mark_stopped", "Record that a container was stopped"),
        "gpu clear-stopped": ("ds01.cli.gpu.clear_stopped", "Record that a container runs again"),
        "gpu validate": ("ds01.cli.gpu.validate", "Check that a container's GPU still exists"),
        "policy check": ("ds01.cli.policy.check", "Check a policy, and what it would change"),
        "policy import": ("ds01.cli.policy.import_", "Convert the policy of an older installation"),
        "policy schema": ("ds01.cli.policy.schema", "The JSON Schema of the policy, for editors"),
        "doctor": ("ds01.cli.doctor", "Check the whole installation, and fix it"),
        "metrics": ("ds01.cli.server.metrics", "Who has which GPU, and more, for Prometheus"),
        "slices apply": ("ds01.cli.slices.apply", "Give groups and users the limits of the policy"),
        "user add": ("ds01.cli.user.add", "Set up a user of ds01"),
        "logs": ("ds01.cli.server.logs", "The logs of ds01, as they are written"),
        "emergency-stop": ("ds01.cli.emergency_stop", "Stop containers at once"),
        "tick": ("ds01.cli.tick", "One pass of the automation, as root's cron runs it"),
    },
}
COMMANDS = {words: entry for commands in GROUPS.values() for words, entry in commands.items()}
DISPATCHERS = ("container", "image", "project", "user", "mlc")  # nouns that are programs of their own
# Nouns whose verbs are programs, such as `git-init`; `ds01 NOUN VERB` works for all.
PROGRAM_NOUNS = (*DISPATCHERS, "dir", "git", "readme", "devcontainer", "ssh", "vscode", "check-limits")
ALIASES = {  # other program names for commands
    "new-user": "user setup",
    "new-project": "project init",
    "alias-list": "aliases",
    "add-user-to-docker": "user add",
    "ds01-logs": "logs",
    "ds01-status": "status",
    "ds01-dashboard": "dashboard",
}
_BY_ALIAS_ONLY = frozenset({"user add"})


def program_names() -> list[str]:
    """Return the names of all programs that are symlinks to this one."""
    return [*DISPATCHERS, *(hyphenated(words) for words in COMMANDS if _is_program(words)), *ALIASES]


def display_name(words: str) -> str:
    """Return the name of a command in messages: `container-create`, `ds01 gpu status`."""
    return hyphenated(words) if _is_program(words) else f"ds01 {words}"


def split_command(program: str, arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Split a command line into a command's words and its arguments.

    `program`: the program that was started, `container-create` or `ds01`. Unknown words are returned as they are.
    """
    by_hyphen = {hyphenated(words): words for words in COMMANDS} | ALIASES
    if program in by_hyphen:
        return by_hyphen[program], [*arguments]
    words = [program, *arguments] if program in DISPATCHERS else [*arguments]
    if words and words[0] in by_hyphen:
        return by_hyphen[words[0]], words[1:]
    if len(words) > 1 and f"{words[0]} {words[1]}" in COMMANDS:
        return f"{words[0]} {words[1]}", words[2:]
    return " ".join(words[:2]), words[2:]


def hyphenated(words: str) -> str:
    """Return the words joined by hyphens, like program names."""
    return words.replace(" ", "-")


def _is_program(words: str) -> bool:
    return words.partition(" ")[0] in PROGRAM_NOUNS and words not in _BY_ALIAS_ONLY
