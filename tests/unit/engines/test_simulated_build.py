"""What a simulated build has beyond the contract: pip's failures on order, and what it makes of a Dockerfile."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from ds01.engines.protocol import BuildSpec, Engine, Progress
from ds01.engines.simulated.dockerfile import DockerfileError, expand_variables, parse_dockerfile, parse_pairs
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.errors import EngineRejected, EngineUnreachable
from tests.build_contexts import tar_pieces

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
REFERENCE = "ds01-70001/thesis:latest"


@pytest.fixture
def engine(tmp_path: Path) -> SimulatedEngine:
    engine = SimulatedEngine(tmp_path / "simulated-engine.json", clock=lambda: START)
    _: Engine = engine  # the type checker compares it with the protocol
    return engine


def build(engine: SimulatedEngine, *lines: str, base: str = "python:3.11", **files: str) -> list[Progress]:
    context = {"Dockerfile": "\n".join((f"FROM {base}", *lines))}
    context |= {name.replace("_", "."): content for name, content in files.items()}
    return list(engine.build(BuildSpec(REFERENCE), tar_pieces(context)))


@pytest.mark.parametrize(
    ("copy", "install"),
    [
        ("COPY requirements.txt /tmp/requirements.txt", "pip install --no-cache-dir -r /tmp/requirements.txt"),
        ("COPY requirements.txt /tmp/", "python -m pip install -r /tmp/requirements.txt"),
        ("COPY requirements.txt /opt/wanted", "pip3 install --requirement /opt/wanted"),
        ("COPY . /opt", "cd /opt && pip install --requirement=requirements.txt && rm -r /opt"),
        ('COPY ["requirements.txt", "/tmp/r"]', '["pip", "install", "-r", "/tmp/r"]'),
        ("ADD requirements.txt /tmp/r", 'bash -c "pip install -r /tmp/r"'),
        ("WORKDIR /w", "pip install 'no-such-package-x>=2.0' numpy"),
    ],
)
def test_a_project_that_is_not_there_fails_as_with_pip(engine: SimulatedEngine, copy: str, install: str) -> None:
    build(engine, copy, f"RUN {install.replace('no-such-package-x', 'pandas')}", requirements_txt="pandas>=2.0\n")
    before = engine.image(REFERENCE)
    with pytest.raises(EngineRejected) as caught:
        build(engine, copy, f"RUN {install}", requirements_txt="numpy\nno-such-package-x>=2.0 ; python_version > '3'\n")
    assert caught.value.data is not None
    assert (caught.value.data["problem"], caught.value.data["exit_code"]) == ("build", 1)
    assert "ERROR: No matching distribution found for no-such-package-x" in (caught.value.why or "")
    assert engine.image(REFERENCE) == before is not None


def test_a_requirement_counts_only_where_pip_reads_it(engine: SimulatedEngine) -> None:
    build(engine, "COPY requirements.txt /tmp/r", "RUN pip install -r /tmp/other", requirements_txt="no-such-package")
    build(engine, "COPY requirements.txt /tmp/r", "RUN cat /tmp/r", requirements_txt="no-such-package")
    build(engine, "COPY requirements.txt /tmp/r", "RUN pip install -r /tmp/r", requirements_txt="# no-such-package")


def test_what_a_failing_step_wrote_was_told_before(engine: SimulatedEngine) -> None:
    steps = engine.build(BuildSpec(REFERENCE), tar_pieces({"Dockerfile": "FROM a\nRUN pip install no-such-package\n"}))
    told: list[str] = []
    with pytest.raises(EngineRejected):
        told.extend(step.text for step in steps)
    with pytest.raises(EngineRejected):
        for step in engine.build(
            BuildSpec(REFERENCE), tar_pieces({"Dockerfile": "FROM a\nRUN echo a; echo b; exit 1\n"})
        ):
            told.append(step.text)
    assert told[-2:] == ["a", "b"]


def test_an_image_has_what_its_base_has(engine: SimulatedEngine) -> None:
    build(engine, "ENV NVIDIA_VISIBLE_DEVICES=void", base="labelled/cuda-ubuntu:1")
    image = engine.image(REFERENCE)
    assert image is not None and image.created_at == START
    assert image.environment["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert image.environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    assert "org.example.authors" in image.labels


def test_a_base_that_is_elsewhere_is_fetched(engine: SimulatedEngine) -> None:
    steps = build(engine, "ENV A=1", base="remote/x:1")
    assert any(step.step == "simulated" and step.total == 1_000_000 for step in steps)
    assert engine.image("remote/x:1") is not None and engine.image(REFERENCE) is not None


def test_an_image_of_somebodys_own_may_be_a_base(engine: SimulatedEngine) -> None:
    build(engine, "ENV A=1", "LABEL a=1")
    other = "ds01-70001/other:latest"
    list(engine.build(BuildSpec(other), tar_pieces({"Dockerfile": "FROM ds01-70001/thesis\nENV B=2\n"})))
    image = engine.image(other)
    assert image is not None and image.environment["A"] == "1" and image.environment["B"] == "2"
    assert image.labels == {"a": "1"}


def test_an_engine_that_does_not_answer_builds_nothing(engine: SimulatedEngine) -> None:
    engine.set_answering(False)
    with pytest.raises(EngineUnreachable):
        build(engine, "ENV A=1")


def test_a_state_from_before_builds_were_known_is_read(engine: SimulatedEngine) -> None:
    with engine.change() as state:
        state.pop("built", None)
    assert engine.image("python:3.11") is not None
    build(engine, "ENV A=1")
    assert engine.image(REFERENCE) is not None


def test_lines_are_joined_and_comments_left_out() -> None:
    text = "# syntax=docker/dockerfile:1\nFROM a\n\nRUN one && \\\n  # why\n\n  two\nenv A=1\n"
    assert [one.text for one in parse_dockerfile(text, "Dockerfile")] == ["FROM a", "RUN one && two", "ENV A=1"]


def test_an_argument_may_stand_before_the_base(engine: SimulatedEngine) -> None:
    lines = "ARG BASE=labelled/x\nFROM ${BASE}:1\nENV A=1\n"
    list(engine.build(BuildSpec(REFERENCE), tar_pieces({"Dockerfile": lines})))
    image = engine.image(REFERENCE)
    assert image is not None and "org.example.authors" in image.labels


@pytest.mark.parametrize("text", ["", "\n", "# only\n", "RUN x\n", "FROM\n", "FROM a b c d\n", "FORM a\n"])
def test_what_is_no_dockerfile(text: str) -> None:
    with pytest.raises(DockerfileError):
        parse_dockerfile(text, "Dockerfile")


def test_pairs_in_both_forms_and_variables() -> None:
    assert parse_pairs("A=1 B=\"x y\" C='$z'") == {"A": "1", "B": "x y", "C": "$z"}
    assert parse_pairs("A hello context") == {"A": "hello context"}
    variables = {"A": "1"}
    assert [expand_variables(text, variables) for text in ("$A", "${A}x", "${B:-d}", "$B", "\\$A")] == [
        "1",
        "1x",
        "d",
        "",
        "$A",
    ]
