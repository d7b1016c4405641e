"""Questions and messages at a terminal."""

from __future__ import annotations

import pytest

from tests.terminal.conftest import Programs


@pytest.fixture
def thesis(programs: Programs) -> Programs:
    """A container runs."""
    assert programs.piped("container-deploy", "thesis", "pytorch").returncode == 0
    return programs


def test_the_wizard(programs: Programs) -> None:
    new = programs.at_terminal("container-deploy", "--guided")
    new.expect("IMAGE is a blueprint")
    new.expect("Press Enter to continue … ")
    new.type("\r")
    shown = new.expect("Number [1]: ")
    assert "2) Pytorch (framework, the newest)" in shown and "another, by its name" in shown
    new.type("2\r")
    new.expect("Name of the container: ")
    new.type("not/a name\r")
    new.expect("invalid container name")
    new.type("My Thesis\r")
    new.expect("Press Enter to continue … ")
    new.type("\r")
    new.expect("with a GPU")
    new.type("1\r")
    new.expect("How many GPUs? ")
    new.type("2\r")
    new.expect("The name becomes my-thesis")
    for step in ("/workspace", "Now the container is created", "starts in the background"):
        new.expect(step)
        new.expect("Press Enter to continue … ")
        new.type("\r")
    new.expect("leave it in the background")
    new.type("2\r")
    assert new.end() == 0
    record = programs.harness.record("alice", "my-thesis")
    assert record.state.value == "running" and record.lease is not None and len(record.lease.slots) == 2


def test_the_wizard_for_an_image_by_name_and_cpu(programs: Programs) -> None:
    new = programs.at_terminal("container-create")
    shown = new.expect("Number [1]: ")
    new.type(f"{shown.count(') ')}\r")  # the last one
    new.expect("Image: ")
    new.type("NOT An Image\r")
    new.expect("is not an image name")
    new.type("debian:12\r")
    new.expect("Name of the container: ")
    new.type("small\r")
    new.expect("Number [1]: ")
    new.type("2\r")
    new.expect("Created small from debian:12: CPU only")
    assert new.end() == 0


@pytest.mark.parametrize("answer", ["2\r", "\x03"])
def test_how_to_enter_it_is_said_before_the_last_question(answer: str, programs: Programs) -> None:
    new = programs.at_terminal("container-deploy", "thesis", "pytorch")
    shown = new.expect("And now?")
    assert "Enter it: `container-run thesis`. Give it back: `container-retire thesis`" in shown
    new.expect("Number [1]: ")
    new.interrupt() if answer == "\x03" else new.type(answer)
    assert new.end() == (130 if answer == "\x03" else 0)
    assert "Error" not in new.seen and ("goes on running in the background" in new.seen) == (answer == "\x03")
    assert programs.harness.record("alice").state.value == "running"


def test_ctrl_c_and_the_end_of_input_leave_a_question_with_130(programs: Programs) -> None:
    for key in ("\x03", "\x04"):
        asked = programs.at_terminal("container-create")
        asked.expect("Number [1]: ")
        asked.interrupt() if key == "\x03" else asked.type(key)
        assert asked.end() == 130
        assert "interrupted" in asked.seen and "Traceback" not in asked.seen
    guided = programs.at_terminal("container-list", "--guided")
    guided.expect("Press Enter to continue")
    guided.type("\x04")
    assert guided.end() == 130
    assert programs.harness.records() == []


def test_the_picker_offers_what_the_verb_can_act_on(thesis: Programs) -> None:
    thesis.piped("container-create", "other", "pytorch", "--cpu-only")
    picked = thesis.at_terminal("container-retire")
    shown = picked.expect("Number: ")
    assert "thesis" in shown and "other" in shown
    picked.type("\r\r9\r")
    picked.expect("Enter a number from 1 to 2.")
    picked.type(f"{'1' if shown.index('thesis') < shown.index('other') else '2'}\r")
    picked.expect("Retire thesis?")
    picked.type("\r")
    picked.expect("Retired thesis")
    assert picked.end() == 0
    none = thesis.at_terminal("container-stop")
    none.expect("you have no container to stop")
    assert none.end() == 5


def test_stop_asks_and_offers_to_remove(thesis: Programs) -> None:
    thesis.engine.spawn(thesis.harness.full("alice"), "python train.py")
    no = thesis.at_terminal("container-stop", "thesis")
    no.expect("Stop thesis? (1 process will end) [Y/n]: ")
    no.type("n\r")
    assert no.end() == 0 and thesis.harness.record("alice").state.value == "running"
    yes = thesis.at_terminal("container-stop", "thesis")
    yes.expect("[Y/n]: ")
    yes.type("\r")
    yes.expect("is held for you until")
    yes.expect("Remove thesis now? Its workspace stays [y/N]: ")
    yes.type("y\r")
    yes.expect("Removed thesis.")
    assert yes.end() == 0 and thesis.harness.records() == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("container-stop thesis", "Nothing was stopped: thesis goes on running."),
        ("container-retire thesis", "Nothing was retired: thesis stays as it is."),
        ("container-remove other", "Nothing was removed."),
        ("mlc-stop thesis", "Nothing was stopped: thesis goes on running."),
        ("mlc-remove other", "Nothing was removed."),
        ("image-delete mine", "Nothing was deleted."),
    ],
)
def test_a_no_is_answered_and_changes_nothing(words: str, said: str, thesis: Programs) -> None:
    assert thesis.piped("container-create", "other", "pytorch", "--cpu-only").returncode == 0
    thesis.engine.tag("any/image", f"ds01-{thesis.harness.people['alice']}/mine:latest")
    before = thesis.harness.records()
    asked = thesis.at_terminal(*words.split())
    for answer in ("what", "nein"):
        asked.expect("]: ")
        asked.type(f"{answer}\r")
        asked.expect("Answer y or n.")
    asked.expect("]: ")
    asked.type(" No\r")
    asked.expect(said)
    assert asked.end() == 0 and thesis.harness.records() == before


@pytest.mark.parametrize("options", ["--force", "-y", "-q --keep-container"])
def test_stop_does_not_ask_when_it_was_answered(options: str, thesis: Programs) -> None:
    stopped = thesis.at_terminal("container-stop", "thesis", *options.split())
    assert stopped.end() == 0
    assert "[Y/n]" not in stopped.seen and "[y/N]" not in stopped.seen
    assert thesis.harness.record("alice").state.value == "held"


def test_cleanup_asks_which(thesis: Programs) -> None:
    thesis.piped("container-create", "one", "pytorch", "--cpu-only")
    thesis.piped("container-create", "two", "pytorch", "--cpu-only")
    asked = thesis.at_terminal("container-cleanup")
    asked.expect("Enter for none: ")
    asked.type("7\r")
    asked.expect("Enter numbers from 1 to 2.")
    asked.type("1, 2\r")
    asked.expect("[y/N]: ")
    asked.type("y\r")
    asked.expect("Removed 2")
    assert asked.end() == 0
    assert [record.name for record in thesis.harness.records()] == ["thesis"]


def test_remove_asks_once_for_all(thesis: Programs) -> None:
    thesis.piped("container-stop", "thesis")
    asked = thesis.at_terminal("container-remove", "thesis")
    asked.expect("Remove thesis? [Y/n]: ")
    asked.type("n\r")
    assert asked.end() == 0 and len(thesis.harness.records()) == 1


def test_entering_says_how_to_leave_and_what_leaving_means(thesis: Programs) -> None:
    entered = thesis.at_terminal("container-run", "thesis")
    entered.expect("`exit` leaves it")
    entered.expect("You left thesis")
    assert entered.end() == 0 and "container-retire thesis" in entered.seen


def test_a_list_on_80_columns_fits_and_has_colours(thesis: Programs) -> None:
    thesis.piped("container-create", "second-experiment", "ghcr.io/somebody/some-image:latest", "--cpu-only")
    for colour, environment in ((True, {}), (False, {"NO_COLOR": "1"}), (False, {"TERM": "dumb"})):
        shown = thesis.at_terminal("container-list", **environment)
        assert shown.end() == 0
        assert ("\x1b[32mrunning" in shown.seen) == colour and ("\x1b" in shown.seen) == colour
        plain = shown.seen.replace("\x1b[1m", "").replace("\x1b[0m", "").replace("\x1b[32m", "").replace("\x1b[36m", "")
        assert max(len(line) for line in plain.splitlines()) <= 80, plain


def test_errors_are_broken_between_words(thesis: Programs) -> None:
    shown = thesis.at_terminal("container-create", "another thing!", "pytorch")
    assert shown.end() == 2
    assert max(len(line) for line in shown.seen.splitlines()) <= 80


def test_stats_again_and_again_until_ctrl_c(thesis: Programs) -> None:
    watching = thesis.at_terminal("container-stats", "--watch", "--interval", "1")
    watching.expect("PROCESSES")
    watching.expect("PROCESSES")
    watching.interrupt()
    assert watching.end() == 130 and "Traceback" not in watching.seen and "Error" not in watching.seen


def test_the_end_of_input_at_the_offer_to_remove_keeps_what_was_done(thesis: Programs) -> None:
    stopping = thesis.at_terminal("container-stop", "thesis")
    stopping.expect("[Y/n]: ")
    stopping.type("\r")
    stopping.expect("[y/N]: ")
    stopping.type("\x04")
    assert stopping.end() == 0 and "interrupted" not in stopping.seen
    assert thesis.harness.record("alice").state.value == "held"


ENDINGS = (
    "container-stop thesis -t 3600",
    "container-retire thesis",
    "container-remove thesis --force",
    "mlc-stop thesis",
)


@pytest.mark.parametrize("words", ENDINGS)
def test_stop_counts_down_and_ctrl_c_reports_the_state(words: str, thesis: Programs) -> None:
    for command in ("python train.py", "python serve.py"):
        thesis.engine.spawn(thesis.harness.full("alice"), command, stubborn=True)
    ending = thesis.at_terminal(*words.split(), "-y")
    waited = ending.expect("s left, 2 processes still running")
    assert "thesis: waiting up to " in waited and "for 2 processes to save their work" in " ".join(waited.split())
    ending.type("\x03")
    assert ending.end() == 130
    said = " ".join(ending.seen.split())
    assert "thesis was not stopped" in said or "thesis was neither stopped nor removed" in said
    assert "2 processes had not ended yet; it still runs, and its GPU is still taken" in said
    assert "`container-stop thesis --force` ends it at once" in said
    assert thesis.harness.record("alice").state.value == "running"


def test_ctrl_c_names_those_that_nothing_was_done_to(thesis: Programs) -> None:
    thesis.piped("container-deploy", "other", "pytorch", "--cpu-only")
    for name in ("thesis", "other"):
        thesis.engine.spawn(thesis.harness.full("alice", name), "python train.py", stubborn=True)
    stopping = thesis.at_terminal("container-stop", "--all", "-y")
    first = "thesis" if "thesis: waiting" in stopping.expect("1 process still running") else "other"
    stopping.type("\x03")
    assert stopping.end() == 130
    assert f"Interrupted: nothing was done to {'other' if first == 'thesis' else 'thesis'}." in stopping.seen


def test_processes_that_had_to_be_killed_are_said(thesis: Programs) -> None:
    thesis.engine.spawn(thesis.harness.full("alice"), "python train.py", stubborn=True)
    stopping = thesis.at_terminal("container-stop", "thesis", "-y", "-t", "1")
    assert stopping.end() == 0
    assert "thesis: 1 process had not ended after 1 s and had to be killed." in stopping.seen


def test_a_stop_without_a_terminal_says_once_who_is_waited_for(thesis: Programs) -> None:
    thesis.engine.spawn(thesis.harness.full("alice"), "python train.py", stubborn=True)
    stopped = thesis.piped("container-stop", "thesis", "-t", "1")
    assert stopped.returncode == 0 and stopped.stdout.count("waiting up to 1 s for 1 process") == 1
    assert "s left" not in stopped.stdout and "\x1b" not in stopped.stdout + stopped.stderr


def test_a_dumb_terminal_gets_no_escape_codes(thesis: Programs) -> None:
    thesis.engine.spawn(thesis.harness.full("alice"), "python train.py", stubborn=True)
    for words in (("container-stats", "--watch", "--interval", "1"), ("mlc-stats", "--stream")):
        watching = thesis.at_terminal(*words, TERM="dumb")
        seen = watching.expect("PROCESSES") + watching.expect("PROCESSES")
        watching.interrupt()
        assert watching.end() == 130 and "\x1b" not in seen + watching.seen
    stopping = thesis.at_terminal("container-stop", "thesis", "-y", "-t", "1", TERM="dumb")
    assert stopping.end() == 0
    assert "waiting up to 1 s" in stopping.seen and "\x1b" not in stopping.seen and "s left" not in stopping.seen


@pytest.mark.parametrize("command", ["image-create", "container-create"])
def test_builds_and_pulls_give_a_dumb_terminal_no_escape_codes(command: str, thesis: Programs) -> None:
    words = (
        ("new", "--framework", "pytorch", "-y") if command == "image-create" else ("new", "some/image:1", "--cpu-only")
    )
    made = thesis.at_terminal(command, *words, TERM="dumb")
    assert made.end() == 0 and "\x1b" not in made.seen, made.seen


@pytest.mark.parametrize("options", [(), ("--all",)])
def test_cleanup_asks_before_it_removes_with_names_and_sizes(options: tuple[str, ...], thesis: Programs) -> None:
    thesis.piped("container-create", "one", "pytorch", "--cpu-only")
    asked = thesis.at_terminal("container-cleanup", *options)
    if not options:
        asked.expect("Enter for none: ")
        asked.type("1\r")
    question = asked.expect("[y/N]: ")
    assert "Remove one (" in question and "workspace stays" in question
    asked.type("\r")
    asked.expect("Nothing was removed.")
    assert asked.end() == 0 and len(thesis.harness.records()) == 2
