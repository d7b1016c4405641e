"""Variables of a new container: `-e`, the policy's, and the proxies of the owner's Docker configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from ds01.engines.protocol import BuildSpec, Progress
from ds01.engines.simulated.engine import SimulatedEngine
from tests.command_line import CommandLine

PROXIES = {"proxies": {"default": {"httpProxy": "http://proxy:3128", "noProxy": "localhost"}}}


def variables(ds: CommandLine, name: str = "thesis") -> Mapping[str, str]:
    seen = ds.engine.inspect(ds.harness.full("alice", name))
    assert seen is not None and seen.spec is not None
    return seen.spec.environment


def configure(ds: CommandLine, document: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write the Docker configuration of alice, where she looks as herself and where root looks for her."""
    folder = ds.harness.home("alice") / ".docker"
    folder.mkdir()
    (folder / "config.json").write_text(document if isinstance(document, str) else json.dumps(document))
    monkeypatch.setenv("HOME", str(ds.harness.home("alice")))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    return str(folder / "config.json")


def test_variables_are_given_and_the_last_one_counts(ds: CommandLine) -> None:
    ds.ok("container-create", "thesis", "pytorch", "-e", "SEED=1", "--env", "SEED=2", "-e=OPTIONS=a=b", "-e", "EMPTY=")
    environment = variables(ds)
    assert (environment["SEED"], environment["OPTIONS"], environment["EMPTY"]) == ("2", "a=b", "")


@pytest.mark.parametrize("text", ["SEED", "", "=x", "1A=x", "A B=x"])
def test_what_is_no_variable_is_wrong_use(ds: CommandLine, text: str) -> None:
    ds.fails(2, "container-create", "thesis", "pytorch", "-e", text)


@pytest.mark.parametrize("name", ["NVIDIA_VISIBLE_DEVICES", "NVIDIA_X", "HOME", "PATH", "USER", "CUDA_DEVICE_ORDER"])
def test_what_ds01_sets_is_refused(ds: CommandLine, name: str) -> None:
    error = ds.error("container-deploy", "thesis", "pytorch", "--background", "-e", f"{name}=all")
    assert (error["exit"], error["code"]) == (3, "policy.denied") and name in error["message"]
    assert ds.harness.records() == []


def test_the_policys_variables_are_in_every_container(ds: CommandLine) -> None:
    ds.harness.set_policy("defaults: {environment: {HTTPS_PROXY: http://proxy, WHERE: lab, OFF: null}}\n")
    ds.ok("container-create", "thesis", "pytorch", "-e", "WHERE=here")
    environment = variables(ds)
    assert (environment["HTTPS_PROXY"], environment["WHERE"]) == ("http://proxy", "here") and "OFF" not in environment
    assert "Variable HTTPS_PROXY: http://proxy" in ds.ok("limits")


@pytest.mark.parametrize("name", ["NVIDIA_VISIBLE_DEVICES", "HOME", "A B"])
def test_the_policy_cannot_set_what_ds01_sets(ds: CommandLine, name: str) -> None:
    (ds.harness.root / "resource-limits.yaml").write_text(f"defaults: {{environment: {{{name}: x}}}}\n")
    error = ds.error("policy", "check")
    assert (error["exit"], error["code"]) == (1, "policy.invalid")
    assert [item["key"] for item in error["data"]["errors"]] == [f"defaults.environment.{name}"]


def test_proxies_are_set_as_the_docker_cli_does(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(ds, PROXIES, monkeypatch)
    ds.ok("container-create", "thesis", "pytorch", "-e", "NO_PROXY=mine")
    found = {name: value for name, value in variables(ds).items() if name.upper().endswith("_PROXY")}
    assert found == {
        "HTTP_PROXY": "http://proxy:3128", "http_proxy": "http://proxy:3128", "NO_PROXY": "mine",
        "no_proxy": "localhost",
    }  # fmt: skip


def test_proxies_outlive_the_container(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(ds, PROXIES, monkeypatch)
    ds.ok("container-create", "thesis", "pytorch")
    ds.ok("container-start", "thesis", "--recreate")
    assert variables(ds)["HTTP_PROXY"] == "http://proxy:3128"


def test_proxies_that_cannot_be_used_are_one_warning(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    path = configure(ds, {"proxies": {"default": {"httpProxy": 5}}}, monkeypatch)
    answer = ds("container-create", "thesis", "pytorch")
    assert answer.code == 0 and answer.err.count(path) == 1 and "httpProxy" in answer.err


@pytest.mark.parametrize("content", ["", "{", "[]", '{"auths": {"x": {"auth": "?"}}, "credsStore": "absent"}'])
def test_no_docker_configuration_ends_a_command(ds: CommandLine, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    configure(ds, content, monkeypatch)
    ds.ok("container-deploy", "thesis", "pytorch", "--background")
    ds.ok("container-list")


@pytest.mark.in_process
def test_proxies_reach_a_build(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(ds, PROXIES, monkeypatch)
    specs: list[BuildSpec] = []
    build = SimulatedEngine.build

    def record(engine: SimulatedEngine, spec: BuildSpec, context: Iterable[bytes]) -> Iterator[Progress]:
        specs.append(spec)
        return build(engine, spec, context)

    monkeypatch.setattr(SimulatedEngine, "build", record)
    ds.ok("image-create", "thesis", "--framework", "pytorch")
    ds.ok("image-update", "thesis", "--add", "rich")
    wanted = {"HTTP_PROXY": "http://proxy:3128", "http_proxy": "http://proxy:3128", "NO_PROXY": "localhost",
              "no_proxy": "localhost"}  # fmt: skip
    assert [spec.arguments for spec in specs] == [wanted, wanted]
