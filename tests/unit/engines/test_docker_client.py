"""The engine against a dockerd of the test's own, for what a real one does too seldom to wait for."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ds01.engines.docker.engine import DockerEngine
from ds01.engines.protocol import BuildSpec, ExecRequest
from ds01.errors import EngineRejected, EngineUnreachable

Answers = dict[str, bytes]
Serve = Callable[[Answers], DockerEngine]


def answer(content: object, status: str = "200 OK") -> bytes:
    body = json.dumps(content).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server that gives each path its answer in one piece, once per connection."""
    path = str(tmp_path / "docker.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    answers: Answers = {"/version": answer({"ApiVersion": "1.41"})}

    def loop() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                asked = request.split(b" ")[1].decode().split("?")[0].removeprefix("/v1.41")
                connection.sendall(answers.get(asked, answer({"message": "page not found"}, "404 Not Found")))

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()

    def start(more: Answers) -> DockerEngine:
        answers.update(more)
        return DockerEngine(path)

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_output_that_comes_with_the_answers_head_is_early(serve: Serve) -> None:
    upgraded = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    engine = serve(
        {"/containers/x/exec": answer({"Id": "e"}, "201 Created"), "/exec/e/start": upgraded + b"early words"}
    )
    attachment = engine.attach("x", ExecRequest(("echo",), "1:1"))
    with os.fdopen(attachment.fileno, "rb") as stream:
        assert attachment.initial_bytes + stream.read() == b"early words"
    assert attachment.initial_bytes == b"early words" and attachment.session == "e"


def test_a_taken_over_stream_waits_for_more(serve: Serve) -> None:
    upgraded = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    engine = serve({"/containers/x/exec": answer({"Id": "e"}, "201 Created"), "/exec/e/start": upgraded})
    attachment = engine.attach("x", ExecRequest(("echo",), "1:1"))
    assert os.get_blocking(attachment.fileno) and os.read(attachment.fileno, 10) == b""
    os.close(attachment.fileno)


@pytest.mark.parametrize(
    "words", ["network ds01 not found", "page not found", "no such process", "no such file or directory"]
)
def test_a_404_about_something_else_is_no_absent_container(serve: Serve, words: str) -> None:
    engine = serve({"/containers/x/json": answer({"message": words}, "404 Not Found")})
    with pytest.raises(EngineRejected):
        engine.inspect("x")


def test_a_404_about_the_container_is(serve: Serve) -> None:
    engine = serve({"/containers/x/json": answer({"message": "No such container: x"}, "404 Not Found")})
    assert engine.inspect("x") is None


@pytest.mark.parametrize("piece", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[", b"garbage\r\n\r\n"])
def test_an_answer_that_breaks_off_is_no_answer(serve: Serve, piece: bytes) -> None:
    engine = serve({"/containers/json": piece, "/containers/x/json": piece})
    for ask in (engine.containers, lambda: engine.inspect("x")):
        with pytest.raises(EngineUnreachable) as caught:
            ask()
        assert caught.value.data == {"problem": "no_answer"}


def test_an_answer_that_is_not_json_is_no_answer(serve: Serve) -> None:
    engine = serve({"/containers/json": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"})
    with pytest.raises(EngineUnreachable):
        engine.containers()


def test_an_error_that_is_not_json_is_still_said(serve: Serve) -> None:
    body = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nproxy"
    with pytest.raises(EngineRejected, match="list the containers"):
        serve({"/containers/json": body}).containers()


def test_api_version_is_negotiated(serve: Serve) -> None:
    """Docker 29 refuses what is older than 1.44."""
    version = {"ApiVersion": "1.52", "MinAPIVersion": "1.44"}
    engine = serve({"/version": answer(version), "/v1.52/containers/json": answer([])})
    assert engine.containers() == []


def test_requests_are_counted(serve: Serve) -> None:
    engine = serve({"/containers/json": answer([])})
    assert engine.calls == 0
    assert engine.containers() == [] and engine.calls == 2  # the first one asks for the version too
    assert engine.containers() == [] and engine.calls == 3


BROKEN = [
    '{"auths": {"https://index.docker.io/v1/": {"auth": ""}}}',
    '{"auths": {"https://index.docker.io/v1/": {"auth": "bm9jb2xvbg=="}}}',
    '{"auths": {"a.io": "x"}}',
    '{"auths": 1}',
    '{"proxies": []}',
    '{"HttpHeaders": 5}',
    "[]",
    "[" * 100_000,
]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    def write(content: str) -> Path:
        path = tmp_path / "config.json"
        path.write_text(content)
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        return path

    return write


@pytest.mark.parametrize("content", BROKEN)
def test_broken_client_configuration_stops_no_command(
    serve: Serve, configure: Callable[[str], Path], content: str
) -> None:
    configure(content)
    assert serve({"/containers/json": answer([])}).containers() == []


DONE = {"aux": {"ID": "sha256:1"}}


@pytest.mark.parametrize("content", [*BROKEN[1:5], *BROKEN[6:], '{"credsStore": "is-not-installed"}'])
def test_pull_and_build_go_on_without_logins_and_warn_once(
    serve: Serve, configure: Callable[[str], Path], content: str
) -> None:
    path = configure(content)
    engine = serve({"/images/create": answer({"status": "done"}), "/build": answer(DONE)})
    built = list(engine.build(BuildSpec("a:latest"), [b"x"]))
    pulled = list(engine.pull("python"))
    warnings = [step.text for step in (*built, *pulled) if step.warning]
    assert len(warnings) == 1 and str(path) in warnings[0]
    assert built[-1].text == "sha256:1" and pulled[-1].text == "done"


def test_a_configuration_without_faults_warns_of_nothing(serve: Serve, configure: Callable[[str], Path]) -> None:
    configure(BROKEN[0])
    engine = serve({"/images/create": answer({"status": "done"})})
    assert not [step for step in engine.pull("python") if step.warning]


INSPECTED = {
    "Id": "x",
    "Name": "/thesis",
    "Created": "2026-11-30T12:00:00Z",
    "State": {"Status": "running"},
    "Config": {"Image": "i", "Labels": None},
    "HostConfig": None,
}


def test_failed_inspect_does_not_mean_unreachable(serve: Serve) -> None:
    words = "RWLayer of container x is unexpectedly nil"
    engine = serve({"/containers/x/json": answer({"message": words}, "500 Internal Server Error")})
    with pytest.raises(EngineRejected) as error:
        engine.inspect("x")
    assert error.value.why == words and "docker rm" in (error.value.hint or "")


@pytest.mark.parametrize("entry", [INSPECTED, {}, [], None, "text"])
def test_incomplete_inspect_affects_only_its_container(serve: Serve, entry: object) -> None:
    engine = serve({"/containers/x/json": answer(entry)})
    with pytest.raises(EngineRejected):
        engine.inspect("x")


@pytest.mark.parametrize(("ping", "kind"), [(True, EngineRejected), (False, EngineUnreachable)])
def test_a_hang_on_one_container_is_told_from_a_hang_on_all(serve: Serve, ping: bool, kind: type[Exception]) -> None:
    no_answer: Answers = {"/containers/x/json": b"", "/containers/x/stop": b"", "/_ping": b""}
    engine = serve(no_answer | ({"/_ping": answer("OK")} if ping else {}))
    with pytest.raises(kind):
        engine.inspect("x")
    with pytest.raises(kind):
        engine.stop("x", grace=0)


def test_an_entry_of_a_list_may_lack_nearly_everything(serve: Serve) -> None:
    engine = serve({"/containers/json": answer([{"Id": "x", "Names": None, "State": "dead"}, {"Id": "y"}])})
    assert [(seen.id, seen.name, seen.status.has_processes) for seen in engine.containers()] == [
        ("x", "", False),
        ("y", "", False),
    ]
