"""Serving the metrics over HTTP."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ds01.errors import Ds01Error, UsageError
from ds01.host.metrics_server import Address, MetricsCache, MetricsServer, parse_address


class Source:
    """Something to gather from, with a clock."""

    def __init__(self) -> None:
        self.gathered = 0
        self.fails = False
        self.time = 0.0

    def gather(self) -> str:
        self.gathered += 1
        if self.fails:
            raise Ds01Error("the policy cannot be read")
        return f"ds01_up {self.gathered}\n"

    def cache(self) -> MetricsCache:
        return MetricsCache(self.gather, clock=lambda: self.time)


@contextmanager
def serving(cache: MetricsCache) -> Iterator[str]:
    server = MetricsServer(Address("127.0.0.1", 0), cache)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def get(url: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_metrics_are_served_at_one_path_only() -> None:
    with serving(Source().cache()) as url:
        assert get(f"{url}/metrics") == (200, "ds01_up 1\n")
        assert get(f"{url}/")[0] == 404
        assert get(f"{url}/metrics/../etc/passwd")[0] == 404
        assert get(f"{url}/metrics", "POST")[0] == 501


def test_before_the_first_good_gathering_the_answer_is_503() -> None:
    source = Source()
    source.fails = True
    with serving(source.cache()) as url:
        assert get(f"{url}/metrics") == (503, "the policy cannot be read\n")
        source.fails = False
        assert get(f"{url}/metrics")[0] == 200


def test_a_failure_after_a_good_gathering_is_down_and_nothing_old() -> None:
    source = Source()
    cache = source.cache()
    cache.get()
    source.time, source.fails = 60.0, True
    assert [line for line in cache.get().splitlines() if not line.startswith("#")] == ["ds01_up 0.0"]


def test_who_asks_soon_again_gets_the_same() -> None:
    source = Source()
    cache = source.cache()
    assert cache.get() == cache.get()
    source.time = 5.0
    assert cache.get() == "ds01_up 2\n"


def test_who_asks_at_the_same_time_waits_for_one_gathering() -> None:
    source = Source()
    begun, release = threading.Event(), threading.Event()

    def gather() -> str:
        begun.set()
        assert release.wait(10)
        return source.gather()

    cache = MetricsCache(gather, clock=lambda: 0.0)
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(cache.get())) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    release.set()
    for thread in threads:
        thread.join()
    assert answers == ["ds01_up 1\n"] * 5


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9101", ("127.0.0.1", 9101)),
        (":9101", ("", 0)),
        ("localhost:9101", ("127.0.0.1", 9101)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:9101", ("::1", 9101)),
        ("::1:9101", ("", 0)),
        ("server:9101", ("", 0)),
        ("127.0.0.1", ("", 0)),
        ("127.0.0.1:65536", ("", 0)),
        ("127.0.0.1:-1", ("", 0)),
        ("", ("", 0)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    if address[0]:
        assert parse_address(text) == address
    else:
        with pytest.raises(UsageError):
            parse_address(text)


def test_a_port_that_is_taken_is_an_error() -> None:
    server = MetricsServer(Address("127.0.0.1", 0), Source().cache())
    with server, pytest.raises(Ds01Error, match="cannot listen"):
        MetricsServer(Address("127.0.0.1", server.port), Source().cache())
