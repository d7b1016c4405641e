"""The caller's Docker configuration: the usable part is used, the rest is described."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ds01.system.docker_config import DockerConfig, RegistryLogin, parse_config, read_config

PATH = Path("/home/a/.docker/config.json")
HUB = "https://index.docker.io/v1/"
SOCKET = "unix:///var/run/docker.sock"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def parsed(document: Any) -> DockerConfig:
    return parse_config(json.dumps(document).encode(), PATH)


def test_logins_as_docker_login_writes_them() -> None:
    auths = {HUB: {"auth": encoded("alice:se:cret")}, "ghcr.io": {"identitytoken": "t"}, "b.io": {}}
    config = parsed({"auths": auths})
    assert (
        config.logins == {HUB: RegistryLogin("alice", "se:cret"), "ghcr.io": RegistryLogin(token="t")}
        and not config.problems
    )


def test_empty_login_is_ignored_without_a_problem() -> None:
    config = parsed({"auths": {HUB: {"auth": ""}}, "credsStore": "", "credHelpers": {"gcr.io": ""}})
    assert (config.logins, config.store, config.helpers, config.problems) == ({}, None, {}, ())


@pytest.mark.parametrize(
    "entry",
    ["x", 1, [], {"auth": 1}, {"auth": "?"}, {"auth": "ä"}, {"auth": encoded("nocolon")}, {"auth": encoded(":x")},
     {"auth": base64.b64encode(b"\xff:\xff").decode()}, {"identitytoken": 1}, {"username": ["a"]}],
)  # fmt: skip
def test_bad_login_is_described_and_others_are_kept(entry: Any) -> None:
    config = parsed({"auths": {"bad.io": entry, "good.io": {"auth": encoded("a:b")}}})
    assert config.logins == {"good.io": RegistryLogin("a", "b")}
    assert [problem.registry for problem in config.problems] == ["bad.io"]
    assert "bad.io" in config.problems[0].text


@pytest.mark.parametrize(
    "document",
    [{"auths": []}, {"auths": "x"}, {"credsStore": 1}, {"credsStore": "../../bin/sh"}, {"credsStore": "a b"},
     {"credHelpers": []}, {"credHelpers": {"a.io": 1}}, {"proxies": []}, {"proxies": {"default": "x"}},
     {"proxies": {"default": {"httpProxy": 1}}}, {"proxies": {"default": {"httpProxy": "a\0b"}}}, [], 1, "x", None],
)  # fmt: skip
def test_wrong_shape_is_described(document: Any) -> None:
    config = parsed(document)
    assert len(config.problems) == 1
    assert config.store is None and not config.helpers and not config.proxy_variables(SOCKET)


@pytest.mark.parametrize("content", [b"{", b"not json", b"\xff\xfe{", b'{"auths": {}} x', b"[" * 200_000, b"\x00"])
def test_invalid_json_is_described(content: bytes) -> None:
    config = parse_config(content, PATH)
    assert len(config.problems) == 1 and "JSON" in config.problems[0].text


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_empty_file_is_an_empty_configuration(content: bytes) -> None:
    assert parse_config(content, PATH) == DockerConfig(PATH)


def test_byte_order_mark_is_accepted() -> None:
    assert parse_config(b'\xef\xbb\xbf{"credsStore": "pass"}', PATH).store == "pass"


def test_proxies_are_set_as_by_the_docker_cli() -> None:
    config = parsed({"proxies": {"default": {"httpProxy": "http://p:1", "noProxy": "a,b", "httpsProxy": ""}}})
    assert config.proxy_variables(SOCKET) == {
        "HTTP_PROXY": "http://p:1", "http_proxy": "http://p:1", "NO_PROXY": "a,b", "no_proxy": "a,b",
    }  # fmt: skip


def test_an_entry_for_this_docker_replaces_the_default() -> None:
    config = parsed({"proxies": {"default": {"httpProxy": "d", "ftpProxy": "d"}, SOCKET: {"allProxy": "own"}}})
    assert config.proxy_variables(SOCKET) == {"ALL_PROXY": "own", "all_proxy": "own"}


def test_one_bad_proxy_leaves_the_others() -> None:
    config = parsed({"proxies": {"default": {"httpProxy": 1, "httpsProxy": "s"}}})
    assert set(config.proxy_variables(SOCKET)) == {"HTTPS_PROXY", "https_proxy"} and len(config.problems) == 1


def test_missing_file_is_an_empty_configuration(tmp_path: Path) -> None:
    assert read_config(tmp_path / "config.json") == DockerConfig()
    (tmp_path / "file").touch()
    assert read_config(tmp_path / "file" / "config.json") == DockerConfig()


def test_a_directory_a_pipe_and_a_huge_file_are_described(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").write_bytes(b" " * (2 << 20))
    for name in ("directory", "pipe", "huge"):
        assert "cannot be read" in read_config(tmp_path / name).problems[0].text


def test_legacy_file_holds_logins_only() -> None:
    content = json.dumps({HUB: {"auth": encoded("a:b"), "email": "x"}}).encode()
    assert parse_config(content, Path("/home/a/.dockercfg")).logins == {HUB: RegistryLogin("a", "b")}
