"""Projects, their files, SSH and VS Code. No case starts git or ssh-keygen: these may not be installed."""

from __future__ import annotations

from tests.golden.case import Case, env, file

_NO_PROGRAMS = env("PATH", "/nowhere")
_PROJECT = "dir-create birds"


CASES: list[Case] = [
    Case("The directories of a project", _PROJECT),
    Case("The directories of a project that exists", _PROJECT, (_PROJECT,)),
    Case("An invalid project name", "dir-create a/b"),
    Case("A project whose directory is a file", "project-init birds --no-image --no-git",
         (file("~/workspace/birds", ""),)),
    Case("The directories of a project whose place is a file", _PROJECT, (file("~/workspace/birds", ""),)),
    Case("A project without a name", "project-init"),
    Case("A project without git", "project-init birds --no-image --no-git"),
    Case("A project that continues", "project-init birds --no-image --no-git",
         ("project-init birds --no-image --no-git",)),
    Case("A project with its image and container", "project-init birds --no-git --framework pytorch"),
    Case("A project with two images", "project-init birds --image debian --framework pytorch"),
    Case("A project with and without an image", "project-init birds --image debian --no-image"),
    Case("A project with an invalid image", "project-init birds --image 'Not An Image'"),
    Case("A project with an unknown framework", "project-init birds --framework cobol"),
    Case("A README", "readme-create birds", (_PROJECT,)),
    Case("A README that exists", "readme-create birds", (_PROJECT, "readme-create birds")),
    Case("A README with a control character", "readme-create birds --description 'a\x07b'", (_PROJECT,)),
    Case("A README of a project that does not exist", "readme-create birds"),
    Case("Which project", "readme-create"),
    Case("A devcontainer", "devcontainer-init birds", (_PROJECT,)),
    Case("A devcontainer of an invalid image", "devcontainer-init birds --image 'Not An Image'", (_PROJECT,)),
    Case("Git without git", "git-init birds", (_PROJECT, _NO_PROGRAMS)),
    Case("Git with a name of two lines", "git-init birds --name 'a\nb'", (_PROJECT,)),
    Case("Git with an e-mail address that is none", "git-init birds --email nobody", (_PROJECT,)),
    Case("SSH without ssh-keygen", "ssh-setup", (_NO_PROGRAMS,)),
    Case("SSH with a public key only", "ssh-setup", (file("~/.ssh/id_ed25519.pub", "ssh-ed25519 AAAA x\n"),)),
    Case("SSH with an invalid host", "ssh-setup --host 'a b'"),
    Case("VS Code", "vscode-setup"),
    Case("The first steps without ssh-keygen", "user-setup --quick", (_NO_PROGRAMS,)),
    Case("The files of somebody else", "bob$ dir-create birds --user alice"),
]  # fmt: skip
