"""Docker that cannot be reached: four problems, four remedies, and never a conclusion about containers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ds01.engines.docker import client as docker_client
from ds01.engines.docker.engine import DockerEngine
from ds01.errors import EngineUnreachable


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ds01-test-"))  # pytest's own folders are closed to other users
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def problem(path: Path) -> EngineUnreachable:
    engine = DockerEngine(str(path))
    with pytest.raises(EngineUnreachable) as caught:
        engine.containers()
    with pytest.raises(EngineUnreachable):
        engine.inspect("x")  # not None: nobody said that there is no such container
    assert caught.value.hint and caught.value.why and caught.value.exit_code == 1
    return caught.value


def test_making_an_engine_asks_nothing() -> None:
    assert DockerEngine("/nonexistent").calls == 0


def test_docker_is_not_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_client, "PROGRAM_FOLDERS", (str(folder),))
    error = problem(folder / "docker.sock")
    assert error.data == {"problem": "not_installed"} and "apt install" in (error.hint or "")


def test_docker_is_installed_and_not_running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_client, "PROGRAM_FOLDERS", (str(folder),))
    (folder / "dockerd").touch()
    error = problem(folder / "docker.sock")
    assert error.data == {"problem": "not_running"} and "systemctl start docker" in (error.hint or "")


def test_a_socket_that_nobody_serves_is_not_running(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "docker.sock"))
    assert problem(folder / "docker.sock").data == {"problem": "not_running"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to ask as another user")
def test_a_socket_that_one_may_not_open_is_not_permitted(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "docker.sock"))
        server.listen()
        (folder / "docker.sock").chmod(0)
        error = asked_by(1001, folder / "docker.sock")
    assert error["data"] == {"problem": "not_permitted"} and "ds01 user add" in error["hint"]


def asked_by(uid: int, path: Path) -> dict[str, Any]:
    """The error that another user gets. By a fork: that user need not be able to start this Python."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            DockerEngine(str(path)).containers()
        except EngineUnreachable as error:
            os.write(writer, json.dumps(error.to_json()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        content = stream.read()
    os.waitpid(child, 0)
    return dict(json.loads(content))


def test_a_server_that_hangs_up_or_hangs_is_no_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_client, "TIMEOUT", 0.1)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "docker.sock"))
        server.listen()
        assert problem(folder / "docker.sock").data == {"problem": "no_answer"}
        thread = threading.Thread(target=hang_up, args=(server,), daemon=True)
        thread.start()
        assert problem(folder / "docker.sock").data == {"problem": "no_answer"}


def hang_up(server: socket.socket) -> None:
    with suppress(OSError):  # the test is over, and its socket closed
        for _ in range(8):
            server.accept()[0].close()
