"""`ds01 policy schema` prints the schema, with or without a policy on this server."""

from __future__ import annotations

import json

from ds01.policy.json_schema import json_schema
from tests.command_line import CommandLine


def test_it_prints_the_schema(ds: CommandLine) -> None:
    assert json.loads(ds.ok("policy", "schema")) == json_schema()
    assert ds("policy", "schema", "--json").json == json_schema()


def test_it_needs_no_policy(ds: CommandLine) -> None:
    (ds.harness.root / "resource-limits.yaml").unlink()
    assert json.loads(ds.ok("policy", "schema"))["$schema"]
