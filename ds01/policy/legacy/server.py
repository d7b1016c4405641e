"""Convert the sections of an old policy about the server: GPUs, automation, network, monitoring."""

from __future__ import annotations

from ds01.policy.legacy import keys
from ds01.policy.legacy.draft import Block, yaml_list
from ds01.policy.legacy.input_files import child_node, node_texts, section_entries
from ds01.policy.legacy.limits import ImportNotes, find_problem, removal_reason
from ds01.policy.legacy.values import CONVERTERS, NULL, convert_flag
from ds01.policy.model import OutsideUse
from ds01.policy.reading.nodes import Mapping, Node, Scalar
from ds01.policy.reading.schema import LIMITS, SERVER_KEYS
from ds01.policy.units import InvalidValue

UNKNOWN_KEY = "not a key of ds01-infra; if it is one of today's, copy it by hand"


def aggregate_limits_off(main: Mapping) -> bool:
    """Return whether the limits for all containers of a user together were disabled."""
    return _equals(child_node(child_node(main, "enforcement"), "aggregate_limits"), "false")


def convert_server(main: Mapping, root: Block, file: str, notes: ImportNotes) -> None:
    """Fill `gpu_allocation`, `policies`, `network` and `outside` of the new policy."""
    _convert_gpu_allocation(main, root, file, notes)
    _convert_policies(main, root, file, notes)
    for name, _, value in section_entries(child_node(main, "advanced")):
        path = f"advanced.{name}"
        if name == "network_mode" and "".join(node_texts(value)) in ("host", "bridge", "none"):
            root.entries["network"] = "".join(node_texts(value))
            notes.add_change(file, value.line, path, f"now network: {root.entries['network']}")
        elif name != "enable_mig":
            notes.add_removed(root, file, path, value, removal_reason(path) or UNKNOWN_KEY)
    for name, _, value in section_entries(child_node(main, "monitoring")):
        path = f"monitoring.{name}"
        if name == "infrastructure_containers" and node_texts(value):
            ignored = yaml_list(list(dict.fromkeys([*OutsideUse().ignore_containers, *node_texts(value)])))
            root.section("outside").entries["ignore_containers"] = ignored
            notes.add_change(file, value.line, path, "now outside.ignore_containers")
        else:
            notes.add_removed(root, file, path, value, removal_reason(path) or UNKNOWN_KEY)


def _convert_gpu_allocation(main: Mapping, root: Block, file: str, notes: ImportNotes) -> None:
    block = Block()
    old = child_node(main, "gpu_allocation")
    profiles, uses_mig = set(), None
    for _, _, gpu in section_entries(child_node(old, "mig_gpus")):
        enabled = _equals(child_node(gpu, "enable"), "true")
        uses_mig = bool(uses_mig) or enabled
        profiles |= set(node_texts(child_node(gpu, "profile"))) if enabled else set()
    for where, section in (("advanced", child_node(main, "advanced")), ("gpu_allocation", old)):
        value = child_node(section, "enable_mig")
        if value is None:
            continue
        text = convert_flag("".join(node_texts(value)))
        if find_problem(SERVER_KEYS["gpu_allocation"]["enable_mig"], text) is not None:
            notes.add_removed(block, file, f"{where}.enable_mig", value, "it is neither true nor false")
        else:
            block.entries["enable_mig"] = text
            if where == "advanced":
                notes.add_change(file, value.line, "advanced.enable_mig", "now gpu_allocation.enable_mig")
    if uses_mig is not None and "enable_mig" not in block.entries:
        block.entries["enable_mig"] = "true" if uses_mig else "false"
    for name, _, value in section_entries(old):
        path = f"gpu_allocation.{name}"
        if name in ("mig_profile", "placement", "prefer"):
            text = "".join(node_texts(value)) or NULL
            problem = find_problem(SERVER_KEYS["gpu_allocation"][name], text)
            if problem is None:
                block.entries[name] = text
            else:
                notes.add_removed(block, file, path, value, problem)
        elif name != "enable_mig":
            notes.add_removed(block, file, path, value, removal_reason(path) or UNKNOWN_KEY)
    if len(profiles) == 1 and find_problem(SERVER_KEYS["gpu_allocation"]["mig_profile"], *profiles) is None:
        (profile,) = profiles
        if block.entries.get("mig_profile") != profile:
            block.entries["mig_profile"] = profile
            notes.add_change(file, 1, "gpu_allocation.mig_gpus", f"now gpu_allocation.mig_profile: {profile}")
    root.entries["gpu_allocation"] = block


def _convert_policies(main: Mapping, root: Block, file: str, notes: ImportNotes) -> None:
    block = Block()
    for name, _, value in section_entries(child_node(main, "policies")):
        path = f"policies.{name}"
        if name == "auto_stop_idle":
            if _equals(value, "false"):
                _disable_idle_timeout(root)
                notes.add_change(file, value.line, path, "now idle_timeout: null everywhere")
        elif name == "max_containers_per_user":
            _convert_default_limit(root, name, value, file, notes)
        else:
            key, form = keys.POLICIES.get(name, (name, "same"))
            text, problem = _convert_value(key, form, value)
            if name not in keys.POLICIES:
                problem = removal_reason(path) or problem
            if problem is None and key not in block.entries:
                block.entries[key] = text
                if key != name:
                    notes.add_change(file, value.line, path, f"now policies.{key}: {text}")
            else:
                notes.add_removed(block, file, path, value, problem or f"{key} is set already")
    root.entries["policies"] = block


def _convert_value(key: str, form: str, value: Node) -> tuple[str, str | None]:
    readers = SERVER_KEYS["policies"]
    if key not in readers:
        return "", UNKNOWN_KEY
    if not isinstance(value, Scalar):
        return "", "it is not a single value"
    try:
        text = NULL if value.is_null else CONVERTERS[form](value.text)
    except InvalidValue as error:
        return "", str(error)
    return text, find_problem(readers[key], text)


def _convert_default_limit(root: Block, name: str, value: Node, file: str, notes: ImportNotes) -> None:
    """Convert a limit that older versions had in `policies`, unless `defaults` has it already."""
    text = "".join(node_texts(value)) or NULL
    defaults = root.section("defaults")
    if name in defaults.entries or find_problem(LIMITS[name], text) is not None:
        notes.add_removed(defaults, file, f"policies.{name}", value, f"defaults.{name} counts")
        return
    defaults.entries[name] = text
    notes.add_change(file, value.line, f"policies.{name}", f"now defaults.{name}: {text}")


def _disable_idle_timeout(root: Block) -> None:
    root.section("defaults").entries["idle_timeout"] = NULL
    for section in ("groups", "user_overrides"):
        for block in root.section(section).entries.values():
            if isinstance(block, Block):
                block.entries.pop("idle_timeout", None)


def _equals(node: Node | None, text: str) -> bool:
    return isinstance(node, Scalar) and convert_flag(node.text) == text
