"""Create a user's SSH key on this server, to reach other hosts from here. The private key is never read or shown."""

from __future__ import annotations

from pathlib import Path

from ds01.errors import Ds01Error, InvalidState, UsageError
from ds01.projects.ssh_host import check_host
from ds01.projects.step_result import StepResult
from ds01.projects.templates import put_file, render_template
from ds01.system import programs
from ds01.system.home import Home

KEY_NAME = "id_ed25519"
KEY_TYPE = "ssh-ed25519 "
PASSPHRASE_TIMEOUT = 600.0  # seconds to type a passphrase
_HOST_KEY = Path("/etc/ssh/ssh_host_ed25519_key.pub")  # sshd's on Debian and Ubuntu


def set_up_key(home: Home, *, comment: str, ask_passphrase: bool = False) -> StepResult:
    """Create an ed25519 key unless there is one, and ensure that only its owner can use it.

    `ask_passphrase`: ssh-keygen asks for one at the terminal; otherwise the key has none. `comment` ends the key.

    Raises UsageError, InvalidState if half a key is in the way, Ds01Error.
    """
    if not comment.isprintable() or len(comment) > 200:
        raise UsageError("a comment is one line of at most 200 letters")
    made: list[str] = []
    kept: list[str] = []
    notes: list[str] = []
    folder = home.path / ".ssh"
    if home.make_directory(folder, mode=0o700):
        made.append("~/.ssh")
    elif _grants_others(home, folder, 0o022):
        home.run(["chmod", "go-w", "--", str(folder)])
        made.append("~/.ssh, writable by you only")
    key, public = folder / KEY_NAME, folder / f"{KEY_NAME}.pub"
    if home.exists(key):
        kept.append(f"~/.ssh/{KEY_NAME}")
        if _grants_others(home, key, 0o077):
            home.run(["chmod", "go-rwx", "--", str(key)])
            made.append(f"~/.ssh/{KEY_NAME}, readable by you only")
    elif home.exists(public):
        raise InvalidState(
            f"~/.ssh/{KEY_NAME}.pub exists without its private key",
            why="a new key would overwrite it",
            hint=f"if you do not need it: mv ~/.ssh/{KEY_NAME}.pub ~/.ssh/{KEY_NAME}.pub.old",
        )
    else:
        _generate_key(home, key, comment, ask_passphrase)
        made += [f"~/.ssh/{KEY_NAME}", f"~/.ssh/{KEY_NAME}.pub"]
        if not ask_passphrase:
            notes.append(f"The key has no passphrase; `ssh-keygen -p -f ~/.ssh/{KEY_NAME}` sets one.")
    if not home.exists(public):
        _write_public_key(home, key, public, made, notes)
    return StepResult(tuple(made), tuple(kept), tuple(notes))


def public_key(home: Home) -> str | None:
    """Return the public key as one line; None if there is none."""
    key_line = (home.read_text(home.path / ".ssh" / f"{KEY_NAME}.pub") or "").strip()
    return key_line if key_line.startswith(KEY_TYPE) and "\n" not in key_line else None


def fingerprint(home: Home) -> str | None:
    """Return the fingerprint of this server's host key; None if unknown."""
    try:
        words = home.run(["ssh-keygen", "-l", "-f", str(_HOST_KEY)]).split()
    except Ds01Error:
        return None
    return next((word for word in words if word.startswith("SHA256:")), None)


def connection_guide(login: str, host: str) -> tuple[str, ...]:
    """Return instructions to connect from the user's computer to this server, as lines. Raises UsageError."""
    return tuple(render_template("ssh.txt", login=login, host=check_host(host)).splitlines())


def _generate_key(home: Home, key: Path, comment: str, ask_passphrase: bool) -> None:
    if programs.find("ssh-keygen") is None:
        raise Ds01Error("ssh-keygen is not installed", hint="an administrator installs it: apt install openssh-client")
    # Without -N ssh-keygen asks at the terminal, so that no process list shows the passphrase. With a DISPLAY it
    # would open a window instead, since its input is not the terminal.
    passphrase = () if ask_passphrase else ("-N", "")
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-C", comment, "-f", str(key), *passphrase]
    try:
        home.run(["env", "-u", "DISPLAY", "-u", "SSH_ASKPASS", *keygen], timeout=PASSPHRASE_TIMEOUT)
    except Ds01Error as error:
        raise Ds01Error(f"the key {key} cannot be created", why=error.why, data=error.data) from error


def _write_public_key(home: Home, key: Path, public: Path, made: list[str], notes: list[str]) -> None:
    try:
        output = home.run(["ssh-keygen", "-y", "-P", "", "-f", str(key)])
    except Ds01Error:  # it has a passphrase, or is not a key
        notes.append(
            f"The public key is missing. To create it: ssh-keygen -y -f ~/.ssh/{KEY_NAME} > ~/.ssh/{KEY_NAME}.pub"
        )
        return
    made += put_file(home, public, output, label=f"~/.ssh/{KEY_NAME}.pub", overwrite=False).made


def _grants_others(home: Home, path: Path, bits: int) -> bool:
    """Return whether others have any of the permissions `bits`."""
    return bool(int(home.run(["stat", "-L", "-c", "%a", "--", str(path)]), 8) & bits)
