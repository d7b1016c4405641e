"""The JSON Schema accepts what ds01 accepts, and rejects wrong shapes."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ds01.policy.json_schema import json_schema, key_texts, keys
from ds01.policy.model import Limits
from ds01.policy.resolve import resolve
from tests.policy_texts import EVERY_KEY, as_an_editor_reads, load_text
from tests.unit.policy.test_policy_loading import LIMIT_ERRORS, SERVER_ERRORS, SHIPPED

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
# What only ds01 rejects: it compares keys, and is stricter with numbers and texts than YAML.
BEYOND_SHAPE = {
    "max_mig_instances": {"0123"},
    "allow_full_gpu": {"True"},
    "max_cpus": {"1e3", "08"},
    "memory": {"5m", "0b", "9223372036854775808b"},
    "memory_swap": {"1g"},
    "shm_size": {"0b"},
    "max_containers_per_user": {"3.0"},
    "max_runtime": {"5300w"},
    "ulimits.memlock": {"0123"},
    "idle_timeout_h": {"1e1"},
}
NOW = datetime(2026, 11, 30, tzinfo=timezone.utc)
OF_USERS = ("groups", "user_overrides")
OF_OTHER_KEYS = (
    "default_group: nobody", "groups: {default: }", "for: '@x'", "until: 2026-01-01T00:00Z}", "from: 2026-01-03",
    "slots: ['00']", "slots: ['0:01']", "/a/../etc", 'command: ["a\\0b"]', "2g.20gb+}", "2g.20gbme}",
)  # fmt: skip


def valid(text: str) -> bool:
    return VALIDATOR.is_valid(as_an_editor_reads(text))


def test_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"].endswith("/2020-12/schema")


@pytest.mark.parametrize(
    "text",
    [
        SHIPPED.read_text(),
        EVERY_KEY,
        "groups:\n  a:\n  b: {members: ,  aggregate: ~, ulimits: null}\nuser_overrides:\n  alice:\n",
        "defaults: {max_gpus_per_user: 2, idle_timeout_h: 0.5}\ngroups: {a: {max_runtime_h: null}}\n",
        "gpu_allocation: {mig_profile: MIG 1g.10gb+me}\n",
        "defaults: {max_cpus: '1.5', priority: '10', allow_full_gpu: 'true'}\n",
        "defaults: {environment: {HTTPS_PROXY: 'http://proxy:3128', DEBUG: 1, CI: null}}\n",
    ],
    ids=["shipped", "contract", "empty parts", "old keys", "profile", "quotes", "environment"],
)
def test_accepted_policies_are_valid(text: str, tmp_path: Path) -> None:
    load_text(tmp_path, text)
    errors = [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(as_an_editor_reads(text))]
    assert errors == []


@pytest.mark.parametrize("page", ["README.md", "admin.md"])
def test_policies_in_the_documentation_are_valid(page: str) -> None:
    top = Path(__file__).parents[3]
    text = (top / page if page == "README.md" else top / "docs" / page).read_text("utf-8")
    for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        assert valid(block), block


@pytest.mark.parametrize("level", ["defaults", "groups.g", "user_overrides.u"])
@pytest.mark.parametrize(("key", "texts"), LIMIT_ERRORS)
def test_limit_with_a_wrong_shape_is_invalid(level: str, key: str, texts: list[str]) -> None:
    for text in set(texts) - BEYOND_SHAPE.get(key, set()):
        document = "".join(
            f"{'  ' * depth}{part}:\n" for depth, part in enumerate([*level.split("."), *key.split(".")])
        )
        assert not valid(f"{document[:-1]} {text}\n"), text


@pytest.mark.parametrize("text", [text for text, _ in SERVER_ERRORS if not any(part in text for part in OF_OTHER_KEYS)])
def test_server_key_with_a_wrong_shape_is_invalid(text: str) -> None:
    assert not valid(text)


def test_schema_accepts_what_only_ds01_rejects() -> None:
    skipped = [text for text, _ in SERVER_ERRORS if any(part in text for part in OF_OTHER_KEYS)]
    assert len(skipped) >= len(OF_OTHER_KEYS)
    assert all(valid(text) for text in skipped)


def test_keys_and_texts_correspond() -> None:
    assert {path for _, path, _, _ in keys(SCHEMA)} == set(key_texts())


@pytest.mark.parametrize("path", key_texts())
def test_each_key_has_title_description_and_example(path: str) -> None:
    (part, *_) = [part for _, own, _, part in keys(SCHEMA) if own == path]
    assert part["title"] and part["description"].endswith((".", ".)"))
    for example in part["examples"]:
        jsonschema.Draft202012Validator(part).validate(example)
    if "default" in part:
        jsonschema.Draft202012Validator(part).validate(part["default"])


def test_defaults_are_the_built_in_ones(tmp_path: Path) -> None:
    defaults = {
        path: part["default"] for level, path, _, part in keys(SCHEMA) if level not in OF_USERS and "default" in part
    }
    assert defaults["defaults.memory"] == "32g" and defaults["defaults.gpu_hold_after_stop"] == "24h"
    assert defaults["defaults.ulimits"] == {"memlock": -1, "stack": "64m"}
    assert defaults["defaults.aggregate.memory"] is None
    nested: dict[str, Any] = {}
    for path, default in defaults.items():
        *above, name = path.split(".")
        place = nested
        for part in above:
            place = place.setdefault(part, {})
        place[name] = default
    written, bare = load_text(tmp_path, json.dumps(nested)), load_text(tmp_path, "ports: [8888, 6006]")
    assert resolve(written, "a", (), NOW).limits == resolve(bare, "a", (), NOW).limits == Limits()
    assert dataclasses.replace(written, defaults={}) == bare


def test_limits_have_defaults_only_in_the_section_defaults() -> None:
    for level in OF_USERS:
        inner = SCHEMA["properties"][level]["additionalProperties"]["properties"]
        assert "default" not in inner["memory"]


def commented() -> Iterator[tuple[str, str]]:
    """Yield path and comment of each key of the shipped policy that has a comment on its line."""
    levels: list[tuple[int, str]] = []
    for line in SHIPPED.read_text().splitlines():
        found = re.match(r"( *)(?:# (?=  ))?( *)([a-z_]+):(?: [^#]*?)? +# (.*)$", line) or re.match(
            r"( *)()([a-z_]+):()", line
        )
        if found is None:
            continue
        depth = len(found[1] + found[2])
        levels = [item for item in levels if item[0] < depth] + [(depth, found[3])]
        names = [name for _, name in levels]
        if names[0] == "groups" and len(names) > 2:
            names = ["groups" if f"groups.{names[2]}" in key_texts() else "defaults", *names[2:]]
        if found[4]:
            yield ".".join(names), found[4]


def test_the_shipped_policy_has_the_titles_as_comments() -> None:
    found = dict(commented())
    assert len(found) > 40
    assert found == {path: key_texts()[path].title for path in found}


def test_shipped_policy_names_the_packaged_schema() -> None:
    first, _, _ = SHIPPED.read_text().partition("\n")
    found = re.fullmatch(r"# yaml-language-server: \$schema=/(usr/share/ds01)/(\S+)", first)
    assert found is not None
    rules = (SHIPPED.parents[1] / "debian" / "rules").read_text()
    assert f"ds01.main policy schema >debian/build/{found[2]}" in rules
    assert f"$(package)/{found[1]} debian/build/{found[2]}" in rules
