"""Several servers in one table: what their list may say, and answers of any form."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.api.seeing.operations import GetServerView
from ds01.errors import Ds01Error, NotFound, UsageError
from ds01.host.other_servers import (
    OtherServer,
    OtherStatus,
    ask_all,
    parse_other_servers,
    read_answer,
    read_other_servers,
)
from ds01.system.data import to_json
from tests.harness import Harness

SERVER = OtherServer("gpu02", "gpu02.example.org")


def test_a_line_has_a_destination_and_perhaps_a_name() -> None:
    text = "# ours\n\ngpu02.example.org  gpu02 # the new one\nroot@[::1]\n"
    assert parse_other_servers(text, "hosts") == (
        OtherServer("gpu02", "gpu02.example.org"),
        OtherServer("root@[::1]", "root@[::1]"),
    )


@pytest.mark.parametrize("line", ["-oProxyCommand=touch${IFS}/tmp/x", "a b c", "--", "gpu\x1b[2J", "-v host"])
def test_what_is_no_destination_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="line 2"):
        parse_other_servers(f"gpu01\n{line}\n", "hosts")


def test_an_empty_list_is_an_error() -> None:
    with pytest.raises(NotFound):
        parse_other_servers("# nobody\n", "hosts")


def test_the_users_own_list_replaces_the_servers(tmp_path: Path) -> None:
    system = tmp_path / "hosts"
    system.write_text("a\n")
    assert read_other_servers(str(tmp_path), system_file=system)[0].destination == "a"
    (tmp_path / ".config/ds01").mkdir(parents=True)
    (tmp_path / ".config/ds01/hosts").write_text("b\n")
    assert read_other_servers(str(tmp_path), system_file=system)[0].destination == "b"


def test_without_a_list_it_says_where_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as error:
        read_other_servers(str(tmp_path), system_file=tmp_path / "hosts")
    assert str(tmp_path / "hosts") in str(error.value.hint)


def test_the_answer_of_a_real_server_is_read(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=1), start=True)
    view = harness.gate.run(harness.actor("boss"), GetServerView())
    answer = read_answer(SERVER, json.dumps(to_json(view)))
    assert answer.problem is None
    assert [(item.kind, item.free, item.total) for item in answer.supply] == [("A100", 1, 1), ("2g.10gb", 2, 3)]
    assert (answer.containers, answer.waiting) == (1, 0)


def test_one_that_does_not_answer_is_a_row_and_the_others_are_asked_at_once() -> None:
    together = threading.Barrier(2, timeout=10)

    def ask(destination: str) -> str:
        if destination == "down":
            together.wait()
            data = {"program": "ssh", "problem": "failed", "exit_code": 255}
            raise Ds01Error("ssh failed with code 255", why="warning\nssh: connect: timed out", data=data)
        together.wait()
        return json.dumps({"supply": [{"kind": "full", "model": "A100", "free": 1, "total": 2}]})

    down, up = ask_all([OtherServer("down", "down"), OtherServer("up", "up")], ask=ask)
    assert down == OtherStatus("down", "down", problem="ssh: connect: timed out")
    assert up.problem is None and up.supply[0].free == 1
    assert (up.containers, up.waiting, up.load, up.last_tick_at) == (None, None, None, None), "unknown, and not 0"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
KEYS = ("supply", "machine", "tick", "queue", "containers", "complaints")
ITEM = st.dictionaries(
    st.sampled_from(("kind", "free", "total", "earliest", "load", "cpus", "started_at", "container", "state")), JSON
)


@given(st.dictionaries(st.sampled_from(KEYS), JSON | st.lists(ITEM, max_size=3) | ITEM) | JSON)
def test_an_answer_of_any_form_is_a_row(document: object) -> None:
    answer = read_answer(SERVER, json.dumps(document))
    assert answer.name == "gpu02"


@given(st.text())
def test_an_answer_that_is_no_json_is_a_problem(text: str) -> None:
    assert isinstance(read_answer(SERVER, text), OtherStatus)
