"""All error codes, with exit code, cause and remedy. The source of `docs/errors.md`."""

from __future__ import annotations

# Code: exit code, cause, remedy.
ERRORS: dict[str, tuple[int, str, str]] = {
    "failed": (
        1,
        "A failure without a code of its own: a disk, the network, a program.",
        "The message says what.",
    ),
    "internal": (1, "An error in ds01 itself.", "Report it, with what `--debug` shows."),
    "busy": (1, "Another command is at work on the same container, or on the records.", "Try again in a moment."),
    "policy.invalid": (
        1,
        "The policy is missing, cannot be read, or has a mistake.",
        "An administrator runs `ds01 policy check`. There is no default: until then nothing is allowed.",
    ),
    "state.unwritable": (
        1,
        "The state directory is full or read-only.",
        "An administrator makes room; `ds01 doctor` says where.",
    ),
    "page.not_written": (
        1,
        "A page was not written: its directory is not safe, or another file is in its place.",
        "`why` says what is wrong; choose a directory that nobody else can change.",
    ),
    "engine.unreachable": (
        1,
        "Docker did not answer, so nothing was observed and nothing was done.",
        "`data.problem` says whether it is not installed, not running, or not open to you.",
    ),
    "engine.rejected": (1, "Docker answered, and refused.", "`why` has Docker's words."),
    "gpu.unreachable": (1, "The NVIDIA driver did not answer.", "An administrator runs `ds01 doctor`."),
    "usage.invalid": (
        2,
        "The command line is invalid.",
        "`--help` shows the options, with an example.",
    ),
    "policy.denied": (
        3,
        "The policy does not allow it.",
        "`ds01 limits --explain` shows what it allows, and which key says so.",
    ),
    "policy.full_gpu": (
        3,
        "The policy gives you MIG instances only.",
        "Ask for one with `--profile`, or leave the kind open.",
    ),
    "quota.gpus_per_container": (3, "One container may not have that many GPUs.", "Ask for fewer with `--gpus`."),
    "quota.gpus": (
        3,
        "Your containers already have all the GPUs of your quota.",
        "Give one back with `container-retire` or `container-stop --release`.",
    ),
    "quota.containers": (
        3,
        "You already have as many containers as your quota allows.",
        "`container-cleanup` removes stopped ones.",
    ),
    "access.denied": (
        3,
        "It belongs to somebody else, or is for administrators.",
        "The owner, an administrator or root can do it.",
    ),
    "mount.denied": (
        3,
        "The directory may not be mounted.",
        "Mount one of your own directories, or one that the policy lists under `mounts`.",
    ),
    "gpu.none_free": (
        4,
        "No suitable GPU is free now; `data.refusal.claims` says who has them until when.",
        "`--wait` waits for one.",
    ),
    "gpu.not_offered": (
        4,
        "The server has no GPU of that kind, or not that many.",
        "`ds01 gpu status` shows what there is.",
    ),
    "not_found": (
        5,
        "The container, image, user or file does not exist.",
        "`container-list` and `image-list` show what there is.",
    ),
    "engine.not_found": (5, "Docker has no such container or image.", "`container-list` shows what there is."),
    "state.invalid": (6, "It is not possible in the current state.", "The message names what is possible."),
    "engine.conflict": (
        6,
        "Docker refused because of a state, or because a name is taken.",
        "`why` has Docker's words.",
    ),
    "name.taken": (6, "A container or an image already has that name.", "Choose another name, or remove that one."),
    "gpu.lost": (
        6,
        "The GPU that Docker fixed for this container is gone, or does not answer.",
        "`container-start NAME --recreate` takes another one.",
    ),
    "interrupted": (130, "Ctrl-C, or a signal.", "The message says what was done by then."),
}
