"""Convert the limits of one section of an old policy: `defaults`, a group or a user."""

from __future__ import annotations

from dataclasses import field

from ds01.dataclass import dataclass
from ds01.policy.legacy import keys
from ds01.policy.legacy.draft import Block, Change, comment_text
from ds01.policy.legacy.input_files import section_entries
from ds01.policy.legacy.values import CONVERTERS, NULL
from ds01.policy.reading.nodes import Mapping, Node, Scalar, Sequence
from ds01.policy.reading.problems import InvalidNode, ProblemList
from ds01.policy.reading.reader_schema import NodeReader
from ds01.policy.reading.schema import LIMITS, NESTED, ULIMITS
from ds01.policy.units import InvalidValue


@dataclass
class ImportNotes:
    """What happened to the old keys, in reading order."""

    changes: list[Change] = field(default_factory=list)

    def add_change(self, file: str, line: int, key: str, text: str) -> None:
        """Note a key that is written differently now."""
        self.changes.append(Change(file, line, key, text))

    def add_removed(self, block: Block, file: str, key: str, node: Node, why: str) -> None:
        """Note a key without a counterpart and all keys below it, also as comments of the block."""
        for path, line, text in leaves(node, key):
            block.comments.append(f"{path}: {comment_text(text)}   ({why})")
            self.changes.append(Change(file, line, path, f"not taken over: {why}"))


def convert_limits(node: Node, where: str, file: str, notes: ImportNotes, *, aggregate: bool = True) -> Block:
    """Return the limits of the section `where`. Other keys are left to the caller.

    `aggregate` False: the limits for all containers together were disabled.
    """
    block = Block()
    converted: dict[str, str] = {}
    flat = dict(_flatten(node))
    for old, (key, form) in keys.LIMITS.items():
        value = flat.pop(old, None)
        if value is None:
            continue
        path = f"{where}.{old}"
        if key.startswith("aggregate.") and not aggregate:
            notes.add_removed(block, file, path, value, "enforcement.aggregate_limits was false")
            continue
        text, problem = _convert_value(key, form, value)
        if problem is not None:
            notes.add_removed(block, file, path, value, problem)
        elif key in converted:
            if converted[key] != text:
                notes.add_removed(block, file, path, value, f"{key}: {converted[key]} counts")
        else:
            converted[key] = text
            block.set_key(key, text)
            if old != key or not isinstance(value, Scalar) or text != value.text:
                notes.add_change(file, value.line, path, f"now {key}: {text}{_change_remark(old, value)}")
    if converted.get("memory_swap") is not None and converted["memory_swap"] == converted.get("memory"):
        block.set_key("memory_swap", NULL)  # no swap, also where only memory is raised
        notes.add_change(file, node.line, f"{where}.memory_swap", "now null: as memory, so no swap")
    for name, value in flat.items():
        if not is_limit(name):
            continue
        text, problem = _convert_value(name, "same", value)
        if problem is None:
            block.set_key(name, text)
        else:
            notes.add_removed(block, file, f"{where}.{name}", value, problem)
    return block


def is_limit(name: str) -> bool:
    """Return whether a key is a current limit, like `memory`, `aggregate.memory` or `ulimits.stack`."""
    section, dot, inner = name.partition(".")
    if not dot or section not in NESTED:
        return name in LIMITS
    return inner in (ULIMITS if section == "ulimits" else ("max_cpus", "memory", "max_tasks"))


def other_keys(node: Node) -> dict[str, Node]:
    """Return the keys of a section that are neither old nor new limits."""
    return {name: value for name, value in _flatten(node) if name not in keys.LIMITS and not is_limit(name)}


def removal_reason(path: str) -> str | None:
    """Return why an old policy's key has no counterpart; None for other keys."""
    parts = path.split(".")
    if parts[0] in ("groups", "user_overrides") and len(parts) > 2:
        inner = ".".join(parts[2:])
        paths = [f"groups.*.{inner}", f"groups.*.{parts[2]}", inner, parts[2]]
    else:
        paths = [".".join(parts[:length]) for length in range(len(parts), 0, -1)] + [".".join(parts[1:]), parts[-1]]
    return next((keys.REMOVED_KEYS[each] for each in paths if each in keys.REMOVED_KEYS), None)


def find_problem(reader: NodeReader, text: str) -> str | None:
    """Return why the current reader rejects a value; None if it accepts it."""
    problems = ProblemList("")
    try:
        reader(Scalar(1, None, text, plain=True), "", problems)
    except InvalidNode as wrong:
        return f"{wrong.problem}; allowed: {wrong.allowed}"
    return problems.entries[0].problem if problems.entries else None


def leaves(node: Node, path: str) -> list[tuple[str, int, str]]:
    """Return path, line and text of every value in a section and its subsections."""
    if isinstance(node, Mapping) and node.entries:
        return [leaf for name, _, value in section_entries(node) for leaf in leaves(value, f"{path}.{name}")]
    if isinstance(node, Sequence):
        return [(path, node.line, f"[{', '.join(comment_text(_node_text(item)) for item in node.items)}]")]
    return [(path, node.line, _node_text(node))]


def _node_text(node: Node) -> str:
    if isinstance(node, Scalar):
        return NULL if node.is_null else node.text
    return "{...}" if isinstance(node, Mapping) and node.entries else "{}"


def _flatten(node: Node) -> list[tuple[str, Node]]:
    """Return the keys of a section; nested limits have names like `aggregate.memory`."""
    found: list[tuple[str, Node]] = []
    for name, _, value in section_entries(node):
        if name in NESTED and isinstance(value, Mapping):
            found += [(f"{name}.{inner}", part) for inner, _, part in section_entries(value)]
        elif name not in NESTED:
            found.append((name, value))
    return found


def _convert_value(key: str, form: str, value: Node) -> tuple[str, str | None]:
    """Return a value in the current form, and if that fails, why."""
    if value.fault is not None or not isinstance(value, Scalar):
        return "", value.fault or "it is not a single value"
    try:
        text = NULL if value.is_null else CONVERTERS[form](value.text)
    except InvalidValue as error:
        return "", str(error)
    section, dot, inner = key.partition(".")
    if not dot:
        return text, find_problem(LIMITS[key], text)
    problems = ProblemList("")
    name, part = Scalar(1, None, inner, plain=True), Scalar(1, None, text, plain=True)
    LIMITS[section](Mapping(1, None, [(name, part)]), section, problems)
    return text, problems.entries[0].problem if problems.entries else None


def _change_remark(old: str, value: Node) -> str:
    """Return what else changes with the new value."""
    if old in ("max_gpu_equivalents", "aggregate.gpu_limit"):
        return " (it counted parts of GPUs; now each GPU or MIG instance counts as one)"
    if old == "max_tasks":
        return " (of all containers of one user)"
    return ""
