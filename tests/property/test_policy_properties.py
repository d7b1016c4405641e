"""Any file gives a Policy with that meaning or PolicyUnreadable, and nothing else."""

from __future__ import annotations

import string
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ds01.errors import PolicyUnreadable
from ds01.policy import names, units
from ds01.policy.json_schema import json_schema
from ds01.policy.model import Group, Override, Policy
from ds01.policy.reading.load import load
from ds01.policy.reading.schema import LIMITS, ULIMITS
from ds01.policy.resolve import BUILT_IN, resolve
from tests.policy_texts import as_an_editor_reads

SCHEMA = jsonschema.Draft202012Validator(json_schema())
SHIPPED = (Path(__file__).parents[2] / "config" / "resource-limits.yaml").read_text()
NOW = datetime(2027, 1, 1, tzinfo=timezone.utc)
SECTIONS = ("defaults", "default_group", "groups", "user_overrides", "reservations", "exemptions", "gpu_allocation")
MORE = ("policies", "mounts", "ports", "network", "reclaim_held", "outside", "notify")
INNER = (
    *LIMITS, *ULIMITS, "max_tasks", "members", "unix_groups", "admin", "until", "reason", "for", "slots", "from",
    "user", "enable_mig", "mig_profile", "placement", "prefer", "idle_cpu_percent", "idle_network_rate",
    "warn_idle_at", "stop_grace", "data", "ignore_processes", "terminal", "command", "idle_timeout_h",
    "max_gpus_per_user", "a", "b",
)  # fmt: skip
WORDS = (
    "32g", "48h", "48", "0", "-1", "null", "~", "", "true", "no", "0123", "48:00", "0:1", "1.5", "a", "b", "@a",
    "students", "2027-03-31", "2026-12-01T08:00Z", "9999-12-31", "idle_timeout", "/data", "2g.20gb", "spread", "none",
    "!!int 5", "&x y", "*x", "<<", "\u2028", "\x1b", "é", "'", '"', "[", "{", "}", "#", "|", ">", "%",
)  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policy") / "resource-limits.yaml"


def answer(file: Path, text: str | bytes) -> Policy | None:
    """Load the text; if it is refused, check that the error can be shown."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        policy = load(file)
    except PolicyUnreadable as error:
        assert error.data is not None and error.data["errors"]
        assert all(line.isprintable() for line in (error.why or "").split("\n"))
        assert len((error.why or "").split("\n")) == len(error.data["errors"])
        lines = 1 + len(file.read_text("utf-8", "replace").splitlines())
        assert all(item["line"] is None or 1 <= item["line"] <= lines for item in error.data["errors"])
        return None
    shape = [
        f"{error.json_path}: {error.message}" for error in SCHEMA.iter_errors(as_an_editor_reads(file.read_text()))
    ]
    assert shape == [], "an editor complains of a policy that ds01 reads"
    user = resolve(policy, "alice", ("students",), NOW)
    assert user.sources.keys() >= BUILT_IN.keys()
    return policy


scalars = st.sampled_from(WORDS) | st.text(max_size=8)
keys = st.sampled_from(SECTIONS + MORE) | st.sampled_from(INNER) | st.text(max_size=4)
trees = st.recursive(
    scalars | st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER) | scalars, inner, max_size=4),
    max_leaves=12,
)


@given(text=st.text() | st.binary() | st.text(alphabet="ab:-[]{}&*!|>'\"%@`#,? \n\t0"))
@settings(max_examples=100, deadline=None)
def test_any_text_is_a_policy_or_an_error(file: Path, text: str | bytes) -> None:
    answer(file, text)


@given(tree=st.dictionaries(keys, trees, max_size=5), flow=st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_tree_is_a_policy_or_an_error(file: Path, tree: Any, flow: bool) -> None:
    answer(file, yaml.dump(tree, default_flow_style=flow, allow_unicode=True))


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_change_of_a_policy_is_a_policy_or_an_error(file: Path, data: st.DataObject) -> None:
    text = "\n".join(line.partition("#")[0].rstrip() for line in SHIPPED.split("\n"))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(scalars) + text[end:]
    answer(file, text)


def exactly(text: str, factors: dict[str, int]) -> Decimal | None:
    """Compute number times unit independently of ds01."""
    try:
        return Decimal(text[:-1]) * factors[text[-1:]]
    except (InvalidOperation, KeyError):
        return None


digits = st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,4})?", fullmatch=True)
quantities = st.tuples(digits | st.text("0123456789.-+_e", max_size=5), st.sampled_from([*"smhdwbkgtKMGT", "", "ms"]))
written = quantities.map("".join) | st.sampled_from(WORDS) | st.text(string.printable, max_size=5)


@given(text=written, quoted=st.booleans())
@settings(max_examples=200, deadline=None)
def test_accepted_value_means_what_is_written(file: Path, text: str, quoted: bool) -> None:
    if quoted:
        text = "".join(letter for letter in text if letter.isprintable())
        scalar = "'" + text.replace("'", "''") + "'"
    else:
        text = text.partition("#")[0].strip()
        scalar = text
    is_null = not quoted and text in ("", "~", "null", "Null", "NULL")

    def read(key: str) -> Any:
        policy = answer(file, f"defaults:\n  {key}: {scalar}\n")
        if policy is None or policy.defaults.keys() != {key}:
            return ...
        if policy.defaults[key] is None:
            assert is_null
            return ...
        return policy.defaults[key]

    if isinstance(span := read("idle_timeout"), timedelta):
        hours = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
        assert exactly(text, hours) == Decimal(span // timedelta(microseconds=1)) / 1_000_000
        assert units.parse_duration(units.format_duration(span)) == span
    if (size := read("memory")) is not ...:
        assert exactly(text.lower(), {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}) == size
        assert units.parse_size(units.format_size(size)) == size
    if (count := read("max_mig_instances")) is not ...:
        assert str(count) == text
    if (cores := read("max_cpus")) is not ...:
        assert Decimal(text) == Decimal(str(cores))
        assert units.parse_number(units.format_number(cores)) == cores
    if (flag := read("allow_full_gpu")) is not ...:
        assert text == ("true" if flag else "false")


@given(
    member=st.text(st.characters(codec="utf-8"), min_size=1, max_size=10) | st.sampled_from(WORDS), quoted=st.booleans()
)
@settings(max_examples=100, deadline=None)
def test_login_never_matches_another_login(file: Path, member: str, quoted: bool) -> None:
    scalar = yaml.dump(member, default_style='"', allow_unicode=True) if quoted else member
    policy = answer(file, f"groups:\n  a:\n    members:\n      - {scalar}\n")
    if policy is not None and policy.groups.keys() == {"a"} and policy.groups["a"].members:
        expected = member if quoted else member.partition("#")[0].strip()
        assert policy.groups["a"].members == {expected}


values = st.dictionaries(
    st.sampled_from([key for key in BUILT_IN if key != "priority"]), st.integers(1, 10**6) | st.none(), max_size=8
)


@given(
    defaults=values,
    groups=st.dictionaries(
        st.sampled_from("abcd"),
        st.tuples(values, st.frozensets(st.sampled_from("uvw")), st.frozensets(st.sampled_from("xyz"))),
    ),
    override=st.none() | st.tuples(values, st.none() | st.integers(-2, 2)),
    default_group=st.none() | st.sampled_from("abcd"),
    unix=st.frozensets(st.sampled_from("xyz")),
)
@settings(max_examples=100, deadline=None)
def test_most_specific_level_wins(
    defaults: dict[str, Any],
    groups: dict[str, tuple[dict[str, Any], frozenset[str], frozenset[str]]],
    override: tuple[dict[str, Any], int | None] | None,
    default_group: str | None,
    unix: frozenset[str],
) -> None:
    made = {name: Group(name, members, unixes, values=own) for name, (own, members, unixes) in groups.items()}
    until = None if override is None or override[1] is None else NOW + timedelta(hours=override[1])
    overrides = {} if override is None else {"u": Override("u", override[0], until)}
    policy = Policy(Path("p"), defaults, default_group, made, overrides)
    user = resolve(policy, "u", unix, NOW)
    mine = [name for name, (_, members, unixes) in groups.items() if "u" in members or unixes & unix]
    assert user.group == (mine[0] if mine else default_group or "default")
    for key, built_in in BUILT_IN.items():
        value, source = built_in, "defaults"
        if override is not None and key in override[0] and (override[1] is None or override[1] >= 0):
            value, source = override[0][key], "user_overrides.u"
        elif user.group in groups and key in groups[user.group][0]:
            value, source = groups[user.group][0][key], f"groups.{user.group}"
        elif key in defaults:
            value = defaults[key]
        section, _, name = key.partition(".")
        found: Any = getattr(user.limits, section)
        if name:
            found = found[name] if section == "ulimits" else getattr(found, name)
        assert (found, user.sources[key]) == (value, source)


@given(st.timedeltas(timedelta(0), units.MAX_DURATION))
def test_duration_survives_a_round_trip(span: timedelta) -> None:
    assert units.parse_duration(units.format_duration(span)) == span


@given(st.integers(0, 2**63 - 1))
def test_size_survives_a_round_trip(size: int) -> None:
    assert units.parse_size(units.format_size(size)) == size


@given(st.integers(0, 10**17), st.integers(-1439, 1439))
def test_time_survives_a_round_trip(microseconds: int, minutes: int) -> None:
    aware = (NOW + timedelta(microseconds=microseconds)).astimezone(timezone(timedelta(minutes=minutes)))
    assert units.parse_time(aware.isoformat(), timezone.utc) == aware


logins = st.text(st.characters(codec="utf-8"), max_size=80) | st.text("ab_.-@0", max_size=6)


@given(logins, logins, st.integers(0, 2**32 - 2))
def test_two_logins_never_share_a_slice(one: str, other: str, uid: int) -> None:
    first, second = names.slice_name("g", one, uid), names.slice_name("g", other, uid)
    assert (first == second) == (one == other)
    assert first.count("-") == 2 and len(first) < 255 and first.isascii()


@given(st.text(max_size=70) | st.text("aA0 _-", max_size=10), st.integers(0, 2**32 - 2))
def test_container_name_survives_a_round_trip(text: str, uid: int) -> None:
    try:
        name, changed = names.fold_name(text)
    except ValueError:
        return
    assert names.fold_name(name) == (name, False)
    assert changed == (name != text)
    assert names.split_container_name(names.container_name(name, uid)) == (name, uid)
