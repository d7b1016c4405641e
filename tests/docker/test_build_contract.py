"""How every engine builds and removes images: the same tests run against the simulated one and a real Docker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ds01.engines.protocol import BuildSpec, Engine, Progress
from ds01.errors import Ds01Error, EngineConflict, EngineNotFound, EngineRejected
from tests.build_contexts import BUILD_LABEL, tar_pieces
from tests.wait import wait_until

Build = Callable[..., list[Progress]]
Make = Callable[..., str]


@pytest.fixture
def build(engine: Engine, reference: str, image: str) -> Build:
    """Builds `reference` from a Dockerfile's lines after `FROM` and a label, and files; its progress."""

    def run(*lines: str, files: dict[str, str] | None = None, **more: Any) -> list[Progress]:
        dockerfile = "\n".join((f"FROM {image}", f"LABEL {BUILD_LABEL}", *lines))
        context = tar_pieces({more.get("dockerfile", "Dockerfile"): dockerfile, **(files or {})})
        return list(engine.build(BuildSpec(reference, **more), context))

    return run


def build_of(engine: Engine, reference: str, files: dict[str, str], **more: Any) -> list[Progress]:
    return list(engine.build(BuildSpec(reference, **more), tar_pieces(files)))


def id_of(engine: Engine, reference: str) -> str | None:
    found = engine.image(reference)
    return None if found is None else found.id


def test_a_build_makes_an_image_with_labels_and_environment(
    engine: Engine, build: Build, reference: str, image: str
) -> None:
    steps = build(
        'LABEL own="x y" \\\n # in between\n  other=z',
        'ENV GREETING="hello context" PATH=/opt/bin:$PATH',
        "COPY note.txt /opt/",
        "RUN echo made",
        files={"note.txt": "hello\n"},
        labels={"ds01.framework": 'a "b", c'},
    )
    found, base = engine.image(reference), engine.image(image)
    assert found is not None and base is not None and found.tags == (reference,)
    assert steps[-1].step == "built" and steps[-1].text == found.id
    assert found.labels["own"] == "x y" and found.labels["other"] == "z"
    assert found.labels["ds01.framework"] == 'a "b", c' and base.labels.items() <= found.labels.items()
    assert found.environment["GREETING"] == "hello context"
    assert found.environment["PATH"] == f"/opt/bin:{base.environment['PATH']}"
    assert "GREETING" not in base.environment and "own" not in base.labels


def test_progress_names_each_step_with_its_number(build: Build, image: str) -> None:
    steps = build("RUN echo made && \\\n    echo more", "ENV A=1")
    begun = [step for step in steps if not step.text]
    assert [(step.current, step.total) for step in begun] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert begun[0].step == f"1/4 FROM {image}" and begun[3].step == "4/4 ENV A=1"
    assert begun[2].step == "3/4 RUN echo made && echo more"
    assert [step.text for step in steps if step.step == begun[2].step] == ["", "made", "more"]


def test_a_list_of_images_says_when_it_was_made_and_its_size(engine: Engine, build: Build, reference: str) -> None:
    build("RUN echo listed")
    (listed,) = [one for one in engine.images() if reference in one.tags]
    assert listed.size_bytes is not None and listed.size_bytes > 0
    assert listed.created_at is not None and abs(listed.created_at.timestamp() - time.time()) < 60
    assert listed.labels["inherited" if "inherited" in listed.labels else "org.example.authors"]


@pytest.mark.parametrize(
    ("command", "code"),
    [("false", 1), ("exit 7", 7), ("sh -c 'exit 4'", 4), ('["sh", "-c", "exit 5"]', 5), ("true && false", 1),
     ("false || { exit 6; } && true", 6), ("(exit 8)", 8), ("{ exit 9; }; true", 9)],
)  # fmt: skip
def test_failing_step_is_named_and_image_stays(
    engine: Engine, build: Build, reference: str, command: str, code: int
) -> None:
    build("ENV A=before")
    before = id_of(engine, reference)
    with pytest.raises(EngineRejected) as caught:
        build("ENV A=after", f"RUN {command}", "ENV B=1")
    assert caught.value.data == {"problem": "build", "step": f"4/5 RUN {command}", "exit_code": code}
    assert "4/5 RUN" in caught.value.message and f"{code}" in (caught.value.why or "")
    assert id_of(engine, reference) == before is not None


def test_a_failing_step_leaves_no_container(engine: Engine, build: Build, reference: str) -> None:
    with pytest.raises(EngineRejected):
        build(f"LABEL failed={reference}", "RUN false")
    assert not [one for one in engine.containers() if one.labels.get("failed") == reference]


def test_the_last_words_of_a_failing_step_are_why(build: Build) -> None:
    with pytest.raises(EngineRejected) as caught:
        build("RUN echo all well; echo something is wrong >&2; exit 2")
    assert "something is wrong" in (caught.value.why or "") and "all well" not in (caught.value.why or "")


def test_what_comes_after_an_or_or_a_semicolon_decides(engine: Engine, build: Build, reference: str) -> None:
    build("RUN false || true", "RUN false; true", "RUN echo 'a; exit 3'", "RUN (exit 3); true", "RUN { false; true; }")
    assert id_of(engine, reference)
    steps = build("RUN true || { echo missing >&2; exit 1; } && echo here && { echo one; echo two; }")
    assert [step.text for step in steps if step.current == 3 and step.text] == ["here", "one", "two"]


def test_closing_leaves_no_image_and_no_running_container(engine: Engine, reference: str, image: str) -> None:
    lines = (f"FROM {image}", f"LABEL {BUILD_LABEL} cancelled={reference}", "RUN echo begun; sleep 300")
    steps = engine.build(BuildSpec(reference), tar_pieces({"Dockerfile": "\n".join(lines)}))
    assert "begun" in [step.text for step in _until(steps, "begun")]
    steps.close()
    wait_until(lambda: not [one for one in engine.containers() if one.labels.get("cancelled") == reference])
    assert engine.image(reference) is None


def _until(steps: Iterator[Progress], text: str) -> Iterator[Progress]:
    for step in steps:
        yield step
        if step.text == text:
            return


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("COPY missing.txt /x", "stat missing.txt: file does not exist"),
        ("COPY note.txt missing.txt /x/", "stat missing.txt: file does not exist"),
        ("COPY miss* /x/", "no source files were specified"),
        ("ADD missing.txt /x", "ADD failed"),
    ],
)
def test_a_missing_file_fails_its_step(engine: Engine, build: Build, reference: str, line: str, why: str) -> None:
    with pytest.raises(EngineRejected) as caught:
        build(line, files={"note.txt": "x"})
    assert caught.value.data == {"problem": "build", "step": f"3/3 {line}", "exit_code": None}
    assert why in (caught.value.why or "")
    assert engine.image(reference) is None


def test_a_dockerfile_may_lie_elsewhere_in_the_context(engine: Engine, build: Build, reference: str) -> None:
    build(
        "COPY folder /x", "COPY *.txt /y/",
        dockerfile="folder/mine.Dockerfile", files={"folder/a.txt": "1", "b.txt": "2"},
    )  # fmt: skip
    assert id_of(engine, reference)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "Cannot locate specified Dockerfile: Dockerfile"),
        ({"Dockerfile.txt": "FROM x"}, "Cannot locate specified Dockerfile: Dockerfile"),
        ({"Dockerfile": ""}, "the Dockerfile (Dockerfile) cannot be empty"),
        ({"Dockerfile": "# nothing\n"}, "failed to parse Dockerfile: file with no instructions"),
        ({"Dockerfile": "RUN true\n"}, "no build stage in current context"),
        ({"Dockerfile": "FROM scratch\n\nINSTALL numpy\n"}, "parse error line 3: unknown instruction: INSTALL"),
        ({"Dockerfile": "FROM a b\n"}, "FROM requires either one or three arguments"),
    ],
    ids=str,
)
def test_what_is_no_dockerfile_is_rejected(engine: Engine, reference: str, files: dict[str, str], why: str) -> None:
    with pytest.raises(EngineRejected) as caught:
        build_of(engine, reference, files)
    assert why in (caught.value.why or "")
    assert caught.value.data == {"problem": "build", "step": None, "exit_code": None}
    assert engine.image(reference) is None


def test_what_only_another_builder_knows_is_rejected(build: Build) -> None:
    with pytest.raises(EngineRejected) as caught:
        build("RUN --mount=type=cache,target=/x echo a")
    assert "requires BuildKit" in (caught.value.why or "")


@pytest.mark.parametrize("base", ["absent/image:1", "ds01-1001/never-built", "Upper"])
def test_a_base_that_cannot_be_had_is_told_as_by_a_pull(engine: Engine, reference: str, base: str) -> None:
    with pytest.raises(Ds01Error) as caught:
        build_of(engine, reference, {"Dockerfile": f"FROM {base}\n"})
    assert isinstance(caught.value, (EngineNotFound, EngineRejected))
    assert base in caught.value.message and caught.value.why
    assert engine.image(reference) is None


def test_no_name_of_an_image_is_rejected(engine: Engine, image: str) -> None:
    with pytest.raises(EngineRejected):
        build_of(engine, "Upper/case", {"Dockerfile": f"FROM {image}\n"})


def test_files_that_cannot_be_read_are_said_so(engine: Engine, reference: str) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise OSError("the disk went away")

    with pytest.raises(EngineRejected) as caught:
        list(engine.build(BuildSpec(reference), broken()))
    assert "the disk went away" in (caught.value.why or "")


def test_what_is_no_archive_is_rejected(engine: Engine, reference: str) -> None:
    with pytest.raises(EngineRejected):
        list(engine.build(BuildSpec(reference), [b"no archive" * 200]))


def test_the_same_again_is_the_same_image_unless_without_cache(engine: Engine, build: Build, reference: str) -> None:
    build("COPY note.txt /x", "RUN echo same", files={"note.txt": "a"})
    first = id_of(engine, reference)
    build("COPY note.txt /x", "RUN echo same", files={"note.txt": "a"})
    assert id_of(engine, reference) == first
    build("COPY note.txt /x", "RUN echo same", files={"note.txt": "b"})
    second = id_of(engine, reference)
    assert second != first
    build("COPY note.txt /x", "RUN echo same", files={"note.txt": "b"}, no_cache=True)
    assert id_of(engine, reference) not in (first, second)


def test_a_stage_of_its_own_does_not_stand_in_the_image(
    engine: Engine, build: Build, reference: str, image: str
) -> None:
    build("ENV EARLY=1", f"FROM {image} AS second", f"LABEL {BUILD_LABEL}", "COPY --from=0 /bin/sh /x", "ENV LATE=1")
    found = engine.image(reference)
    assert found is not None and found.environment["LATE"] == "1" and "EARLY" not in found.environment


def test_an_image_may_be_made_from_nothing(engine: Engine, reference: str) -> None:
    build_of(engine, reference, {"Dockerfile": f"FROM scratch\nLABEL {BUILD_LABEL} a=b\nCOPY f /f\n", "f": "x"})
    found = engine.image(reference)
    assert found is not None and found.labels["a"] == "b" and list(found.environment) == ["PATH"]


def test_a_container_has_what_the_build_gave_its_image(
    engine: Engine, build: Build, reference: str, make: Make
) -> None:
    build("ENV GREETING=hello", 'LABEL own="x"')
    container = make(image=reference)
    seen = engine.inspect(container)
    assert seen is not None and seen.spec is not None
    assert seen.labels["own"] == "x" and seen.spec.environment["GREETING"] == "hello"
    (listed,) = [one for one in engine.containers() if one.id == container]
    assert listed.image_id == seen.image_id == id_of(engine, reference)
    assert engine.get_archive(container, "/bin/sh") is not None


def test_an_image_in_use_cannot_be_removed(engine: Engine, build: Build, reference: str, make: Make) -> None:
    build("ENV A=used")
    container = make(image=reference)
    with pytest.raises(EngineConflict):
        engine.remove_image(reference)
    assert engine.image(reference) is not None
    engine.remove(container)
    engine.remove_image(reference)
    assert engine.image(reference) is None
    assert reference not in [tag for one in engine.images() for tag in one.tags]
    with pytest.raises(EngineNotFound):
        engine.remove_image(reference)


def test_removing_one_of_two_tags_leaves_the_image(engine: Engine, build: Build, reference: str, make: Make) -> None:
    build("ENV A=twice")
    other = reference.replace(":latest", ":other")
    engine.tag(reference, other)
    try:
        make(image=other)
        engine.remove_image(reference)  # a container uses the image, but this is not its last tag
        assert engine.image(reference) is None and engine.image(other) is not None
    finally:
        engine.untag(other)


def test_an_image_that_lost_its_tag_is_removed_by_its_id(
    engine: Engine, build: Build, reference: str, make: Make
) -> None:
    build("ENV A=old")
    old = id_of(engine, reference)
    assert old is not None
    container = make(image=reference)
    build("ENV A=new")
    with pytest.raises(EngineConflict):
        engine.remove_image(old)
    engine.remove(container)
    lost = engine.image(old)
    assert lost is not None and lost.tags == ()
    engine.remove_image(old)
    assert engine.image(old) is None and engine.image(reference) is not None
    with pytest.raises(EngineNotFound):
        engine.remove_image(old)


@pytest.mark.parametrize("reference", ["Upper/case", "a b", ""])
def test_what_is_no_image_name_cannot_be_removed(engine: Engine, reference: str) -> None:
    with pytest.raises(EngineRejected):
        engine.remove_image(reference)


def test_a_removed_image_leaves_nothing_of_its_steps(engine: Engine, build: Build, reference: str) -> None:
    lines = (f"ENV A={reference}", "RUN echo again", "ENV B=1")
    build(*lines)
    first = id_of(engine, reference)
    engine.remove_image(reference)
    again = build(*lines)
    assert id_of(engine, reference) not in (None, first)
    assert not [step for step in again if step.text == "Using cache" and (step.current or 0) > 2]


def test_build_proxies_stay_out_of_the_image(engine: Engine, build: Build, reference: str) -> None:
    build("ARG HTTP_PROXY", "LABEL seen=$HTTP_PROXY", arguments={"HTTP_PROXY": "http://proxy:3128"})
    found = engine.image(reference)
    assert found is not None and found.labels["seen"] == "http://proxy:3128" and "HTTP_PROXY" not in found.environment
