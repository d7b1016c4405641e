"""The Dockerfiles that ds01 writes: their content, and later changes.

The golden files in `golden/` are what people get; `DS01_GOLDEN=write pytest tests/unit/images/test_dockerfile.py`
writes them anew, for the difference to be read.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ds01.errors import UsageError
from ds01.images.catalogue import find_entry, load_catalogue
from ds01.images.context import copied_paths
from ds01.images.dockerfile import (
    SourceTexts,
    add_extra_step,
    add_requirements_step,
    add_system_packages,
    base_image,
    render_sources,
    system_packages,
)
from ds01.images.instructions import parse_instructions
from ds01.images.packages import find_use_case
from ds01.images.requirements import Requirements, read_requirements
from ds01.system.settings import config_file
from tests.unit.images.plans import BARE, SETS, plan

GOLDEN = Path(__file__).parent / "golden"
CATALOGUE = load_catalogue(config_file("images.yaml"), ())


def golden() -> dict[str, dict[str, Any]]:
    """Each framework in its newest version without a use case, and one framework with each use case."""
    cases: dict[str, dict[str, Any]] = {}
    for framework in CATALOGUE.frameworks:
        entry = find_entry(CATALOGUE, framework)
        provides = CATALOGUE.provides_of(framework)
        cases[framework.lower()] = {"base": entry.image, "framework": entry.label, "provides": provides}
    for one in SETS.use_cases:
        cases[f"pytorch-{one.key}"] = {"use_case": one}
    cases["other-base"] = {"base": "debian:12", "framework": None, "provides": (), "system": ("python3-pip",)}
    cases["bare"] = BARE
    cases["everything"] = {
        "use_case": find_use_case(SETS, "nlp"),
        "packages": ("pandas>=2.0,<3", "transformers[torch]~=4.40", 'tomli; python_version < "3.11"'),
        "extra": read_requirements(
            "-i https://h/simple\n-c c.txt\nname @ git+https://h/o/r@v1\n", {"c.txt": "scipy<2"}.get
        ),
        "system": ("ffmpeg", "libgl1=1.7.0-1"),
    }
    return cases


@pytest.mark.parametrize("case", golden())
def test_sources_equal_the_golden_files(case: str) -> None:
    sources = render_sources(plan(name=case, **golden()[case]))
    texts = {
        f"{case}.Dockerfile": sources.dockerfile,
        f"{case}.requirements.txt": sources.requirements,
        **sources.files,
    }
    for name, text in texts.items():
        path = GOLDEN / name
        if text is None:
            assert not path.exists()
            continue
        if os.environ.get("DS01_GOLDEN") == "write":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text


def test_every_golden_file_has_a_case() -> None:
    assert {path.name.partition(".")[0] for path in GOLDEN.iterdir()} == set(golden())


def words(sources: SourceTexts) -> list[str]:
    return [one.word for one in parse_instructions(sources.dockerfile)]


def steps(sources: SourceTexts) -> list[str]:
    return [one.rest for one in parse_instructions(sources.dockerfile) if one.word == "RUN"]


def required(sources: SourceTexts) -> tuple[str, ...]:
    return read_requirements(sources.requirements or "", {"thesis.constraints.txt": ""}.get).lines


def test_empty_steps_are_left_out() -> None:
    bare = render_sources(plan(**BARE))
    assert bare.requirements is None and not bare.files
    assert "COPY" not in words(bare) and len(steps(bare)) == 1
    assert not any("jupyter" in step or "pip" in step for step in steps(bare))
    only_there = render_sources(plan(jupyter=False, base_packages=("numpy", "torch")))
    assert only_there.requirements is None and "COPY" not in words(only_there)


def test_the_build_and_the_image_see_no_gpus_by_themselves() -> None:
    found = parse_instructions(render_sources(plan()).dockerfile)
    first_step = next(number for number, one in enumerate(found) if one.word == "RUN")
    assert ("ENV", "NVIDIA_VISIBLE_DEVICES=void") in [(one.word, one.rest) for one in found[:first_step]]


def test_jupyter_kernel_has_the_image_name() -> None:
    configuration, kernel = steps(render_sources(plan()))[-2:]
    command = json.loads(kernel)
    assert command[command.index("--name") + 1] == "thesis" and "--user" not in command
    assert command[-1] == "thesis (Pytorch-2.5.1-plain)"
    settings = json.loads(configuration.partition("'")[2].partition("'")[0])["ServerApp"]
    assert settings == {"ip": "0.0.0.0", "open_browser": False}
    assert "/root" not in render_sources(plan()).dockerfile


def test_provided_packages_are_omitted_with_a_comment() -> None:
    sources = render_sources(plan(use_case=find_use_case(SETS, "cv")))
    lines = required(sources)
    assert "numpy" not in lines and "torchvision" not in lines and "pandas" in lines
    assert "has numpy already" in (sources.requirements or "")


def test_user_requirements_override_sets() -> None:
    extra = Requirements(("SciPy<1.14", "torch"))
    sources = render_sources(
        plan(use_case=find_use_case(SETS, "rl"), packages=("Pandas>=2.0,<3", "numpy", "numpy<2"), extra=extra)
    )
    lines = required(sources)
    assert lines[-5:] == ("Pandas>=2.0,<3", "numpy", "numpy<2", "SciPy<1.14", "torch")
    assert "pandas" not in lines and "scipy" not in lines
    assert lines.count("tensorboard") == 1  # of two sets


def test_constraints_are_copied_with_requirements() -> None:
    sources = render_sources(plan(extra=Requirements(("pandas",), ("scipy<2", "numpy<2"))))
    assert sources.files == {"thesis.constraints.txt": "scipy<2\nnumpy<2\n"}
    assert "-c thesis.constraints.txt\n" in (sources.requirements or "")
    (pattern,) = copied_paths(sources.dockerfile)
    assert all(Path(name).match(pattern) for name in ("thesis.requirements.txt", "thesis.constraints.txt"))
    assert not Path("thesis.Dockerfile").match(pattern) and not Path("thesis2.requirements.txt").match(pattern)


OPTIONS = ("-i https://h/simple", "--extra-index-url https://h", "--pre", "--no-index", "numpy==2 --hash=sha256:aa")


@pytest.mark.parametrize("line", OPTIONS)
def test_options_of_the_users_file_apply_to_its_step_only(line: str) -> None:
    extra = read_requirements(f"{line}\nrich\n-c c.txt", {"c.txt": "scipy<2"}.get)
    sources = render_sources(plan(extra=extra))
    assert sources.files["thesis.extra.txt"].splitlines()[1:] == ["-c thesis.constraints.txt", *extra.lines]
    assert not {"rich", line, "-c thesis.constraints.txt"}.intersection((sources.requirements or "").splitlines())
    installs = [step for step in steps(sources) if "pip install" in step]
    assert [("thesis.requirements.txt" in step, "thesis.extra.txt" in step) for step in installs] == [
        (True, False),
        (False, True),
    ]
    assert render_sources(plan(extra=extra, **BARE)).requirements is None


def test_no_isolation_installs_in_a_separate_step() -> None:
    sources = render_sources(plan(packages=("flash-attn",), isolated=False))
    assert "flash-attn" in sources.files["thesis.extra.txt"] and "flash-attn" not in (sources.requirements or "")
    isolated = ["--no-build-isolation" not in step for step in steps(sources) if "pip install" in step]
    assert isolated == [True, False]


def test_the_step_is_added_once_and_can_lose_its_isolation() -> None:
    once = add_extra_step(render_sources(plan()).dockerfile, "thesis")
    assert once.count("thesis.extra.txt") == 1 and once.index("thesis.extra.txt") < once.index("CMD")
    assert add_extra_step(once, "thesis") == once
    twice = add_extra_step(once, "thesis", isolated=False)
    assert twice.count("pip install --no-build-isolation --no-cache-dir -r /tmp/ds01/thesis.extra.txt") == 1
    assert add_extra_step(twice, "thesis", isolated=False) == twice


@pytest.mark.parametrize(
    ("login", "quoted"),
    [("a.b@c", "a.b@c"), ('a"b', r"a\"b"), ("a\\", r"a\\"), ("$HOME", r"\$HOME"), ("ü ${x:-'y'}", r"ü \${x:-'y'}")],
)
def test_label_is_quoted_for_docker(login: str, quoted: str) -> None:
    assert f'LABEL maintainer="{quoted}" \\' in render_sources(plan(login=login)).dockerfile.splitlines()


@pytest.mark.parametrize("number", [0, 1])
def test_base_without_apt_or_python_fails_with_a_message(number: int) -> None:
    step = steps(render_sources(plan(jupyter=False)))[number]
    done = subprocess.run(
        ["/bin/sh", "-c", step], env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ds01: the base image has no ")
    assert not done.stdout


def test_apt_packages_are_installed_once() -> None:
    sources = render_sources(plan(use_case=find_use_case(SETS, "audio"), system=("ffmpeg", "git", "curl=8.5")))
    assert system_packages(sources.dockerfile) == ("git", "curl=8.5", "wget", "vim", "htop", "ffmpeg")
    step = steps(sources)[0]
    assert step.split("--no-install-recommends")[1].split("&&")[0].split() == [*system_packages(sources.dockerfile)]


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("FROM a/b:1\nRUN x", "a/b:1"), ("# c\nARG X=1\nfrom --platform=linux/amd64 a AS b\nFROM c", "a"),
        ("FROM $X", None), ("FROM", None), ("RUN x", None), ("", None), ("FROM \\\n  a", "a"),
    ],
)  # fmt: skip
def test_the_base_of_a_dockerfile(text: str, base: str | None) -> None:
    assert base_image(text) == base


def test_base_of_a_generated_dockerfile_is_the_plans() -> None:
    assert base_image(render_sources(plan()).dockerfile) == plan().base


def test_apt_packages_are_added_between_the_marks() -> None:
    before = render_sources(plan()).dockerfile
    after = add_system_packages(before, ["ffmpeg", "git=2.40", "ffmpeg"])
    assert system_packages(after) == ("git=2.40", "curl", "wget", "vim", "htop", "ffmpeg")
    others = [[one for one in parse_instructions(text) if "apt-get" not in one.rest] for text in (before, after)]
    assert [(one.word, one.rest) for one in others[0]] == [(one.word, one.rest) for one in others[1]]
    assert add_system_packages(after, []) == after


def test_dockerfile_without_ds01_block_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        add_system_packages("FROM a\nRUN apt-get install -y git\n", ["ffmpeg"])
    assert caught.value.hint
    assert system_packages("FROM a\n") == ()


@pytest.mark.parametrize(
    "package", ["", "a", "-y", "git;x", "git curl", "git\nRUN", "Git", "git=", "git=1 2", "$(x)", "git\\"]
)
def test_invalid_apt_package_is_refused(package: str) -> None:
    with pytest.raises(UsageError):
        render_sources(plan(system=(package,)))
    with pytest.raises(UsageError):
        add_system_packages(render_sources(plan()).dockerfile, [package])


def test_step_for_pip_can_be_added_later() -> None:
    bare = render_sources(plan(**BARE)).dockerfile
    after = add_requirements_step(bare, "thesis")
    found = [(one.word, one.rest) for one in parse_instructions(after)]
    assert found[-1] == ("CMD", '["/bin/bash"]')
    assert found[:-3] == [(one.word, one.rest) for one in parse_instructions(bare)][:-1]
    assert found[-3] == ("COPY", "thesis.*.txt /tmp/ds01/") and "pip install" in found[-2][1]
    alone = add_requirements_step("FROM a AS b\nCMD x\nFROM c\n", "thesis")
    assert [one.word for one in parse_instructions(alone)] == ["FROM", "CMD", "FROM", "COPY", "RUN"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "A"}, {"name": "../x"}, {"name": "a\nRUN x"}, {"base": "a b"}, {"base": "a\nRUN x"}, {"base": "$X"},
        {"login": "a\nRUN x"}, {"framework": "a\u2028b"}, {"ds01_version": "1\n2"}, {"packages": ("a\nb",)},
        {"packages": ("--index-url https://h",)}, {"base_packages": ("./x",)},
    ],
)  # fmt: skip
def test_invalid_values_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        render_sources(plan(**wrong))
