"""Load a policy from its file, or raise PolicyUnreadable with all errors. Never falls back to a default."""

from __future__ import annotations

from datetime import datetime, tzinfo
from pathlib import Path

from ds01.policy.model import Policy
from ds01.policy.reading.build import build_policy
from ds01.policy.reading.emptied_members import with_last_members
from ds01.policy.reading.files import decode_utf8, describe_os_error, parse_members, read_content, read_members
from ds01.policy.reading.node_readers import Section
from ds01.policy.reading.nodes import Scalar, parse_yaml
from ds01.policy.reading.problems import InvalidNode, ProblemList, unreadable_policy
from ds01.policy.reading.schema import policy_reader
from ds01.policy.sources import PolicySources
from ds01.system.clock import server_zone


def load(path: Path, *, members: Path | None = None, zone: tzinfo | None = None) -> Policy:
    """Load the policy at `path`, as `load_sources` does."""
    return load_sources(path, members=members, zone=zone).policy


def load_current(path: Path, kept: Path, now: datetime) -> Policy:
    """Load the policy in force: as `load`, but with the last good members if a file of members was emptied.

    `kept` is the directory with the tick's copy of the policy and of the files of members.
    """
    return with_last_members(load_sources(path), kept / "groups", now)


def load_sources(path: Path, *, members: Path | None = None, zone: tzinfo | None = None) -> PolicySources:
    """Load the policy at `path` with the files of members in the directory `members` (None: `groups` beside it).

    Dates alone are days in `zone` (None: the server's zone, never the caller's).
    Raises PolicyUnreadable, with all errors at once.
    """
    problems = ProblemList(str(path))
    content = _content(path, problems)
    try:
        root = _sections(decode_utf8(content), zone or server_zone(), problems)
    except InvalidNode as wrong:
        problems.add_invalid(wrong)
        raise unreadable_policy(path, problems.entries) from wrong
    groups = root.values["groups"].lines if "groups" in root.values else {}
    folder = members or path.parent / "groups"
    files, group_problems = read_members(folder, groups)
    listed = {}
    for name, lines in files.items():
        member_problems = ProblemList(str(folder / name))
        listed[name.removesuffix(".members")] = parse_members(lines, member_problems)
        group_problems += member_problems.entries
    policy = build_policy(root, listed, path, problems)
    if problems.entries or group_problems:
        raise unreadable_policy(path, problems.entries + group_problems)
    return PolicySources(policy, content, files)


def check_text(text: str, path: Path, zone: tzinfo) -> Policy:
    """Load a policy from text, without files of members; `path` is for messages. Raises PolicyUnreadable."""
    problems = ProblemList(str(path))
    try:
        policy = build_policy(_sections(text, zone, problems), {}, path, problems)
    except InvalidNode as wrong:
        problems.add_invalid(wrong)
        raise unreadable_policy(path, problems.entries) from wrong
    if problems.entries:
        raise unreadable_policy(path, problems.entries)
    return policy


def _content(path: Path, problems: ProblemList) -> bytes:
    hint = "An administrator can fix it: the file must be regular, in UTF-8 and readable by everybody (mode 0644)."
    message = f"The policy {path} cannot be read."
    cause: Exception
    try:
        return read_content(path)
    except FileNotFoundError as error:
        message, cause = f"There is no policy at {path}.", error
        problems.add(None, "", "the file does not exist")
        hint = "An administrator can start with the policy that comes with ds01, and check it with `ds01 policy check`."
    except OSError as error:
        cause = error
        problems.add(None, "", describe_os_error(error))
    except InvalidNode as wrong:
        cause = wrong
        problems.add_invalid(wrong)
    raise unreadable_policy(path, problems.entries, message=message, hint=hint) from cause


def _sections(text: str, zone: tzinfo, problems: ProblemList) -> Section:
    node = parse_yaml(text)
    # A full disk can leave an empty file: sections may be empty, the file may not.
    if node is None or (isinstance(node, Scalar) and node.is_null):
        raise InvalidNode(1, "", "the file is empty", "sections like `defaults` and `groups`")
    root = policy_reader(zone)(node, "", problems)
    assert isinstance(root, Section)
    return root
