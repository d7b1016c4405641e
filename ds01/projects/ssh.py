"""A person's SSH key on this server, for what they reach from here. The private part is never read, let alone shown."""

from __future__ import annotations

from pathlib import Path

from ds01.errors import Ds01Error, NotPossible, WrongUse
from ds01.projects.server import check_host
from ds01.projects.steps import Step
from ds01.projects.texts import put_file, text
from ds01.system import programs
from ds01.system.home import Home

KEY = "id_ed25519"
KIND = "ssh-ed25519 "
TYPING = 600.0  # seconds that somebody may take over a passphrase
_FINGERPRINT_OF = Path("/etc/ssh/ssh_host_ed25519_key.pub")  # where sshd has it on Debian and Ubuntu


def setup(home: Home, *, comment: str, ask_passphrase: bool = False) -> Step:
    """Make an ed25519 key unless there is one, and see to it that only its owner can use it.

    `ask_passphrase`: ssh-keygen asks for one, at the terminal; else the key has none. `comment` is its last word.

    Raises WrongUse, NotPossible if half a key is in the way, Ds01Error.
    """
    if not comment.isprintable() or len(comment) > 200:
        raise WrongUse("the comment is one line, at most 200 letters")
    made: list[str] = []
    kept: list[str] = []
    notes: list[str] = []
    folder = home.path / ".ssh"
    if home.make_folder(folder, mode=0o700):
        made.append("~/.ssh")
    elif _open_to(home, folder, 0o022):
        home.run(["chmod", "go-w", "--", str(folder)])
        made.append("~/.ssh, writable by you only")
    key, public = folder / KEY, folder / f"{KEY}.pub"
    if home.exists(key):
        kept.append(f"~/.ssh/{KEY}")
        if _open_to(home, key, 0o077):
            home.run(["chmod", "go-rwx", "--", str(key)])
            made.append(f"~/.ssh/{KEY}, readable by you only")
    elif home.exists(public):
        raise NotPossible(
            f"there is ~/.ssh/{KEY}.pub, but not the private key that belongs to it",
            why="a new key would overwrite it",
            hint=f"if you do not need it: mv ~/.ssh/{KEY}.pub ~/.ssh/{KEY}.pub.old",
        )
    else:
        _make(home, key, comment, ask_passphrase)
        made += [f"~/.ssh/{KEY}", f"~/.ssh/{KEY}.pub"]
        if not ask_passphrase:
            notes.append(f"The key has no passphrase; `ssh-keygen -p -f ~/.ssh/{KEY}` gives it one.")
    if not home.exists(public):
        _make_public(home, key, public, made, notes)
    return Step(tuple(made), tuple(kept), tuple(notes))


def public_key(home: Home) -> str | None:
    """The public part as one line; None if there is none."""
    found = (home.read_text(home.path / ".ssh" / f"{KEY}.pub") or "").strip()
    return found if found.startswith(KIND) and "\n" not in found else None


def fingerprint(home: Home) -> str | None:
    """What tells this server from another that pretends to be it; None if it cannot be found out."""
    try:
        words = home.run(["ssh-keygen", "-l", "-f", str(_FINGERPRINT_OF)]).split()
    except Ds01Error:
        return None
    return next((word for word in words if word.startswith("SHA256:")), None)


def how_to_reach(login: str, host: str) -> tuple[str, ...]:
    """How a person gets from their own computer to this server, as lines. Raises WrongUse."""
    return tuple(text("ssh.txt", login=login, host=check_host(host)).splitlines())


def _make(home: Home, key: Path, comment: str, ask_passphrase: bool) -> None:
    if programs.find("ssh-keygen") is None:
        raise Ds01Error("ssh-keygen is not installed", hint="an administrator installs it: apt install openssh-client")
    # Without -N it asks at the terminal itself, so that a passphrase stands in no list of processes. With a DISPLAY
    # it would look for a window instead, since its input is not the terminal.
    passphrase = () if ask_passphrase else ("-N", "")
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-C", comment, "-f", str(key), *passphrase]
    try:
        home.run(["env", "-u", "DISPLAY", "-u", "SSH_ASKPASS", *keygen], timeout=TYPING)
    except Ds01Error as error:
        raise Ds01Error(f"the key {key} cannot be made", why=error.why, data=error.data) from error


def _make_public(home: Home, key: Path, public: Path, made: list[str], notes: list[str]) -> None:
    try:
        said = home.run(["ssh-keygen", "-y", "-P", "", "-f", str(key)])
    except Ds01Error:  # it has a passphrase, or is no key
        notes.append(f"The public part is not there. This makes it: ssh-keygen -y -f ~/.ssh/{KEY} > ~/.ssh/{KEY}.pub")
        return
    made += put_file(home, public, said, called=f"~/.ssh/{KEY}.pub", overwrite=False).made


def _open_to(home: Home, path: Path, bits: int) -> bool:
    """Whether others have one of the rights `bits`."""
    return bool(int(home.run(["stat", "-L", "-c", "%a", "--", str(path)]), 8) & bits)
