"""The wizards at a terminal, from the first question to a built image and a running container."""

from __future__ import annotations

import pytest

from tests.terminal.conftest import Programs, Typist


def answer(typist: Typist, *pairs: tuple[str, str]) -> str:
    """Type each answer when its question comes; all that was shown."""
    shown = ""
    for question, reply in pairs:
        shown += typist.expect(question)
        typist.type(f"{reply}\r")
    return shown


FRAMEWORK = (("Number [1]:", "1"), ("Version [", ""))
PHASES = (
    *FRAMEWORK,
    ("Install Jupyter? [Y/n]:", ""),
    ("Number [1]:", "3"),  # the data science packages: only some
    ("Which:", "scipy pandas"),
    ("Number [1]:", "4"),  # the use case: the third, NLP
    ("More pip packages, such as pandas>=2.0 tqdm (Enter: none)", "einops>=0.7,<1"),
    ("More apt packages, such as ffmpeg (Enter: none)", "ffmpeg;reboot"),  # asked again
    ("More apt packages, such as ffmpeg (Enter: none)", "ffmpeg"),
)
THE_OTHERS = (
    ("Install Jupyter? [Y/n]:", "n"),
    ("Number [1]:", "2"),
    ("Number [1]:", "1"),
    ("More pip packages", ""),
    ("More apt packages", ""),
)
STAY = (("leave it in the background", "2"),)


def runs(programs: Programs, name: str) -> bool:
    record = programs.harness.record("alice", name)
    return record.state.value == "running" and record.image == f"ds01-{record.uid}/{name}"


def test_image_create_from_the_first_question_to_a_running_container(programs: Programs) -> None:
    new = programs.at_terminal("image-create")
    shown = answer(new, ("Name of the image:", "Not/good"), ("Name of the image:", "My Thesis"), *PHASES)
    for number, title in enumerate(("Framework", "Jupyter", "Data science", "Use case"), 1):
        assert f"Phase {number}/4  {title}" in shown
    answer(new, ("Create a container from it now? [Y/n]:", ""), *STAY)
    assert new.end() == 0
    assert runs(programs, "my-thesis")
    folder = programs.harness.home("alice") / "dockerfiles"
    lines = (folder / "my-thesis.requirements.txt").read_text().splitlines()
    assert {"einops>=0.7,<1", "scipy", "pandas", "transformers"} <= set(lines)
    assert "seaborn" not in lines
    assert "ffmpeg" in (folder / "my-thesis.Dockerfile").read_text()


def test_the_same_by_options_alone(programs: Programs) -> None:
    words = ("--framework", "pytorch", "--base-packages", "numpy pandas", "--use-case", "nlp", "--system", "ffmpeg")
    made = programs.piped("image-create", "my-thesis", *words, "--packages", "einops>=0.7,<1")
    assert made.returncode == 0, made.stderr
    assert programs.piped("container-deploy", "my-thesis", "--background").returncode == 0
    assert runs(programs, "my-thesis")


def test_image_create_fully_said_asks_only_for_the_container(programs: Programs) -> None:
    new = programs.at_terminal("image-create", "thesis", "--framework", "pytorch")
    shown = new.expect("Create a container from it now? [Y/n]:")
    assert "?" not in shown.replace("Create a container from it now?", "")
    new.type("n\r")
    assert new.end() == 0


def test_project_init_from_the_first_question_to_a_running_container(programs: Programs) -> None:
    new = programs.at_terminal("project-init")
    shown = answer(
        new,
        ("Name of the project:", "Deep Sea"),
        ("Number [1]:", "2"),
        ("In one line (Enter: later)", "Fish in videos"),
        ("Your name, for commits (Enter: later)", "Alice"),
        ("Your e-mail address, for commits (Enter: later)", "alice@example.org"),
    )
    assert "Step 1/5  Directory" in shown
    shown = answer(
        new,
        *FRAMEWORK,
        ("Install Jupyter? [Y/n]:", "n"),
        ("Number [1]:", "2"),
        ("More pip packages", ""),
        ("More apt packages", ""),
        *STAY,
    )
    assert "Step 4/5  Image" in shown and "Step 5/5  Container" in shown
    new.expect("deep-sea is ready")
    assert new.end() == 0
    assert runs(programs, "deep-sea")
    folder = programs.harness.home("alice") / "workspace" / "deep-sea"
    assert (folder / ".git").is_dir() and "Fish in videos" in (folder / "README.md").read_text()
    assert "[tool.ds01]" in (folder / "pyproject.toml").read_text()
    requirements = (programs.harness.home("alice") / "dockerfiles" / "deep-sea.requirements.txt").read_text()
    assert "timm" in requirements and "jupyterlab" not in requirements


def test_project_init_by_options_alone_and_again(programs: Programs) -> None:
    words = ("project-init", "deep-sea", "--type", "cv", "--framework", "pytorch")
    first = programs.piped(*words)
    assert first.returncode == 0, first.stderr
    assert runs(programs, "deep-sea")
    before = programs.harness.record("alice", "deep-sea")
    again = programs.piped(*words)
    assert again.returncode == 0, again.stderr
    assert "The image deep-sea already exists" in again.stdout
    assert programs.harness.record("alice", "deep-sea") == before


def test_user_setup_from_the_first_question_to_a_running_container(programs: Programs) -> None:
    new = programs.at_terminal("user-setup", "--image", "pytorch/pytorch")
    asked = {
        "Press Enter to continue …": "",
        "passphrase (empty for no passphrase):": "",
        "same passphrase again:": "",
        "Begin another? [y/N]:": "y",  # every bed has a workspace
        "Name of the project:": "first",
        "Number [1]:": "1",
        "In one line (Enter: later)": "",
        "Your name, for commits (Enter: later)": "",
        "Your e-mail address, for commits (Enter: later)": "",
        "And now?": None,
    }
    shown = ""
    for _ in range(40):
        question = new.expect(*asked, "That is all.")
        shown += question
        if question.endswith("And now?"):
            answer(new, ("Number [1]:", "2"))
            continue
        if question.endswith("That is all."):
            break
        new.type(next(str(reply) for text, reply in asked.items() if question.endswith(text)) + "\r")
    assert new.end() == 0
    for part in ("Part 1/3  SSH", "Part 2/3  A project", "Part 3/3  VS Code", "Host ds01"):
        assert part in shown
    home = programs.harness.home("alice")
    assert (home / ".ssh" / "id_ed25519").stat().st_mode & 0o777 == 0o600
    assert "PRIVATE KEY" not in shown
    assert programs.harness.record("alice", "first").state.value == "running"


@pytest.mark.parametrize("program", ["user-setup", "new-user"])
def test_user_setup_by_options_alone_skips_what_is_done(programs: Programs, program: str) -> None:
    words = ("first", "--quick", "--image", "pytorch/pytorch")
    first = programs.piped(program, *words)
    assert first.returncode == 0, first.stderr
    key = (programs.harness.home("alice") / ".ssh" / "id_ed25519").read_bytes()
    again = programs.piped(program, "--quick")
    assert again.returncode == 0, again.stderr
    assert (programs.harness.home("alice") / ".ssh" / "id_ed25519").read_bytes() == key
    assert "You already have first, thesis" in again.stdout


def test_user_setup_names_all_remaining_steps_after_a_refusal(programs: Programs) -> None:
    taken = programs.piped("container-deploy", "one", "--image", "any/image", "--gpus", "2", "--background")
    assert taken.returncode == 0, taken.stderr
    refused = programs.piped("user-setup", "first", "--quick", "--image", "any/image")
    assert refused.returncode == 3
    for left in ("`container-deploy first`", "After that: `vscode-setup`"):
        assert left in refused.stderr


def test_the_container_wizard_builds_one(programs: Programs) -> None:
    new = programs.at_terminal("container-create")
    shown = new.expect("Number [1]: ")
    choices = [line for line in shown.splitlines() if ") " in line]
    number = next(at for at, line in enumerate(choices, 1) if "build one" in line)
    new.type(f"{number}\r")
    answer(
        new,
        ("Name of the image:", "thesis"),
        *FRAMEWORK,
        ("Install Jupyter? [Y/n]:", "n"),
        ("Number [1]:", "2"),
        ("Number [1]:", "1"),
        ("More pip packages", ""),
        ("More apt packages", ""),
        ("Name of the container [thesis]:", ""),
        ("Number [1]:", "2"),
    )
    assert new.end() == 0
    assert programs.harness.record("alice", "thesis").image.endswith("/thesis")


def test_image_update_by_hand_keeps_what_was_typed_if_the_build_fails(programs: Programs) -> None:
    assert programs.piped("image-create", "thesis", "--framework", "pytorch").returncode == 0
    path = programs.harness.home("alice") / "dockerfiles" / "thesis.Dockerfile"
    before = path.read_text()
    editor = programs.harness.root / "editor"
    editor.write_text('#!/bin/sh\necho "RUN false" >>"$1"\n')
    editor.chmod(0o755)
    new = programs.at_terminal("image-update", EDITOR=str(editor))
    answer(new, ("Number [1]:", "1"), ("Edit it now? [Y/n]:", ""), ("Build it again? [Y/n]:", ""))
    shown = new.expect("Dockerfile.failed")
    assert new.end() == 1
    assert "RUN false" in shown
    assert path.read_text() == before
    assert path.with_name("thesis.Dockerfile.failed").read_text() == before + "RUN false\n"


def test_options_are_not_asked_and_non_numbers_are_asked_again(programs: Programs) -> None:
    new = programs.at_terminal("image-create", "thesis", "--no-jupyter")
    new.expect("Number [1]:")
    for wrong in ("Pytorch", "0", "99", "-1", "²"):
        new.type(f"{wrong}\r")
        new.expect("Enter a number from 1 to ")
        new.expect("Number [1]:")
    new.type("1\r")
    new.expect("Version [")
    new.type("\r")
    shown = new.expect("Phase 3/4")
    assert "as given" in shown and "Install Jupyter?" not in shown
    new.expect("Number [1]:")
    new.interrupt()
    assert new.end() == 130
    assert "\nError: interrupted" in new.seen
    assert not (programs.harness.home("alice") / "dockerfiles").exists()


def interrupted_at(programs: Programs, question: str, *pairs: tuple[str, str]) -> None:
    """user-setup that somebody leaves with Ctrl-C at a question."""
    new = programs.at_terminal("user-setup", "first", "--type", "cv")
    pairs = (("passphrase):", ""), ("again:", ""), *pairs)
    questions = iter(pairs)
    text, reply = next(questions)
    while True:
        shown = new.expect("Press Enter to continue …", question, text)
        if shown.endswith(question):
            break
        new.type("\r" if shown.endswith("…") else f"{reply}\r")
        if shown.endswith(text):
            text, reply = next(questions, (question, ""))
    new.interrupt()
    assert new.end() == 130


@pytest.mark.parametrize("question", ["Your name, for commits", "What should it be based on?", "And now?"])
def test_user_setup_continues_where_it_was_interrupted(question: str, programs: Programs) -> None:
    later = (("Enter: later)", ""),) * 3
    image = (*FRAMEWORK, *THE_OTHERS[:2], *THE_OTHERS[3:])  # the use case is known
    interrupted_at(programs, question, *later, *(image if question == "And now?" else ()))
    again = programs.piped("user-setup", "--quick")
    assert again.returncode == 0, again.stderr
    assert runs(programs, "first")
    requirements = (programs.harness.home("alice") / "dockerfiles" / "first.requirements.txt").read_text()
    assert "timm" in requirements, "the answer that was given before"
    assert programs.piped("user-setup", "--quick").stdout.count("was interrupted") == 0


def test_user_setup_asks_whether_to_continue(programs: Programs) -> None:
    interrupted_at(programs, "What should it be based on?", *((("Enter: later)", ""),) * 3))
    again = programs.at_terminal("user-setup")
    answer(
        again,
        *((("Press Enter to continue …", ""),) * 2),
        ("The setup of first was interrupted. Continue it? [Y/n]:", "n"),
    )
    again.expect("Begin another? [y/N]:")
    again.interrupt()
    assert again.end() == 130


def test_only_frameworks_for_these_gpus_are_offered(programs: Programs) -> None:
    for words in (("image-create", "thesis"), ("container-create",)):
        new = programs.at_terminal(*words)
        shown = new.expect("Number [1]:")
        assert "Pytorch" in shown and "ROCM" not in shown
        new.interrupt()
        assert new.end() == 130


def test_a_name_that_is_taken_is_asked_again(programs: Programs) -> None:
    assert programs.piped("image-create", "thesis", "--framework", "pytorch").returncode == 0
    assert programs.piped("container-create", "thesis", "--cpu-only").returncode == 0
    image = programs.at_terminal("image-create")
    answer(image, ("Name of the image:", "thesis"), ("there is already a Dockerfile for thesis", ""))
    image.expect("Name of the image:")
    container = programs.at_terminal("container-create", "--cpu-only")
    answer(container, ("Number [1]:", "1"), ("Name of the container [thesis]:", ""))
    container.expect("you already have a container thesis")
    answer(container, ("Name of the container [thesis]:", "other"))
    assert container.end() == 0
    assert programs.harness.record("alice", "other").state.value == "created"


def test_an_image_that_no_registry_has_is_asked_again(programs: Programs) -> None:
    new = programs.at_terminal("container-create", "--cpu-only")
    shown = new.expect("Number [1]:")
    new.type(f"{shown.count(') ')}\r")
    answer(new, ("Image:", "absent/typo"), ("Name of the container:", "small"))
    new.expect("absent/typo")
    answer(new, ("Image:", "debian:12"))
    assert new.end() == 0
    assert programs.harness.record("alice", "small").image == "debian:12"


def test_a_base_image_that_no_registry_has_is_asked_again(programs: Programs) -> None:
    new = programs.at_terminal("image-create", "thesis")
    shown = new.expect("Number [1]:")
    new.type(f"{shown.count(') ')}\r")
    answer(new, ("Image:", "absent/typo"), *THE_OTHERS)
    new.expect("absent/typo")
    answer(new, ("Image:", "debian:12"), ("Create a container from it now?", "n"))
    assert new.end() == 0
    assert "FROM debian:12" in (programs.harness.home("alice") / "dockerfiles" / "thesis.Dockerfile").read_text()


@pytest.mark.parametrize(("reply", "slots"), [("1", 0), ("2", 1)])
def test_a_refused_number_of_gpus_can_be_chosen_again(reply: str, slots: int, programs: Programs) -> None:
    assert programs.piped("container-create", "one", "--image", "any/image").returncode == 0
    new = programs.at_terminal("container-create", "--image", "any/image")
    answer(new, ("Name of the container:", "two"), ("Number [1]:", "1"), ("How many GPUs? [1]:", "2"))
    shown = new.expect("How do you want to continue?")
    assert "max_mig_instances" in shown
    answer(new, ("Number [1]:", reply))
    assert new.end() == 0
    lease = programs.harness.record("alice", "two").lease
    assert len(lease.slots if lease else ()) == slots


def test_project_init_offers_what_is_possible_before_it_builds(programs: Programs) -> None:
    assert programs.piped("container-create", "one", "--image", "any/image", "--gpus", "2").returncode == 0
    new = programs.at_terminal(
        "project-init", "birds", "--type", "cv", "--image", "any/image", "--description", "Birds"
    )
    shown = new.expect("How do you want to continue?")
    assert "Step 1" not in shown and "max_mig_instances" in shown
    answer(new, ("Number [1]:", "2"), ("Enter: later)", ""), ("Enter: later)", ""))
    new.expect("birds is ready")
    assert new.end() == 0
    assert "birds" not in [record.name for record in programs.harness.records()]


def test_a_dockerfile_that_cannot_be_built_can_be_edited_again(programs: Programs) -> None:
    assert programs.piped("image-create", "thesis", "--framework", "pytorch").returncode == 0
    path = programs.harness.home("alice") / "dockerfiles" / "thesis.Dockerfile"
    before = path.read_text()
    editor = programs.harness.root / "editor"
    # The first time it adds what only BuildKit knows, the second time it takes that out.
    editor.write_text('#!/bin/sh\nif grep -q mount "$1"; then sed -i /mount/d "$1"; echo "RUN true" >>"$1"; '
                      'else echo "RUN --mount=type=cache true" >>"$1"; fi\n')  # fmt: skip
    editor.chmod(0o755)
    new = programs.at_terminal("image-update", "thesis", EDITOR=str(editor))
    answer(new, ("Edit it now? [Y/n]:", ""), ("Edit it again? [Y/n]:", ""), ("Build it again? [Y/n]:", ""))
    assert new.end() == 0
    assert path.read_text() == before + "RUN true\n"


def test_image_update_asks_about_containers_only_if_the_image_changed(programs: Programs) -> None:
    assert programs.piped("image-create", "thesis", "--framework", "pytorch").returncode == 0
    assert programs.piped("container-create", "thesis", "--cpu-only").returncode == 0
    new = programs.at_terminal("image-update", "thesis")
    shown = answer(new, ("Edit it now? [Y/n]:", "n"))
    assert new.end() == 0
    assert "again? Programs" not in shown + new.seen and "nothing to build" in new.seen
