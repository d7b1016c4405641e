"""Parse YAML into a tree of untyped texts with their lines: `48:00`, `no` and `0123` stay texts.

The tree is built from the parser's events, without recursion, so that tags, aliases and nesting can do no harm.
"""

from __future__ import annotations

import re

import yaml

from ds01.dataclass import dataclass
from ds01.policy.reading.problems import InvalidNode

MAX_DEPTH = 16  # a policy needs five levels
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
# Characters that YAML forbids. Checked here, as its two parsers report them differently, one without a line.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Node:
    """A place in the file. `fault` names YAML that a policy may not use; the node's reader reports it."""

    line: int
    fault: str | None


@dataclass
class Scalar(Node):
    """A text; `plain` if it had no quotes."""

    text: str
    plain: bool

    @property
    def is_null(self) -> bool:
        """Whether there is no value here. A quoted "null" is a text."""
        return self.plain and self.text in _NULLS


@dataclass
class Sequence(Node):
    """A list."""

    items: list[Node]


@dataclass
class Mapping(Node):
    """A section: keys and values in file order, repeated keys included."""

    entries: list[tuple[Node, Node]]


def parse_yaml(text: str) -> Node | None:
    """Return the single document in `text`; None if there is none. Raises InvalidNode if it is not YAML."""
    forbidden = _FORBIDDEN.search(text)
    if forbidden:
        line = text.count("\n", 0, forbidden.start()) + 1
        raise InvalidNode(line, "", f"the character {forbidden[0]!a} is not allowed in YAML", "text in UTF-8")
    try:
        return _build(text)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text) from error
    except (yaml.YAMLError, ValueError, IndexError) as error:  # the last two are bugs of the pure Python parser
        raise InvalidNode(None, "", f"not YAML: {error}") from error


def _syntax_error(error: yaml.MarkedYAMLError, text: str) -> InvalidNode:
    mark = error.problem_mark
    if mark is None:
        return InvalidNode(None, "", f"not YAML: {error.problem or error.context}")
    character = "".join(text.splitlines()[mark.line : mark.line + 1])[mark.column : mark.column + 1]
    if character == "\t":  # the parser's message does not name it, and editors show it as spaces
        return InvalidNode(mark.line + 1, "", "the line begins with a tab", "spaces")
    return InvalidNode(mark.line + 1, "", f"not YAML: {error.problem or error.context}")


def _build(text: str) -> Node | None:
    root: Node | None = None
    open_nodes: list[Sequence | Mapping] = []
    keys: list[Node | None] = []  # for each open node, the key whose value comes next
    documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            open_nodes.pop()
            keys.pop()
            continue
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise InvalidNode(_line(event), "", "a second document begins here", "one document")
        if not isinstance(event, yaml.NodeEvent):
            continue
        node = _node(event)
        if not open_nodes:
            root = node
        elif isinstance(parent := open_nodes[-1], Sequence):
            parent.items.append(node)
        elif (key := keys[-1]) is None:
            keys[-1] = node
        else:
            node.line = key.line  # people look for the key, even if its value is on the next line
            parent.entries.append((key, node))
            keys[-1] = None
        if isinstance(node, (Sequence, Mapping)):
            open_nodes.append(node)
            keys.append(None)
            if len(open_nodes) > MAX_DEPTH:
                raise InvalidNode(node.line, "", f"nested more than {MAX_DEPTH} levels deep")
    return root


def _node(event: yaml.NodeEvent) -> Node:
    line = _line(event)
    if isinstance(event, yaml.ScalarEvent):
        return Scalar(line, _fault(event), event.value, plain=not event.style)
    if isinstance(event, yaml.SequenceStartEvent):
        return Sequence(line, _fault(event), [])
    if isinstance(event, yaml.MappingStartEvent):
        return Mapping(line, _fault(event), [])
    return Scalar(line, "an alias (`*name`) is not allowed: write the value out", "", plain=True)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _fault(event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> str | None:
    if event.anchor is not None:
        return "an anchor (`&name`) is not allowed: write the value out where it is needed"
    if event.tag is not None:
        return "a tag (`!name`) is not allowed: the key says what its value is"
    return None
