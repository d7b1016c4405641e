"""The mlc commands at a terminal: entering, leaving, and questions."""

from __future__ import annotations

from ds01.engines.protocol import Devices
from tests import aime_containers
from tests.terminal.conftest import Programs


def state(programs: Programs, name: str = "thesis") -> str:
    return programs.harness.record("alice", name).state.value


def test_leaving_stops_it_when_nothing_else_is_left(programs: Programs) -> None:
    made = programs.piped("mlc-create", "thesis", "Pytorch", "-w=~/workspace/thesis")
    assert made.returncode == 0, made
    shell = programs.at_terminal("mlc-open", "thesis")
    shell.expect("[thesis] started.")
    shell.expect("stopped when you leave")
    shell.expect("This container is simulated")
    shell.expect("Stopped thesis.")
    shell.expect("is held for you")
    assert shell.end() == 0
    assert state(programs) == "held"


def test_leaving_lets_it_go_on_when_something_is_left(programs: Programs) -> None:
    programs.piped("container-deploy", "thesis", "pytorch")
    programs.engine.spawn(programs.harness.full("alice"), "python train.py")
    shell = programs.at_terminal("mlc", "open", "thesis", "-s")
    shell.expect("[thesis] is already running.")
    shell.expect("[thesis] is still running: 1 process left in it.")
    assert shell.end() == 0
    assert state(programs) == "running"


def test_one_that_aimes_tools_made_is_adopted_and_entered(programs: Programs) -> None:
    (uuid,) = [uuid for slot, uuid in programs.harness.uuid.items() if slot == "0"]
    aime_containers.create(programs.harness, engine=programs.engine, devices=Devices((uuid,), form="device_request"))
    shell = programs.at_terminal("mlc-open")
    shell.expect("Which container to open?")
    shell.expect("theirs")
    shell.type("\r")
    shell.expect("Adopted theirs")
    shell.expect("Stopped theirs.")
    assert shell.end() == 0
    assert state(programs, "theirs") == "held"


def test_questions_are_asked_and_no_is_enter(programs: Programs) -> None:
    programs.piped("container-deploy", "thesis", "pytorch")
    for answer, after in (("\r", "running"), ("y\r", "held")):
        asked = programs.at_terminal("mlc-stop", "thesis")
        asked.expect("Stop thesis? ")
        asked.type(answer)
        assert asked.end() == 0
        assert state(programs) == after
    asked = programs.at_terminal("mlc-remove", "thesis")
    asked.expect("Remove thesis? ")
    asked.type("\r")
    assert asked.end() == 0
    assert state(programs) == "held"
    for word in ("-Y", "-f", "--force", "-s", "-y"):
        programs.piped("container-create", "more", "pytorch", "--cpu-only")
        asked = programs.at_terminal("mlc-remove", "more", word)
        asked.expect("Removed more.")
        assert asked.end() == 0


def test_the_pickers_offer_what_the_verb_can_act_on(programs: Programs) -> None:
    programs.piped("container-deploy", "runs", "pytorch", "--cpu-only")
    for verb in ("start", "remove"):
        none = programs.at_terminal(f"mlc-{verb}")
        shown = none.expect("`mlc-list` shows yours")
        assert f"you have no container to {verb}" in shown and "it must be stopped" in shown
        assert none.end() == 5
    programs.piped("container-create", "made", "pytorch", "--cpu-only")
    aime_containers.create(programs.harness, engine=programs.engine)  # `theirs`, which does not run
    for verb, offered, number in (
        ("stop", {"runs"}, "1"),
        ("start", {"made", "theirs"}, None),
        ("remove", {"made", "theirs"}, None),
    ):
        asked = programs.at_terminal(f"mlc-{verb}")
        shown = asked.expect("Number [1]: " if number else "Number: ")
        assert {name for name in ("runs", "made", "theirs") if f") {name} " in shown} == offered
        asked.interrupt()
        assert asked.end() == 130


def test_create_asks_for_what_is_missing(programs: Programs) -> None:
    asked = programs.at_terminal("mlc-create", "thesis")
    asked.expect("Which image?")
    asked.expect("Number")
    asked.type("2\r")
    asked.expect("is ready. Open it: mlc-open thesis")
    assert asked.end() == 0
    assert state(programs) == "created"


def test_stream_goes_on_until_interrupted(programs: Programs) -> None:
    programs.piped("container-deploy", "thesis", "pytorch")
    shown = programs.at_terminal("mlc-stats", "-s")
    for _ in range(2):
        shown.expect("[thesis]")
    shown.interrupt()
    assert shown.end() == 130 and "Error" not in shown.seen
