"""Logins for pulls and builds: from the file, from credential helpers, and what is said when one fails."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ds01.engines.docker.login import build_headers, pull_headers
from ds01.errors import Ds01Error
from ds01.system.docker_config import ConfigProblem, DockerConfig, RegistryLogin

PATH = Path("/home/a/.docker/config.json")
HUB = "https://index.docker.io/v1/"


def decoded(headers: Mapping[str, str]) -> Any:
    (value,) = headers.values()
    return json.loads(base64.urlsafe_b64decode(value))


def keeps(logins: Mapping[str, tuple[str, str]]) -> Any:
    """A helper that has these logins."""

    def ask(helper: str, verb: str, given: str) -> str:
        if verb == "list":
            return json.dumps({registry: user for registry, (user, _) in logins.items()})
        if given not in logins:
            why = "credentials not found in native keychain"
            raise Ds01Error("failed with code 1", why=why, data={"problem": "failed"})
        return json.dumps({"ServerURL": given, "Username": logins[given][0], "Secret": logins[given][1]})

    return ask


def fails(problem: str) -> Any:
    def ask(helper: str, verb: str, given: str) -> str:
        raise Ds01Error(f"docker-credential-{helper} cannot be asked", why="why", data={"problem": problem})

    return ask


@pytest.mark.parametrize("key", [HUB, "docker.io", "index.docker.io", "https://index.docker.io/v1"])
def test_docker_hubs_login_is_found_under_each_of_its_names(key: str) -> None:
    config = DockerConfig(PATH, {key: RegistryLogin("alice", "x")})
    assert decoded(pull_headers(config, "library/python").values)["username"] == "alice"
    assert decoded(build_headers(config).values)[HUB]["username"] == "alice"


def test_a_pull_gets_the_login_of_its_registry_only() -> None:
    config = DockerConfig(
        PATH, {"a.io": RegistryLogin("alice", "x"), "https://b.io:5000/v2/": RegistryLogin("bob", "y")}
    )
    assert decoded(pull_headers(config, "b.io:5000/x").values)["username"] == "bob"
    assert pull_headers(config, "python").values == {}


def test_missing_helper_warning_names_the_file() -> None:
    config = DockerConfig(PATH, {"a.io": RegistryLogin("alice", "x")}, store="pass")
    for headers in (
        pull_headers(config, "a.io/x", run_helper=fails("not_found")),
        build_headers(config, run_helper=fails("not_found")),
    ):
        (warning,) = headers.warnings
        assert str(PATH) in warning and "docker-credential-pass" in warning and "not installed" in warning
        assert headers.values  # what the file itself has still counts


@pytest.mark.parametrize("problem", ["failed", "timeout"])
def test_a_helper_that_fails_is_a_warning(problem: str) -> None:
    headers = pull_headers(DockerConfig(PATH, store="pass"), "a.io/x", run_helper=fails(problem))
    assert headers.values == {} and len(headers.warnings) == 1


@pytest.mark.parametrize("answer", ["", "x", "[]", "{}", '{"Username": 1, "Secret": "s"}', "null", "[" * 100_000])
def test_a_helper_that_answers_nonsense_is_a_warning(answer: str) -> None:
    headers = pull_headers(DockerConfig(PATH, store="pass"), "a.io/x", run_helper=lambda *_: answer)
    assert headers.values == {} and len(headers.warnings) == 1
    assert build_headers(DockerConfig(PATH, helpers={"a.io": "gcr"}), run_helper=lambda *_: answer).values == {}


def test_a_helper_without_this_login_is_no_warning() -> None:
    headers = pull_headers(DockerConfig(PATH, store="pass"), "a.io/x", run_helper=keeps({}))
    assert headers == pull_headers(DockerConfig(), "a.io/x")


def test_registry_helper_precedes_the_store() -> None:
    config = DockerConfig(PATH, store="pass", helpers={"gcr.io": "gcloud"})
    asked: list[str] = []

    def ask(helper: str, verb: str, given: str) -> str:
        asked.append(helper)
        return json.dumps({"Username": "<token>", "Secret": "t"})

    assert decoded(pull_headers(config, "gcr.io/x", run_helper=ask).values)["identitytoken"] == "t"
    assert asked == ["gcloud"]


def test_build_gets_logins_of_all_sources() -> None:
    config = DockerConfig(PATH, {"file.io": RegistryLogin("f", "x")}, "pass", {"gcr.io": "gcr"})
    found = decoded(build_headers(config, run_helper=keeps({HUB: ("h", "1"), "gcr.io": ("g", "2")})).values)
    assert {registry: login["username"] for registry, login in found.items()} == {
        "file.io": "f",
        HUB: "h",
        "gcr.io": "g",
    }


def test_a_bad_login_is_told_where_it_is_needed() -> None:
    config = DockerConfig(PATH, problems=(ConfigProblem("the login for bad.io cannot be used", "bad.io"),))
    assert pull_headers(config, "bad.io/x").warnings == (f"{PATH}: the login for bad.io cannot be used",)
    assert pull_headers(config, "good.io/x").warnings == ()
    assert len(build_headers(config).warnings) == 1
