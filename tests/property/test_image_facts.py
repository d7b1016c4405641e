"""Stored facts about images give the same accounts as fresh ones, and no content of a file breaks a command."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ds01.engines.protocol import PathStatus
from ds01.lifecycle.spec.account import Insider, archive
from ds01.lifecycle.spec.image_facts import gather
from ds01.records.image_facts import NONE_CLOSED, ImageFacts
from ds01.records.store.known_images import SCHEMA, KnownImages
from ds01.system.data import to_json

ID = f"sha256:{'0a' * 32}"
WHO = Insider("alice", 70001, 70001, "thesis")
FOLDERS = [
    "/bin",
    "/usr/local/bin",
    "/opt/venv/bin",
    "/root/.local/bin",
    "/root/miniconda3/bin",
    "/workspace/bin",
    "x",
    "",
]
LINKS = [None, "/root/.local/share/uv/python3", "/usr/bin/python3"]

contents = (
    st.none() | st.binary(max_size=60) | st.lists(st.sampled_from([b"root", b":", b"0", b"\n", b"\xff"])).map(b"".join)
)
searched = st.lists(st.sampled_from(FOLDERS), max_size=5).map(":".join)
statuses = st.builds(PathStatus, st.sampled_from([0o700, 0o755]), st.sampled_from(LINKS))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["reasons", "directories", "x"]), inner)
    ),
    max_leaves=5,
)


def a_store(folder: str) -> KnownImages:
    return KnownImages(Path(folder) / "image-facts", folder_mode=0o755, file_mode=0o644)


@given(contents, contents, searched, statuses, st.booleans())
def test_stored_facts_give_the_same_account(
    passwd: bytes | None, group: bytes | None, path: str, status: PathStatus, has_bash: bool
) -> None:
    def stat(path: str) -> PathStatus | None:
        return None if path == "/bin/bash" and not has_bash else status

    facts = gather({"PATH": path}, {"/etc/passwd": passwd, "/etc/group": group}.get, stat)
    with tempfile.TemporaryDirectory() as folder:
        a_store(folder).put(ID, facts)
        stored = a_store(folder).get(ID)
    assert stored == facts
    assert archive(WHO, stored) == archive(WHO, facts)


@given(st.dictionaries(st.sampled_from(["shell", "passwd", "group", "closed"]), values))
def test_a_changed_file_is_unknown_or_gives_an_account(changes: dict[str, Any]) -> None:
    facts = to_json(ImageFacts("/bin/sh", "root:x:0:0::/root:/bin/sh\n", None, NONE_CLOSED)) | changes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image-facts" / f"{ID.removeprefix('sha256:')}.json"
        path.parent.mkdir()
        path.write_text(json.dumps({"schema": SCHEMA, "image": ID, "facts": facts}))
        found = a_store(folder).get(ID)
    if found is not None:
        assert archive(WHO, found)
        assert to_json(found) == facts


@given(st.binary(max_size=200))
def test_any_bytes_are_unknown(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image-facts" / f"{ID.removeprefix('sha256:')}.json"
        path.parent.mkdir()
        path.write_bytes(content)
        assert a_store(folder).get(ID) is None
