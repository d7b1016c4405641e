"""Any input for an image: requirements reach pip unchanged, and no text becomes a Dockerfile instruction."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds01.errors import UsageError
from ds01.images.dockerfile import add_system_packages, render_sources, system_packages
from ds01.images.requirements import (
    Requirements,
    add_packages,
    read_requirements,
    remove_packages,
    requirement_name,
    split_packages,
)
from tests.unit.images.plans import BARE, plan

CONFIGURED = settings(max_examples=100, deadline=None, derandomize=True, database=None)
NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,12}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda name: not name.lower().endswith((".whl", ".zip", ".gz", ".bz2", ".xz", ".tgz", ".tbz", ".txz"))
)
VERSIONS = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){1,2}(a1|rc2|\.post3)?", fullmatch=True)
SPACE = st.sampled_from(["", " "])
CLAUSES = st.builds("{}{}{}".format, st.sampled_from([">=", "<=", "==", "!=", "~=", ">", "<"]), SPACE, VERSIONS)
SPECIFIERS = st.lists(CLAUSES, max_size=3).map(",".join)
EXTRAS = st.lists(NAMES, max_size=2).map(lambda names: f"[{','.join(names)}]" if names else "")
MARKERS = st.sampled_from(
    ["", '; python_version < "3.11"', ' ; sys_platform == "linux" and python_version>="3.9"', "; extra == 'x'"]
)
ADDRESSES = st.builds(
    "{} @ {}{}".format,
    NAMES,
    st.sampled_from(["https://h/n-1.0.zip#sha256=aa", "git+https://h/o/r@main", "git+ssh://git@h/o/r.git#egg=n"]),
    st.sampled_from(["", ' ; python_version < "3.11"']),
)
BARE_ADDRESSES = st.sampled_from(
    [
        "git+https://github.com/o/r@v1.2#egg=tool&subdirectory=a",
        "https://h/a/n-1.0-py3-none-any.whl",
        "https://h/n-1.tar.gz?x=1",
    ]
)
REQUIREMENTS = st.one_of(st.builds("{}{}{}{}".format, NAMES, EXTRAS, SPECIFIERS, MARKERS), ADDRESSES, BARE_ADDRESSES)
ENDS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\\\n", "\\"]
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            [*ENDS, "RUN evil", "USER x", "# escape=`", "#", " ", "$(x)", "${A}", '"', "'", "`", ",", "[", "]"]
        ),
        st.sampled_from(
            ["numpy", "git", "thesis", "a/b:1", "-e .", "--index-url https://h", "==1", "; ", "@ https://h/x.zip"]
        ),
    ),
    max_size=6,
).map("".join)


def instructions(text: str) -> list[str]:
    """The instructions' words, read the simplest way: Docker ends a line at a line feed and nothing else."""
    found, inside = [], False
    for line in text.split("\n"):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if not inside:
            found.append(line.split()[0])
        inside = re.search(r"\\\s*$", line) is not None
    return found


def pips_lines(text: str) -> list[str]:
    """What pip sees of a requirements file: it ends a line wherever Unicode does, and joins those that go on."""
    joined = re.sub(r"\\(\n|$)", "", "\n".join(text.splitlines()))
    bare = (re.sub(r"(^|\s+)#.*$", "", line).strip() for line in joined.split("\n"))
    return [line for line in bare if line]


@CONFIGURED
@given(st.lists(REQUIREMENTS, max_size=8))
@example(["numpy", "numpy<2", "NumPy", 'torch; python_version < "3"'])
def test_requirements_reach_the_file_unchanged(requirements: list[str]) -> None:
    for requirement in requirements:
        if "://" not in requirement.partition("@")[0]:
            Requirement(requirement)  # the test's own strings are what they claim to be
    sources = render_sources(plan(**BARE, packages=tuple(requirements)))
    assert pips_lines(sources.requirements or "") == requirements
    from_file = read_requirements("\n".join(requirements), {}.get)
    assert list(from_file.lines) == requirements
    again = render_sources(plan(**BARE, extra=from_file))
    assert pips_lines(again.requirements or "") == requirements


@CONFIGURED
@given(st.lists(REQUIREMENTS, max_size=5))
def test_a_shells_quoting_is_undone_and_nothing_more(requirements: list[str]) -> None:
    assert list(split_packages([shlex.join(requirements)])) == requirements
    assert list(split_packages(requirements)) == requirements


@CONFIGURED
@given(st.sampled_from(["name", "login", "framework", "base", "ds01_version"]), TEXTS)
@example("framework", 'x"\nRUN evil')
@example("login", "x\\")
@example("login", 'a"; b $HOME')
def test_no_word_becomes_an_instruction(field: str, text: str) -> None:
    try:
        sources = render_sources(plan(**{field: text}))
    except UsageError:
        return
    harmless = render_sources(plan())
    assert instructions(sources.dockerfile) == instructions(harmless.dockerfile)
    # The directives of the first lines are read before everything else.
    assert "=" not in sources.dockerfile.split("\n")[0]
    assert pips_lines(sources.requirements or "") == pips_lines(harmless.requirements or "")


@CONFIGURED
@given(st.sampled_from(["packages", "base_packages", "system"]), st.lists(TEXTS, min_size=1, max_size=3))
@example("packages", ["a @ https://h/x\\", "b"])
@example("packages", ["a @ https://h/x\u2028--index-url https://evil"])
@example("system", ["git && evil"])
def test_no_package_becomes_an_instruction_or_an_option_of_pip(field: str, texts: list[str]) -> None:
    usual: dict[str, Any] = {**BARE, "packages": ("first",), "system": ("htop",)}
    try:
        sources = render_sources(plan(**{**usual, field: tuple(texts)}))
    except UsageError:
        return
    harmless = render_sources(plan(**usual))
    assert [one for one in instructions(sources.dockerfile) if one not in ("COPY", "RUN")] == [
        one for one in instructions(harmless.dockerfile) if one not in ("COPY", "RUN")
    ]
    assert instructions(sources.dockerfile).count("RUN") <= instructions(harmless.dockerfile).count("RUN")
    lines = pips_lines(sources.requirements or "")
    assert not [line for line in lines if line.startswith("-")]
    if field == "packages":
        assert lines == [text.strip() for text in texts]
    if field == "system":
        assert set(system_packages(sources.dockerfile)) >= set(texts)
        assert all(re.fullmatch(r"[a-z0-9+.=:~A-Z-]+", package) for package in system_packages(sources.dockerfile))


@CONFIGURED
@given(st.lists(TEXTS, max_size=3))
def test_a_package_of_apt_that_is_added_becomes_no_instruction(packages: list[str]) -> None:
    before = render_sources(plan()).dockerfile
    try:
        after = add_system_packages(before, packages)
    except UsageError:
        return
    assert instructions(after) == instructions(before)
    assert set(packages) <= set(system_packages(after))


@CONFIGURED
@given(
    st.lists(st.one_of(REQUIREMENTS, st.sampled_from(["", "# c", "-i https://h", "x==1 \\", "  --hash=sha256:aa"]))),
    REQUIREMENTS,
)
def test_adding_then_removing_restores_the_rest(there: list[str], new: str) -> None:
    text = "\n".join(there)
    name = requirement_name(new)
    assert name is not None
    others = [line for line in pips_lines(text) if requirement_name(line) != name]
    after = add_packages(text, [new])
    assert [line for line in pips_lines(after) if requirement_name(line) == name] == [new]
    assert [line for line in pips_lines(after) if requirement_name(line) != name] == others
    assert add_packages(after, [new]) == after
    left, missing = remove_packages(after, [new])
    assert pips_lines(left) == others and missing == ()
    assert remove_packages(left, [new]) == (left, (new,))


@CONFIGURED
@given(TEXTS)
def test_any_text_is_read_as_requirements_or_refused(text: str) -> None:
    try:
        found = read_requirements(text, {}.get)
    except UsageError:
        return
    assert isinstance(found, Requirements)
    for line in found.lines:
        assert len(line.splitlines()) == 1
        # What is no option is what `packaging` reads, or an address.
        requirement = line.split(" -")[0]
        if not line.startswith("-") and "://" not in requirement:
            assert canonicalize_name(Requirement(requirement).name) == requirement_name(line)


def test_the_tests_own_parsers_see_what_was_injected() -> None:
    assert instructions("FROM a\nRUN b \\\n c\n# RUN d\nUSER x") == ["FROM", "RUN", "USER"]
    assert pips_lines("a\u2028b # c\nd \\\n e") == ["a", "b", "d  e"]
    with pytest.raises(UsageError):
        render_sources(plan(login="x\nRUN evil"))
