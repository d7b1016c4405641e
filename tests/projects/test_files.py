"""README, project file and devcontainer.json: written once, and own files are not changed without being asked."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ds01.errors import Ds01Error, UsageError
from ds01.projects import devcontainer, project_file, readme
from ds01.system.home import Home
from tests.projects.conftest import own_home

LIMITS = ("--cpus=2.5", "--memory=32g", "--memory-swap=32g", "--cgroup-parent=ds01-students-alice.slice")


# README


def test_readme_lists_existing_directories(home: Home, project: Path) -> None:
    step = readme.write_readme(
        home, project, "birds", description="Birds {project}", framework="pytorch-2.5.1", kind="cv"
    )
    assert step.made == ("README.md",)
    text = home.read_text(project / "README.md") or ""
    assert text.startswith("# birds\n\nBirds {project}\n") and "pytorch-2.5.1" in text and "Kind: cv" in text
    assert "container-deploy birds" in text and "`notebooks`" in text
    home.make_directory(home.path / "plain")
    readme.write_readme(home, home.path / "plain", "plain")
    assert "`notebooks`" not in (home.read_text(home.path / "plain" / "README.md") or "")


def test_existing_readme_needs_overwrite(home: Home, project: Path) -> None:
    readme.write_readme(home, project, "birds", description="one")
    again = readme.write_readme(home, project, "birds", description="one")
    assert again.is_unchanged and not again.differing
    other = readme.write_readme(home, project, "birds", description="two")
    assert other.is_unchanged and other.differing == ("README.md",)
    assert "one" in (home.read_text(project / "README.md") or "")
    assert readme.write_readme(home, project, "birds", description="two", overwrite=True).made == ("README.md",)
    assert "two" in (home.read_text(project / "README.md") or "")


@pytest.mark.parametrize("name", ["readme.md", "README", "README.rst", "Readme.txt"])
def test_readme_is_recognised_in_any_spelling(name: str, home: Home, project: Path) -> None:
    home.write(project / name, "mine")
    assert readme.write_readme(home, project, "birds").kept == (name,)
    assert [one for one in home.list(project) if one.lower().startswith("readme")] == [name]
    readme.write_readme(home, project, "birds", overwrite=True)
    assert (home.read(project / name) == b"mine") == (name != "readme.md"), "only a README.md is replaced"


def test_broken_links_and_directories_are_not_replaced(home: Home, project: Path) -> None:
    (project / "README.md").symlink_to(project / "not-there")
    assert readme.write_readme(home, project, "birds").is_unchanged
    assert not (project / "not-there").exists()
    (project / "README.md").unlink()
    home.make_directory(project / "README.md")
    with pytest.raises(Ds01Error):
        readme.write_readme(home, project, "birds")


def test_description_has_no_control_characters(home: Home, project: Path) -> None:
    with pytest.raises(UsageError):
        readme.write_readme(home, project, "birds", description="\x1b[2J")


# pyproject.toml

TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
# Each example writes files, which can be slow on a busy machine.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_the_table_is_written_once_and_read_back(home: Home, project: Path) -> None:
    values = {"kind": "cv", "image": "ds01-70001/birds", "framework": None}
    assert project_file.read(home, project) == {}
    assert project_file.write(home, project, "birds", **values).made == ("pyproject.toml",)
    assert project_file.read(home, project) == {"project": "birds", "kind": "cv", "image": "ds01-70001/birds"}
    before = home.read(project / "pyproject.toml")
    assert project_file.write(home, project, "birds", kind="nlp", image=None, framework="jax").is_unchanged
    assert home.read(project / "pyproject.toml") == before


@pytest.mark.parametrize(
    "there",
    ['[tool.ds01]\nproject = "x"', '[ tool . "ds01" ] # mine\n', "[tool.ds01.more]\na = 1\n", "tool.ds01.a = 1\n",
     "[tool]\nds01 = {a = 1}\n"],
)  # fmt: skip
def test_a_table_of_any_spelling_is_not_written_twice(there: str, home: Home, project: Path) -> None:
    home.write(project / "pyproject.toml", there)
    assert project_file.write(home, project, "birds", kind=None, image=None, framework=None).is_unchanged
    assert home.read_text(project / "pyproject.toml") == there


def test_only_the_ds01_table_is_read(home: Home, project: Path) -> None:
    text = "image = 'no'\n[tool.ds01]\n# a = 'b'\nimage = 'mine' # yes\nnumber = 3\n[tool.other]\nkind = \"no\"\n"
    home.write(project / "pyproject.toml", text)
    assert project_file.read(home, project) == {"image": "mine"}


@patient
@given(there=st.binary(max_size=60), project=TEXTS, kind=TEXTS)
def test_existing_content_stays_and_values_round_trip(there: bytes, project: str, kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pyproject.toml"
        path.write_bytes(there)
        home = own_home(folder)
        step = project_file.write(home, Path(folder), project, kind=kind, image=None, framework=None)
        assert path.read_bytes().startswith(there)
        if not step.is_unchanged:
            assert project_file.read(home, Path(folder)) == {"project": project, "kind": kind}
            after = path.read_bytes()
            assert project_file.write(home, Path(folder), "other", kind=None, image=None, framework=None).is_unchanged
            assert path.read_bytes() == after


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no parser for TOML")
@patient
@given(project=TEXTS, kind=TEXTS)
def test_written_file_is_valid_toml(project: str, kind: str) -> None:
    import tomllib

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pyproject.toml"
        path.write_text('[project]\nname = "mine"')
        project_file.write(own_home(folder), Path(folder), project, kind=kind, image=None, framework=None)
        parsed = tomllib.loads(path.read_text("utf-8"))
    assert parsed == {"project": {"name": "mine"}, "tool": {"ds01": {"project": project, "kind": kind}}}


# devcontainer.json


def parsed(text: str) -> Any:
    return json.loads("\n".join(line for line in text.splitlines() if not line.startswith("//")))


def test_devcontainer_has_limits_owner_and_no_gpu(home: Home) -> None:
    text = devcontainer.render("birds", "ds01-70001/birds", owner=home.account, limits=LIMITS)
    made = parsed(text)
    assert made["image"] == "ds01-70001/birds" and made["workspaceFolder"] == "/workspace"
    assert made["containerEnv"]["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert made["runArgs"] == [
        f"--user={home.account.uid}:{home.account.gid}", "--cpu-period=100000", "--cpu-quota=250000",
        "--memory=32g", "--memory-swap=32g", "--cgroup-parent=ds01-students-alice.slice",
    ]  # fmt: skip
    assert not {"hostRequirements", "privileged", "capAdd"} & made.keys()
    assert not [argument for argument in made["runArgs"] if "gpu" in argument or "privileged" in argument]
    assert f"birds._.{home.account.uid}" in text, "the container to attach to for a GPU"


def test_own_devcontainer_is_kept_without_an_option(home: Home, project: Path) -> None:
    assert devcontainer.write_devcontainer(home, project, "birds", "a/b", limits=LIMITS).made == (devcontainer.FILE,)
    assert devcontainer.write_devcontainer(home, project, "birds", "a/b", limits=LIMITS).is_unchanged
    home.write(project / devcontainer.FILE, "{}")
    step = devcontainer.write_devcontainer(home, project, "birds", "a/b", limits=LIMITS)
    assert step.differing == (devcontainer.FILE,) and home.read(project / devcontainer.FILE) == b"{}"
    assert devcontainer.write_devcontainer(home, project, "birds", "a/b", limits=LIMITS, overwrite=True).made
    assert parsed(home.read_text(project / devcontainer.FILE) or "")["image"] == "a/b"
