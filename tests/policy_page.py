"""The page docs/policy.md, of which resource-limits.yaml(5) is made. `python -m tests.policy_page` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ds01.policy import units
from ds01.policy.json_schema import default_of, json_schema, key_texts, keys
from ds01.policy.reading.reader_schema import Schema
from ds01.policy.reading.schema import LEGACY_LIMITS, LIMITS

PAGE = Path(__file__).parents[1] / "docs" / "policy.md"
HEAD = f"""\
# The policy

`/etc/ds01/resource-limits.yaml` says who may use how much of the server, and for how long. ds01 reads it at every
command and every tick, so nothing has to be restarted after a change. The shipped file is a policy that works.

Check a draft, and see what it would change for whom, before you put it in place:

```console
$ sudo ds01 policy check draft.yaml
$ sudo ds01 policy check draft.yaml --against-current
```

A policy with a mistake is refused as a whole. Every message names the file, the line, the key and what is allowed.
Commands then fail with exit code 1; the tick goes on with the last good policy.

## How values are written

- A duration is {units.DURATION_FORM}. Days have 24 hours.
- A size is {units.SIZE_FORM}. Units are powers of 1024.
- A time is {units.TIME_FORM}.
  A date alone is that whole day in the server's time zone (`/etc/localtime`).
- `null` is no limit, or never. Zero is zero.
- A duration or a size without its unit, an unknown key and a repeated key are mistakes. YAML's anchors, aliases and
  tags are not allowed.

## Who gets what

Each limit is decided on its own: an exemption in force, else the user's override in force, else the user's group, else
`defaults`, else the built-in default that this page names. `ds01 limits USER --explain` shows the result and where each
value comes from.

```yaml
defaults:
  memory: 32g
  idle_timeout: 48h
default_group: students
groups:
  students: {{unix_groups: [students]}}
  staff:    {{members: [carol], memory: 64g}}
user_overrides:
  alice: {{memory: 96g, until: 2027-03-31, reason: "thesis"}}
```

Alice has 96g until the end of March, whatever her group is. Carol has 64g. Both have 48h.
"""
TAIL = """\
## Keys of older installations

These are read as the key beside them, and `ds01 doctor` says what to write instead. Values in hours are numbers without
a unit.

{old}

## Files

- `/etc/ds01/resource-limits.yaml`: the policy, mode 0644.
- `/etc/ds01/groups/NAME.members`: more members of the group NAME, one login in each line.
- `/usr/share/ds01/resource-limits.schema.json`: the JSON Schema, as `ds01 policy schema` prints it.
"""
TITLES = {"defaults": "Limits: in `defaults`, in a group, in a user override", "": "The server as a whole"}
ANYWHERE = "`defaults`, a group, a user override"
OWN = {"groups": "a group", "user_overrides": "a user override"}


def page() -> str:
    """Return the page, with one section for each section of the policy and one entry for each key."""
    old = "\n".join(f"- `{name}`: `{today.key}`" for name, today in LEGACY_LIMITS.items())
    return "\n".join([HEAD, *_sections(), TAIL.format(old=old)])


def _sections() -> Iterator[str]:
    plain: list[str] = []
    found: dict[str, list[str]] = {}
    for section, path, name, part in keys(json_schema()):
        if path == section and "properties" not in json.dumps(part):
            plain.append(_entry(path, part, "the top of the file"))
        elif path == section:
            found[section] = [f"## {TITLES.get(section, f'`{section}`')}\n\n{_introduction(path)}"]
        elif section not in OWN or (name not in LIMITS and not path.startswith("defaults.")):
            where = ANYWHERE if path.startswith("defaults.") else OWN.get(section, f"`{section}`")
            found[section].append(_entry(path, part, where))
    for entries in found.values():
        yield "\n".join(entries)
    yield "\n".join([f"## {TITLES['']}\n", *plain])


def _introduction(path: str) -> str:
    texts = key_texts()[path]
    return f"{_sentence(texts.title)} {texts.text}\n\nExample: `{path}: {texts.example}`\n"


def _entry(path: str, part: Schema, where: str) -> str:
    texts = key_texts()[path]
    lines = [f"### `{path.removeprefix('defaults.')}`", "", f"{_sentence(texts.title)} {texts.text}", ""]
    allowed = part.get("errorMessage", "a section")
    lines.append(f"- Allowed: {allowed}")
    if texts.unit:
        lines.append(f"- Unit: {texts.unit}")
    default = default_of(path, part)
    if default and len(json.dumps(default)) < 200:
        lines.append(f"- Default: `{json.dumps(default['default'], ensure_ascii=False).strip(chr(34))}`")
    elif default:
        lines.append(f"- Default: {len(default['default'])} names, which the shipped file lists")
    lines.append(f"- Stands in: {where}")
    lines.append(f"- Example: `{path.rpartition('.')[2]}: {texts.example}`")
    lines.append(f"- When changed: {texts.change}")
    return "\n".join([*lines, ""])


def _sentence(title: str) -> str:
    return title[0].upper() + title[1:] + ("" if title.endswith("?") else ".")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
