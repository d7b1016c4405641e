"""The shipped sets of packages are valid, and use cases are found by key, title and alias."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds01.errors import Ds01Error, NotFound
from ds01.images.packages import PackageSet, find_use_case, load_package_sets
from ds01.system.settings import config_file

SETS = load_package_sets(config_file("packages.yaml"))
ALL = (SETS.jupyter, SETS.base, *SETS.use_cases)


def test_use_cases_are_the_documented_ones() -> None:
    assert [one.key for one in SETS.use_cases] == ["ml", "cv", "nlp", "rl", "audio", "timeseries", "llm"]


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.key)
def test_every_shipped_set_is_valid(one: PackageSet) -> None:
    assert one.requirements and one.title and one.summary
    names = [canonicalize_name(Requirement(requirement).name) for requirement in one.requirements]
    assert len(names) == len(set(names))


def test_jupyter_set_has_what_jupyter_needs() -> None:
    assert {"jupyterlab", "ipykernel"} <= set(SETS.jupyter.requirements)


def test_every_shipped_apt_package_has_a_valid_name() -> None:
    for package in (*SETS.system, *(package for one in SETS.use_cases for package in one.system)):
        assert re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package)


def test_no_name_means_two_use_cases() -> None:
    names = [name for one in SETS.use_cases for name in (one.key, one.title.casefold(), *one.aliases)]
    # A title may be the key in capitals.
    doubled = {name for name in names if names.count(name) > 1}
    assert doubled <= {one.key for one in SETS.use_cases if one.title.casefold() == one.key}
    assert all(name == name.casefold() for name in names)


@pytest.mark.parametrize(
    ("text", "key"),
    [("nlp", "nlp"), (" NLP ", "nlp"), ("Computer Vision", "cv"), ("vision", "cv"), ("General ML", "ml"),
     ("time-series", "timeseries"), ("Reinforcement Learning", "rl"), ("LLM", "llm")],
)  # fmt: skip
def test_a_use_case_is_found_by_key_title_and_alias(text: str, key: str) -> None:
    assert find_use_case(SETS, text).key == key


@pytest.mark.parametrize("text", ["", "physics", "ml,cv"])
def test_unknown_use_case_names_the_known_ones(text: str) -> None:
    with pytest.raises(NotFound) as caught:
        find_use_case(SETS, text)
    assert all(one.key in (caught.value.why or "") for one in SETS.use_cases)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a",
        "{",
        "jupyter: 1",
        "jupyter: {title: a, summary: b, requirements: a}\nbase: {}\nuse_cases: {}\nsystem: []",
    ],
)
def test_a_broken_file_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "packages.yaml"
    path.write_text(text)
    with pytest.raises(Ds01Error, match="cannot be read"):
        load_package_sets(path)
    with pytest.raises(Ds01Error, match="cannot be read"):
        load_package_sets(tmp_path / "absent.yaml")
