"""The sections of an old policy that are about the server: GPUs, automation, network, monitoring."""

from __future__ import annotations

from ds01.policy.legacy import keys
from ds01.policy.legacy.draft import Block, listed
from ds01.policy.legacy.limits import Notes, checked, reason
from ds01.policy.legacy.sources import child, entries, texts
from ds01.policy.legacy.values import FORMS, NULL, flag
from ds01.policy.model import Outside
from ds01.policy.reading.nodes import Mapping, Node, Scalar
from ds01.policy.reading.schema import LIMITS, SERVER_KEYS
from ds01.policy.units import NotAllowed

UNKNOWN = "not a key of ds01-infra; if it is one of today's, copy it by hand"


def switched_off(main: Mapping) -> bool:
    """Return whether the limits of all containers of a user together were switched off."""
    return _says(child(child(main, "enforcement"), "aggregate_limits"), "false")


def convert_server(main: Mapping, root: Block, file: str, notes: Notes) -> None:
    """Fill `gpu_allocation`, `policies`, `network` and `outside` of the new policy."""
    _gpu_allocation(main, root, file, notes)
    _policies(main, root, file, notes)
    for name, _, value in entries(child(main, "advanced")):
        path = f"advanced.{name}"
        if name == "network_mode" and "".join(texts(value)) in ("host", "bridge", "none"):
            root.entries["network"] = "".join(texts(value))
            notes.changed(file, value.line, path, f"now network: {root.entries['network']}")
        elif name != "enable_mig":
            notes.gone(root, file, path, value, reason(path) or UNKNOWN)
    for name, _, value in entries(child(main, "monitoring")):
        path = f"monitoring.{name}"
        if name == "infrastructure_containers" and texts(value):
            ignored = listed(list(dict.fromkeys([*Outside().ignore_containers, *texts(value)])))
            root.section("outside").entries["ignore_containers"] = ignored
            notes.changed(file, value.line, path, "now outside.ignore_containers")
        else:
            notes.gone(root, file, path, value, reason(path) or UNKNOWN)


def _gpu_allocation(main: Mapping, root: Block, file: str, notes: Notes) -> None:
    block = Block()
    old = child(main, "gpu_allocation")
    profiles, uses_mig = set(), None
    for _, _, gpu in entries(child(old, "mig_gpus")):
        enabled = _says(child(gpu, "enable"), "true")
        uses_mig = bool(uses_mig) or enabled
        profiles |= set(texts(child(gpu, "profile"))) if enabled else set()
    for where, section in (("advanced", child(main, "advanced")), ("gpu_allocation", old)):
        value = child(section, "enable_mig")
        if value is None:
            continue
        text = flag("".join(texts(value)))
        if checked(SERVER_KEYS["gpu_allocation"]["enable_mig"], text) is not None:
            notes.gone(block, file, f"{where}.enable_mig", value, "it is neither true nor false")
        else:
            block.entries["enable_mig"] = text
            if where == "advanced":
                notes.changed(file, value.line, "advanced.enable_mig", "now gpu_allocation.enable_mig")
    if uses_mig is not None and "enable_mig" not in block.entries:
        block.entries["enable_mig"] = "true" if uses_mig else "false"
    for name, _, value in entries(old):
        path = f"gpu_allocation.{name}"
        if name in ("mig_profile", "placement", "prefer"):
            text = "".join(texts(value)) or NULL
            problem = checked(SERVER_KEYS["gpu_allocation"][name], text)
            if problem is None:
                block.entries[name] = text
            else:
                notes.gone(block, file, path, value, problem)
        elif name != "enable_mig":
            notes.gone(block, file, path, value, reason(path) or UNKNOWN)
    if len(profiles) == 1 and checked(SERVER_KEYS["gpu_allocation"]["mig_profile"], *profiles) is None:
        (profile,) = profiles
        if block.entries.get("mig_profile") != profile:
            block.entries["mig_profile"] = profile
            notes.changed(file, 1, "gpu_allocation.mig_gpus", f"now gpu_allocation.mig_profile: {profile}")
    root.entries["gpu_allocation"] = block


def _policies(main: Mapping, root: Block, file: str, notes: Notes) -> None:
    block = Block()
    for name, _, value in entries(child(main, "policies")):
        path = f"policies.{name}"
        if name == "auto_stop_idle":
            if _says(value, "false"):
                _never_idle(root)
                notes.changed(file, value.line, path, "now idle_timeout: null everywhere")
        elif name == "max_containers_per_user":
            _default_limit(root, name, value, file, notes)
        else:
            key, form = keys.POLICIES.get(name, (name, "same"))
            text, problem = _converted(key, form, value)
            if name not in keys.POLICIES:
                problem = reason(path) or problem
            if problem is None and key not in block.entries:
                block.entries[key] = text
                if key != name:
                    notes.changed(file, value.line, path, f"now policies.{key}: {text}")
            else:
                notes.gone(block, file, path, value, problem or f"{key} is said already")
    root.entries["policies"] = block


def _converted(key: str, form: str, value: Node) -> tuple[str, str | None]:
    readers = SERVER_KEYS["policies"]
    if key not in readers:
        return "", UNKNOWN
    if not isinstance(value, Scalar):
        return "", "it is not one value"
    try:
        text = NULL if value.is_null else FORMS[form](value.text)
    except NotAllowed as error:
        return "", str(error)
    return text, checked(readers[key], text)


def _default_limit(root: Block, name: str, value: Node, file: str, notes: Notes) -> None:
    """Take a limit that once stood in `policies`, unless `defaults` says it already."""
    text = "".join(texts(value)) or NULL
    defaults = root.section("defaults")
    if name in defaults.entries or checked(LIMITS[name], text) is not None:
        notes.gone(defaults, file, f"policies.{name}", value, f"defaults.{name} counts")
        return
    defaults.entries[name] = text
    notes.changed(file, value.line, f"policies.{name}", f"now defaults.{name}: {text}")


def _never_idle(root: Block) -> None:
    root.section("defaults").entries["idle_timeout"] = NULL
    for section in ("groups", "user_overrides"):
        for block in root.section(section).entries.values():
            if isinstance(block, Block):
                block.entries.pop("idle_timeout", None)


def _says(node: Node | None, text: str) -> bool:
    return isinstance(node, Scalar) and flag(node.text) == text
