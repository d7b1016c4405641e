"""All hints for the user's own computer use the policy's `server_name`."""

from __future__ import annotations

import os

import pytest

from tests.command_line import CommandLine

NAME = "gpu.example.org"


@pytest.fixture
def named(ds: CommandLine) -> CommandLine:
    path = ds.harness.root / "resource-limits.yaml"
    path.write_text(f"{path.read_text()}server_name: {NAME}\n")
    return ds


def test_vscode_setup(named: CommandLine) -> None:
    document = named("vscode-setup", "--json").json
    assert document["host"] == NAME and f"HostName {NAME}" in document["entry"]
    assert named("vscode-setup", "--host", "other", "--json").json["host"] == "other"


@pytest.mark.skipif(os.geteuid() != 0, reason="ssh-keygen wants a user whom the system knows")
def test_ssh_setup(named: CommandLine) -> None:
    shown = named.ok("ssh-setup", "-y", who="root")
    assert f"root@{NAME}" in shown and f"@{os.uname().nodename}" not in shown.replace(NAME, "")


def test_jupyter(named: CommandLine) -> None:
    named.ok("image-create", "thesis", "--framework", "pytorch", "-y", "-q")
    shown = named.ok("container-deploy", "thesis", "--background")
    assert f"alice@{NAME}" in shown


@pytest.mark.parametrize("policy", ["server_name: null\n", "", None])
def test_without_one_it_is_the_hostname(policy: str | None, ds: CommandLine) -> None:
    path = ds.harness.root / "resource-limits.yaml"
    if policy is None:
        path.write_text("this: is wrong\n")
    else:
        path.write_text(f"{path.read_text()}{policy}")
    assert ds("vscode-setup", "--json").json["host"] == os.uname().nodename


@pytest.mark.parametrize("wrong", ["gpu example", "-oProxyCommand=x", "a/b", "[]", '"a\\n b"'])
def test_what_is_no_host_is_an_error(wrong: str, ds: CommandLine) -> None:
    path = ds.harness.root / "resource-limits.yaml"
    path.write_text(f"{path.read_text()}server_name: {wrong}\n")
    error = ds.error("policy", "check")
    assert (error["exit"], error["code"]) == (1, "policy.invalid")
    assert [item["key"] for item in error["data"]["errors"]] == ["server_name"]
