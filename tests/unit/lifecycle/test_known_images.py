"""Facts about images are asked once, stored by image id, and never trusted if there is anything wrong with a file."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ds01.engines.engine_errors import error_from_response
from ds01.errors import EngineNotFound, EngineRejected, PermissionDenied
from ds01.records.image_facts import ClosedPrograms, ImageFacts
from ds01.records.store.known_images import TOUCH_INTERVAL, UNUSED_RETENTION, KnownImages
from ds01.system import files
from tests.actions import ALICE_THESIS
from tests.fault_injection import FaultyEngine, StepCounter, make_raiser
from tests.harness import Harness

ID = f"sha256:{'0a' * 32}"
FACTS = ImageFacts(
    "/bin/bash",
    "root:x:0:0:root:/root:/bin/bash\ng\udcfcnter:x:7:7::/:/bin/sh\n",
    None,
    ClosedPrograms(("PATH has /root/bin",), ("/root",)),
)


@pytest.fixture
def store(fast_tmp: Path) -> KnownImages:
    return KnownImages(fast_tmp / "image-facts", folder_mode=0o2775, file_mode=0o664)


def path_of(store: KnownImages, image_id: str = ID) -> Path:
    return store._folder / f"{image_id.removeprefix('sha256:')}.json"


def stored(harness: Harness) -> list[Path]:
    return sorted((harness.state / "image-facts").glob("*.json"))


def create(harness: Harness, login: str, image: str = "any/image", engine: Any = None) -> None:
    gate = harness.another_gate(engine=engine) if engine is not None else harness.another_gate()
    gate.create(harness.actor(login), harness.request(login, image=image))


def inside(harness: Harness, login: str, path: str) -> bytes:
    archive = harness.engine.get_archive(harness.full(login), path)
    assert archive is not None
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(Path(path).name)
        assert file is not None
        return file.read()


# The store.


def test_facts_are_read_as_they_were_written(store: KnownImages) -> None:
    store.put(ID, FACTS)
    assert store.get(ID) == FACTS
    assert store.get(f"sha256:{'0b' * 32}") is None


def test_the_files_have_the_modes_of_the_state_directory(store: KnownImages) -> None:
    before = os.umask(0o077)
    try:
        store.put(ID, FACTS)
    finally:
        os.umask(before)
    path = path_of(store)
    assert stat.S_IMODE(path.stat().st_mode) == 0o664 and stat.S_IMODE(path.parent.stat().st_mode) == 0o2775
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "image_id",
    [None, "", "sha256:", f"sha256:{'A0' * 32}", f"sha256:../{'0' * 61}", f"{ID}\n", "0a" * 32, f"sha512:{'0' * 64}"],
)
def test_only_a_sha256_id_becomes_a_file_name(store: KnownImages, image_id: str | None) -> None:
    store.put(image_id, FACTS)
    assert store.get(image_id) is None and not store._folder.exists()


@pytest.mark.parametrize(
    "facts",
    [
        replace(FACTS, shell=None), replace(FACTS, closed=None), replace(FACTS, shell="/bin/zsh"),
        replace(FACTS, group="x" * files.MAX_FILE_BYTES),
    ],
)  # fmt: skip
def test_incomplete_or_huge_facts_are_not_stored(store: KnownImages, facts: ImageFacts) -> None:
    store.put(ID, facts)
    assert not store._folder.exists()


def changed(**changes: Any) -> Callable[[Any], Any]:
    return lambda document: {**document, **changes}


def with_facts(**changes: Any) -> Callable[[Any], Any]:
    return lambda document: {**document, "facts": {**document["facts"], **changes}}


@pytest.mark.parametrize(
    "damage",
    [
        changed(schema=2), changed(schema="1"), changed(image=f"sha256:{'0b' * 32}"), changed(more=1),
        changed(facts=None),
        with_facts(shell=None), with_facts(shell="/bin/false"), with_facts(shell=["/bin/sh"]), with_facts(closed=None),
        with_facts(passwd=7), with_facts(passwd="\ud800"), with_facts(group="\ud800"), with_facts(more=""),
        with_facts(closed={"reasons": "x", "directories": []}), with_facts(closed={}),
        lambda document: [document], lambda document: None,
    ],
)  # fmt: skip
def test_facts_of_another_form_are_not_known(store: KnownImages, damage: Callable[[Any], Any]) -> None:
    store.put(ID, FACTS)
    path = path_of(store)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    assert store.get(ID) is None
    store.put(ID, FACTS)
    assert store.get(ID) == FACTS


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"{", b"[" * 100_000, b" " * (files.MAX_FILE_BYTES + 1)])
def test_a_damaged_file_is_not_known(store: KnownImages, content: bytes) -> None:
    store.put(ID, FACTS)
    path_of(store).write_bytes(content)
    assert store.get(ID) is None


def test_a_link_is_not_followed(store: KnownImages) -> None:
    store.put(ID, FACTS)
    path = path_of(store)
    elsewhere = path.rename(path.parent.parent / "elsewhere.json")
    path.symlink_to(elsewhere)
    assert store.get(ID) is None


def test_facts_that_are_not_used_are_deleted(store: KnownImages) -> None:
    ids = [f"sha256:{digit * 64}" for digit in "123"]
    for image_id in ids:
        store.put(image_id, FACTS)
    other = store._folder / "README.json"
    other.write_text("")
    now = time.time()
    for image_id, age in zip(ids, (UNUSED_RETENTION + 60, UNUSED_RETENTION + 60, UNUSED_RETENTION - 60), strict=True):
        os.utime(path_of(store, image_id), (now - age, now - age))
    os.utime(other, (0, 0))
    assert store.get(ids[1]) == FACTS  # used: kept
    store.delete_unused()
    assert [store.get(image_id) for image_id in ids] == [None, FACTS, FACTS] and other.exists()


def test_a_use_is_recorded_once_a_day(store: KnownImages) -> None:
    store.put(ID, FACTS)
    recent = time.time() - TOUCH_INTERVAL / 2
    os.utime(path_of(store), (recent, recent))
    store.get(ID)
    assert path_of(store).stat().st_mtime == pytest.approx(recent)


def test_deleting_needs_no_directory(store: KnownImages) -> None:
    store.delete_unused()
    assert not store._folder.exists()


# In the life of containers.


def test_a_known_image_gives_the_same_container(harness: Harness) -> None:
    create(harness, "alice", "ubuntu/rootuv")
    assert len(stored(harness)) == 1
    create(harness, "bob", "ubuntu/rootuv")
    for path in ("/etc/passwd", "/etc/group"):
        bobs = inside(harness, "bob", path)
        assert b"ubuntu:x:1000" in bobs and b"bob:" in bobs
        assert bobs.replace(b"bob", b"alice").replace(b"70002", b"70001") == inside(harness, "alice", path)


def test_a_known_image_still_warns(harness: Harness) -> None:
    for login in ("alice", "bob"):
        acted = harness.another_gate().create(harness.actor(login), harness.request(login, image="lab/rootuv"))
        assert any("RUN chmod a+rx /root" in text for text in acted.warnings)


def test_damaged_facts_are_asked_and_written_again(harness: Harness) -> None:
    create(harness, "alice")
    (path,) = stored(harness)
    good = path.read_bytes()
    path.write_bytes(good.replace(b"/bin/bash", b"/bin/bush"))
    create(harness, "bob")
    assert path.read_bytes() == good
    assert b":/bin/bash\n" in inside(harness, "bob", "/etc/passwd")


def test_a_tag_that_moved_is_stored_under_neither_image(harness: Harness) -> None:
    """Between the question for the image and the create, somebody pulls another image under its name."""
    image = harness.engine.image("any/image")
    assert image is not None

    class Moved(FaultyEngine):
        def image(self, reference: str) -> Any:
            return replace(image, id=ID)

    create(harness, "alice", engine=Moved(harness.engine, StepCounter(-1, lambda: None)))
    assert stored(harness) == []
    harness.ledger.known_images().put(ID, replace(FACTS, passwd="wrong:x:0:0::/:/bin/sh\n"))
    create(harness, "bob", engine=Moved(harness.engine, StepCounter(-1, lambda: None)))
    assert b"wrong" not in inside(harness, "bob", "/etc/passwd")


def test_a_container_that_vanished_does_not_make_its_image_known(harness: Harness) -> None:
    """Docker reports the files of a container that is gone as missing."""

    class Vanishing(FaultyEngine):
        def path_status(self, reference: str, path: str) -> None:
            return None

        def put_archive(self, reference: str, folder: str, archive: bytes) -> None:
            raise EngineNotFound("Docker has no such container")

    with pytest.raises(EngineNotFound):
        create(harness, "alice", engine=Vanishing(harness.engine, StepCounter(-1, lambda: None)))
    assert stored(harness) == []


def test_an_image_without_a_shell_stays_unknown(harness: Harness) -> None:
    for _ in range(2):
        with pytest.raises(PermissionDenied, match="has no shell"):
            create(harness, "alice", "tiny/noshell")
    assert stored(harness) == []


def test_programs_that_could_not_be_looked_at_are_asked_again(harness: Harness) -> None:
    steps = StepCounter(0, make_raiser(EngineRejected("Docker refused")))
    create(harness, "alice", engine=FaultyEngine(harness.engine, steps, ("path_status",)))
    assert stored(harness) == []
    create(harness, "bob")
    assert len(stored(harness)) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("where", ["make_directory", "replace"])
def test_a_full_or_read_only_disk_costs_only_the_cache(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, where: str, number: int
) -> None:
    done: Callable[..., Any] = getattr(files, where)

    def refuse(path: Path, *arguments: Any, **more: Any) -> Any:
        if "image-facts" in str(path):
            raise OSError(number, os.strerror(number), str(path))
        return done(path, *arguments, **more)

    monkeypatch.setattr(files, where, refuse)
    create(harness, "alice")
    create(harness, "bob")
    assert stored(harness) == []


def test_the_tick_deletes_what_is_not_used(harness: Harness) -> None:
    create(harness, "alice")
    (path,) = stored(harness)
    os.utime(path, (0, 0))
    harness.ledger.delete_expired(removed_before=harness.clock())
    assert not path.exists()


@pytest.mark.parametrize(
    "message",
    [
        'runc create failed: unable to start the process: exec: "sh": executable file not found in $PATH: unknown',
        "OCI runtime create failed: crun: executable file `sh` not found in $PATH: No such file or directory",
    ],
)
def test_a_start_without_a_shell_is_explained(harness: Harness, message: str) -> None:
    """The image's /etc/passwd names bash for root, but was copied from another image."""
    create(harness, "alice")
    steps = StepCounter(0, make_raiser(error_from_response(400, message, "start the container")))
    gate = harness.another_gate(engine=FaultyEngine(harness.engine, steps, ("start",)))  # type: ignore[arg-type]
    with pytest.raises(PermissionDenied, match="has no shell"):
        gate.start(harness.actor("alice"), ALICE_THESIS)
