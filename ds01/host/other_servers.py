"""Ask several servers what `ds01 status` shows, over SSH: in parallel, with a timeout, and without state in common.

The servers may have another version of ds01: of their answer only what is shown here is read, and nothing of it is
trusted to have the right form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ds01.dataclass import dataclass
from ds01.errors import Ds01Error, NotFound, UsageError
from ds01.system import files, programs
from ds01.system.data import DataError, parse_json, parse_time

SYSTEM_FILE = Path("/etc/ds01/hosts")
OWN_FILE = ".config/ds01/hosts"  # below the home; replaces the server's file
CONNECT_TIMEOUT = 5  # seconds, for `ssh`
TIMEOUT = 15.0  # seconds, for the whole answer
MOST_AT_ONCE = 16

Ask = Callable[[str], str]


@dataclass(frozen=True)
class OtherServer:
    """A line of the file: an SSH destination, and the name to show."""

    name: str
    destination: str


@dataclass(frozen=True)
class SupplyThere:
    """Slots of one kind on another server, as in `SlotSupply`."""

    kind: str
    free: int
    total: int
    earliest: datetime | None


@dataclass(frozen=True)
class OtherStatus:
    """What another server answered. `problem`: why it did not; the rest is then unknown."""

    name: str
    destination: str
    problem: str | None = None
    supply: tuple[SupplyThere, ...] = ()
    containers: int | None = None  # that run
    waiting: int | None = None
    load: float | None = None
    cpus: int | None = None
    last_tick_at: datetime | None = None
    complaints: int | None = None


def read_other_servers(home: str, *, system_file: Path = SYSTEM_FILE) -> tuple[OtherServer, ...]:
    """Return the servers of the user's own file, or else of the system's.

    Each line is an SSH destination, and perhaps a name to show: `gpu02.example.org gpu02`. `#` begins a comment.
    Raises NotFound without a file, UsageError for a line that is no destination.
    """
    for path in (Path(home) / OWN_FILE, system_file):
        try:
            text = files.read(path).decode("utf-8", "replace")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Ds01Error(f"{path} cannot be read", why=error.strerror or str(error)) from error
        return parse_other_servers(text, str(path))
    raise NotFound(
        "no other servers are listed",
        why=f"neither ~/{OWN_FILE} nor {system_file} exists",
        hint=f"write one SSH destination in each line of {system_file}, such as gpu02.example.org",
    )


def parse_other_servers(text: str, path: str) -> tuple[OtherServer, ...]:
    """Return the servers of a file's text. Raises UsageError, NotFound if there is none."""
    servers = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        # A word that begins with `-` would be an option of ssh, which can start programs.
        if len(words) > 2 or words[0].startswith("-") or not all(word.isprintable() for word in words):
            raise UsageError(
                f"{path}, line {number}: {line.strip()[:60]!r} is not an SSH destination",
                hint="a line has a destination, and perhaps a name to show: gpu02.example.org gpu02",
            )
        servers.append(OtherServer(words[-1], words[0]))
    if not servers:
        raise NotFound(f"{path} lists no server", hint="write one SSH destination in each line")
    return tuple(servers)


def ask_over_ssh(destination: str) -> str:
    """Return the JSON of `ds01 status` on another server. Raises Ds01Error.

    Nothing is asked for: a server whose key is unknown, or that wants a password, is a problem to show.
    """
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_TIMEOUT}", "-T"]
    return programs.run(["ssh", *options, "--", destination, "ds01", "status", "--json"], timeout=TIMEOUT)


def ask_all(servers: Sequence[OtherServer], *, ask: Ask = ask_over_ssh) -> tuple[OtherStatus, ...]:
    """Ask all servers at once, and return their answers in the order of the file. Never raises for one of them."""
    with ThreadPoolExecutor(max_workers=min(MOST_AT_ONCE, len(servers))) as pool:
        return tuple(pool.map(partial(_ask_one, ask=ask), servers))


def _ask_one(server: OtherServer, *, ask: Ask) -> OtherStatus:
    try:
        return read_answer(server, ask(server.destination))
    except Ds01Error as error:
        # ssh's own words stand in the last line: `Connection timed out`.
        why = (error.why or "").strip().splitlines()
        problem = why[-1] if why and (error.data or {}).get("problem") == "failed" else error.message
        return OtherStatus(server.name, server.destination, problem=problem)


def read_answer(server: OtherServer, text: str) -> OtherStatus:
    """Return what a server's JSON document says; keys that are missing or odd are unknown."""
    try:
        document = parse_json(text)
    except DataError:
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("supply"), list):
        return OtherStatus(server.name, server.destination, problem="its answer is not that of `ds01 status --json`")
    machine, tick = _mapping(document.get("machine")), _mapping(document.get("tick"))
    return OtherStatus(
        server.name,
        server.destination,
        supply=tuple(_supply(_mapping(item)) for item in document["supply"]),
        containers=_count_running(document.get("containers")),
        waiting=_length(document.get("queue")),
        load=_number(machine.get("load")),
        cpus=_whole(machine.get("cpus")),
        last_tick_at=_time(tick.get("started_at")),
        complaints=_length(document.get("complaints")),
    )


def _supply(item: Mapping[str, Any]) -> SupplyThere:
    kind = item.get("profile") or item.get("model") or item.get("kind")
    free, total = _whole(item.get("free")) or 0, _whole(item.get("total")) or 0
    return SupplyThere(str(kind), free, total, _time(item.get("earliest")))


def _count_running(value: object) -> int | None:
    if not isinstance(value, list):
        return None
    states = [_mapping(_mapping(item).get("container")).get("state") for item in value]
    return states.count("running")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _length(value: object) -> int | None:
    return len(value) if isinstance(value, list) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _time(value: object) -> datetime | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except DataError:
        return None
