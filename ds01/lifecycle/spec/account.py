"""The owner's account inside a container, as an archive that is unpacked before the first start.

`useradd` is not used: with a ten-digit uid it would write a lastlog of hundreds of GB.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping

from ds01.dataclass import dataclass
from ds01.errors import PermissionDenied
from ds01.records.image_facts import SH, ImageFacts
from ds01.system.owner_groups import HostGroup

_BASHRC = """\
# Written by ds01 when the container was created; yours to change.
[ -f /etc/bash.bashrc ] && . /etc/bash.bashrc
. ~/.shrc
PS1='\\[\\e[1;36m\\][{name}]\\[\\e[0m\\] \\w \\$ '
"""
_SHRC = """\
# Written by ds01 when the container was created; yours to change.
case ":$PATH:" in *":$HOME/.local/bin:"*) ;; *) PATH="$HOME/.local/bin:$PATH" ;; esac
PS1='[{name}] $PWD $ '
{root}case $- in *i*)
    echo "This is {name}. Your work belongs in /workspace: it outlives the container."
    echo "'exit' leaves and everything keeps running; 'container-stop {name}', outside, stops it."
esac
"""
_ROOT_HINT = """\
command -v sudo >/dev/null 2>&1 || sudo() {
    echo "This image has no sudo. On the server, outside: container-run {name} --root -- COMMAND" >&2
    return 127
}
"""
_PROFILE = """\
if [ -n "$BASH_VERSION" ]; then . ~/.bashrc; else . ~/.shrc; fi
"""


@dataclass(frozen=True)
class Insider:
    """The account to create: the owner's login, uid and gid, and the container's name for the prompt.

    `groups`: the host's groups to add by name. `root_inside`: the owner may use the image's sudo without a password.
    """

    login: str
    uid: int
    gid: int
    container: str
    groups: tuple[HostGroup, ...] = ()
    root_inside: bool = True

    @property
    def home(self) -> str:
        """The home directory inside the container, which is not the host's."""
        return f"/home/{self.login}"


def archive(who: Insider, image: ImageFacts) -> bytes:
    """Return a tar archive for `/` that creates the account in a container of the image.

    If the image already has the uid or the gid, its lines stay; the owner's line comes first, and the first match
    counts. Raises PermissionDenied for a login that would break the files' format.
    """
    if not who.login or any(mark in who.login for mark in ":/\n\0") or who.login in (".", ".."):
        raise PermissionDenied(f"the login {who.login!r} cannot exist inside a container")
    # `*`: no password fits. Without the usual `x` nothing looks into /etc/shadow, so that needs no line.
    owner = f"{who.login}:*:{who.uid}:{who.gid}::{who.home}:{image.shell or SH}"
    passwd = _with_first(owner, image.passwd, replaces=lambda fields: fields[0] == who.login)
    groups = _with_members(who, image.group)
    if not any(fields[2:3] == [str(who.gid)] for fields in _lines(groups)):
        groups = _with_first(f"{who.login}:x:{who.gid}:", groups, replaces=lambda fields: False)
    return _tar(who, {"etc/passwd": passwd, "etc/group": groups or ""})


def _lines(content: str | None) -> list[list[str]]:
    return [line.split(":") for line in (content or "").splitlines() if line]


def _with_first(line: str, content: str | None, *, replaces: Callable[[list[str]], bool]) -> str:
    kept = [":".join(fields) for fields in _lines(content) if not replaces(fields)]
    if content is None and line.count(":") == 6:
        kept = ["root:x:0:0:root:/root:/bin/sh"]  # an image without the file: root keeps its name
    return "\n".join([line, *kept]) + "\n"


def _with_members(who: Insider, content: str | None) -> str | None:
    """Return the image's groups with the owner in the host's groups; a gid that the image has keeps its name there."""
    if not who.groups:
        return content
    lines = _lines(content)
    names = {fields[0] for fields in lines}
    for group in who.groups:
        group_line = next((fields for fields in lines if fields[2:3] == [str(group.gid)]), None)
        if group_line is not None:
            members = [name for name in ",".join(group_line[3:]).split(",") if name and name != who.login]
            group_line[3:] = [",".join([*members, who.login])]
        elif not set(group.name) & set(":,\n\0"):
            # Programs that look up a group by name could not tell two groups of the same name apart.
            name = group.name if group.name not in names else f"host-{group.name}"
            lines.append([name, "x", str(group.gid), who.login])
            names.add(name)
    return "".join(f"{':'.join(fields)}\n" for fields in lines)


def _tar(who: Insider, accounts: Mapping[str, str]) -> bytes:
    home = who.home.removeprefix("/")
    root = _ROOT_HINT.replace("{name}", who.container) if who.root_inside else ""
    # By uid: a login may contain characters with a meaning in sudoers. Harmless in an image without sudo.
    sudoers = f"#{who.uid} ALL=(ALL:ALL) NOPASSWD: ALL\n".encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, content in accounts.items():
            _add(tar, path, content.encode("utf-8", "surrogateescape"), mode=0o644)
        if who.root_inside:
            _add(tar, "etc/sudoers.d/ds01", sudoers, mode=0o440)
        folder = tarfile.TarInfo(home)
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o755, who.uid, who.gid
        tar.addfile(folder)
        for name, text in ((".bashrc", _BASHRC), (".shrc", _SHRC), (".profile", _PROFILE)):
            filled = text.replace("{name}", who.container).replace("{root}", root)
            _add(tar, f"{home}/{name}", filled.encode(), mode=0o644, uid=who.uid, gid=who.gid)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, path: str, content: bytes, *, mode: int, uid: int = 0, gid: int = 0) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, uid, gid
    tar.addfile(entry, io.BytesIO(content))
