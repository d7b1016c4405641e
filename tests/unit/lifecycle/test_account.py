"""The owner's account inside a container, for any image and any login."""

from __future__ import annotations

import io
import tarfile

import pytest

from ds01.engines.protocol import PathStatus
from ds01.errors import PermissionDenied
from ds01.lifecycle.spec.account import Insider, archive
from ds01.lifecycle.spec.image_facts import gather
from ds01.records.image_facts import ImageFacts
from ds01.system.owner_groups import HostGroup

PASSWD = b"root:x:0:0:root:/root:/bin/bash\nubuntu:x:1000:1000::/home/ubuntu:/bin/sh\n"
GROUP = b"root:x:0:\nubuntu:x:1000:\n"
IMAGE = {"/etc/passwd": PASSWD, "/etc/group": GROUP, "/bin/bash": b"", "/bin/sh": b""}


def facts(image: dict[str, bytes]) -> ImageFacts:
    """The facts about an image with these files."""
    return gather({}, image.get, lambda path: PathStatus(0o755) if path in image else None)


def unpacked(who: Insider, image: dict[str, bytes]) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(archive(who, facts(image)))) as tar:
        found = {}
        for entry in tar:
            file = tar.extractfile(entry)
            found[entry.name] = (entry, file.read() if file else b"")
        return found


def lines(who: Insider, image: dict[str, bytes], path: str) -> list[list[str]]:
    text = unpacked(who, image)[path][1].decode("utf-8", "surrogateescape")
    assert text.endswith("\n")
    return [line.split(":") for line in text.splitlines()]


def first(entries: list[list[str]], field: int, value: str) -> list[str]:
    """What the C library finds."""
    return next(entry for entry in entries if entry[field] == value)


ODD = ["alice", "first.last@domain", "20261", "a-b_c", "ümit", "a" * 40, "MACHINE$", "with space"]


@pytest.mark.parametrize("login", ODD)
@pytest.mark.parametrize("uid", [1000, 70001, 4_000_000_000])
def test_name_and_numbers_lead_to_the_owner_and_root_stays_root(login: str, uid: int) -> None:
    who = Insider(login, uid, uid, "thesis")
    passwd = lines(who, IMAGE, "etc/passwd")
    assert first(passwd, 2, str(uid)) == [login, "*", str(uid), str(uid), "", f"/home/{login}", "/bin/bash"]
    assert first(passwd, 0, login)[2] == str(uid)
    assert first(passwd, 2, "0")[0] == "root"
    assert all(len(entry) == 7 for entry in passwd)
    group = lines(who, IMAGE, "etc/group")
    assert first(group, 2, str(uid))[0] == ("ubuntu" if uid == 1000 else login)
    home, _ = unpacked(who, IMAGE)[f"home/{login}"]
    assert (home.isdir(), home.uid, home.gid) == (True, uid, uid)


def test_existing_login_in_the_image_gets_the_owners_ids() -> None:
    passwd = lines(Insider("ubuntu", 70001, 70001, "x"), IMAGE, "etc/passwd")
    assert [entry[2] for entry in passwd if entry[0] == "ubuntu"] == ["70001"]
    assert [entry[1] for entry in passwd if entry[0] == "ubuntu"] == ["*"]  # no password, whatever /etc/shadow says


def test_group_line_is_kept_or_added_once() -> None:
    assert lines(Insider("alice", 70001, 1000, "x"), IMAGE, "etc/group") == [
        line.split(":") for line in GROUP.decode().splitlines()
    ]
    group = lines(Insider("alice", 70001, 70001, "x"), IMAGE, "etc/group")
    assert [entry for entry in group if entry[2] == "70001"] == [["alice", "x", "70001", ""]]


def test_groups_of_the_host_are_shown_by_name() -> None:
    groups = (HostGroup(5001, "vision"), HostGroup(1000, "audio"), HostGroup(6001, "root"))
    group = lines(Insider("alice", 70001, 70001, "x", groups), IMAGE, "etc/group")
    assert first(group, 2, "5001") == ["vision", "x", "5001", "alice"]
    assert first(group, 2, "1000") == ["ubuntu", "x", "1000", "alice"]  # the image's name for the number stays
    assert first(group, 2, "6001")[0] == "host-root"  # the image's root is another group
    assert first(group, 2, "0")[0] == "root"


def test_members_that_the_image_has_stay_members() -> None:
    image = IMAGE | {"/etc/group": b"root:x:0:\nvision:x:5001:bob,alice\n"}
    group = lines(Insider("alice", 70001, 70001, "x", (HostGroup(5001, "v"),)), image, "etc/group")
    assert first(group, 2, "5001") == ["vision", "x", "5001", "bob,alice"]


def test_a_group_whose_name_would_break_the_file_is_left_out() -> None:
    group = lines(Insider("alice", 70001, 70001, "x", (HostGroup(5001, "a:b\nc"),)), IMAGE, "etc/group")
    assert [entry[2] for entry in group] == ["70001", "0", "1000"]


def test_sudo_requires_root_inside() -> None:
    allowed = unpacked(Insider("alice", 70001, 70001, "x"), IMAGE)
    assert allowed["etc/sudoers.d/ds01"][1].startswith(b"#70001 ")
    assert b"container-run x --root" in allowed["home/alice/.shrc"][1]
    forbidden = unpacked(Insider("alice", 70001, 70001, "x", root_inside=False), IMAGE)
    assert "etc/sudoers.d/ds01" not in forbidden and b"--root" not in forbidden["home/alice/.shrc"][1]


def test_an_image_without_these_files_gets_them_with_root() -> None:
    passwd = lines(Insider("alice", 70001, 70001, "x"), {"/bin/sh": b""}, "etc/passwd")
    assert [entry[0] for entry in passwd] == ["alice", "root"]
    assert passwd[0][6] == "/bin/sh"  # there is no bash
    assert lines(Insider("alice", 70001, 70001, "x"), {}, "etc/group") == [["alice", "x", "70001", ""]]


def test_what_is_no_text_survives() -> None:
    image = IMAGE | {"/etc/passwd": PASSWD + b"g\xfcnter:x:7:7::/:/bin/sh\n"}
    content = unpacked(Insider("alice", 70001, 70001, "x"), image)["etc/passwd"][1]
    assert b"g\xfcnter:x:7:7" in content


@pytest.mark.parametrize("login", ["", ".", "..", "a:b", "a/b", "a\nroot2:x:0:0::/:/bin/sh", "a\0"])
def test_a_login_that_would_break_the_files_is_refused(login: str) -> None:
    with pytest.raises(PermissionDenied):
        archive(Insider(login, 70001, 70001, "x"), facts(IMAGE))


def test_account_files_have_their_usual_modes() -> None:
    files = unpacked(Insider("first.last@domain", 70001, 70001, "x"), IMAGE)
    assert {path: files[path][0].mode for path in ("etc/passwd", "etc/group", "etc/sudoers.d/ds01")} == {
        "etc/passwd": 0o644, "etc/group": 0o644, "etc/sudoers.d/ds01": 0o440,
    }  # fmt: skip
    assert files["etc/sudoers.d/ds01"][1].startswith(b"#70001 ")
    assert {files[path][0].uid for path in files if path.startswith("home/")} == {70001}


def test_nobody_looks_for_a_shell_where_root_uses_bash() -> None:
    def missing(path: str) -> PathStatus | None:
        raise AssertionError(path)

    assert gather({}, (IMAGE | {"/etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n"}).get, missing).shell == "/bin/bash"


@pytest.mark.parametrize(
    ("files", "shell"),
    [
        ({"/bin/sh", "/bin/bash"}, "/bin/bash"), ({"/bin/sh"}, "/bin/sh"), (set(), None),
        ({"/bin/bash"}, None),  # process 1 is started with sh
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "passwd", [None, b"", b"root:x:0:0:root:/root:/bin/ash\n", b"root\n", b"daemon:x:1:1::/:/bin/bash\n"]
)
def test_elsewhere_the_shell_is_what_the_image_has(passwd: bytes | None, files: set[str], shell: str | None) -> None:
    found = gather({}, {"/etc/passwd": passwd}.get, lambda path: PathStatus(0o755) if path in files else None)
    assert found.shell == shell
