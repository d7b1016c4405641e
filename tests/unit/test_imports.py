"""The packages: which may import which, and what only one place does. Each test names all files that break its rule."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ds01"
FILES = sorted(PACKAGE.rglob("*.py"))

# What each package may import besides itself, errors.py and dataclass.py. A name stands for the package with everything
# below it, and the longest name that fits a file counts: the groups inside lifecycle and engines have rules of their
# own.
ENGINES = {"engines.engine_errors", "engines.protocol", "engines.pull_errors", "engines.references", "policy", "system"}
STORED = {"engines", "gpus", "journal", "placement", "policy", "records", "system"}
ALLOWED: dict[str, set[str]] = {
    "system": set(),
    "journal": {"policy", "system"},
    "policy": {"system"},
    "engines": {"policy", "system"},
    "engines.docker": ENGINES,
    "engines.simulated": ENGINES,
    "gpus": {"system"},
    "placement": {"engines.protocol", "gpus", "policy"},
    "records": {"engines.protocol", "gpus", "journal", "policy", "system"},
    "api": {"engines.protocol", "engines.references", "gpus", "placement", "policy", "records", "system"},
    "lifecycle": {*STORED, "api"},
    "lifecycle.spec": {"engines", "gpus", "policy", "records", "system"},
    "lifecycle.context": STORED,
    "lifecycle.reconciliation": {*STORED, "api", "lifecycle.context", "lifecycle.spec"} - {"journal"},
    "observe": {*STORED, "api", "lifecycle"},
    "gate": {*STORED, "api", "lifecycle", "observe"},
    "images": {"engines.protocol", "engines.references", "policy", "system"},
    "projects": {"lifecycle.spec", "policy", "system"},
    "automation": {*STORED, "lifecycle", "observe"},
    "pages": {"api", "gpus", "policy", "system"},
    "host": {*STORED, "api", "lifecycle", "observe", "gate", "automation", "pages"},
    "cli": {"api", "gate", "gpus", "host", "images", "journal", "pages", "policy", "projects", "system"},
    "cli.ui": {"api.types", "gpus", "journal", "policy", "system"},
}
ASKING = {"print", "input", "breakpoint"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def package(path: Path) -> str | None:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else None


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))


def attributes(path: Path, of: str | None = None) -> set[str]:
    """The names after a dot; `of`: only those after this name."""
    return {
        node.attr
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and (of is None or (isinstance(node.value, ast.Name) and node.value.id == of))
    }


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions."""
    own = list(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = own[: len(own) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def rule_of(path: Path) -> str | None:
    """The longest name in ALLOWED that fits a file."""
    parts = path.relative_to(PACKAGE).parts[:-1]
    return next((key for n in range(len(parts), 0, -1) if (key := ".".join(parts[:n])) in ALLOWED), None)


def is_within(module: str, names: set[str]) -> bool:
    return any(f"{module}.".startswith(f"ds01.{each}.") for each in names)


def test_packages_import_only_those_below() -> None:
    wrong = [
        f"{name(path)} imports {module}"
        for path in FILES
        if (own := rule_of(path)) is not None
        for module in imported(path)
        if module.startswith("ds01.")
        and module.split(".")[1] in {each.partition(".")[0] for each in ALLOWED}
        and not is_within(module, {own} | ALLOWED[own])
    ]
    assert not wrong


def test_every_package_has_a_rule() -> None:
    assert not [name(path) for path in FILES if package(path) is not None and rule_of(path) is None]


@pytest.mark.parametrize("bottom", ["errors.py", "dataclass.py"])
def test_nothing_is_below_errors_and_the_decorator(bottom: str) -> None:
    assert not [module for module in imported(PACKAGE / bottom) if module.startswith("ds01")]


def test_dataclasses_are_postponed() -> None:
    """The standard decorator does its work at import, which every command pays for."""
    wrong = [
        name(path)
        for path in FILES
        if name(path) != "ds01/dataclass.py"
        and ("dataclasses.dataclass" in imported(path) or "dataclass" in attributes(path, "dataclasses"))
    ]
    assert not wrong


def test_nothing_below_cli_prints_or_asks() -> None:
    wrong = []
    for path in FILES:
        if package(path) == "cli" or name(path) == "ds01/main.py":
            continue
        called = {
            node.func.id for node in nodes(path) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        modules = {module.split(".")[0] for module in imported(path)}
        used = called & ASKING | modules & {"click", "rich", "getpass", "readline", "curses"}
        used |= attributes(path, "sys") & {"stdout", "stdin", "stderr"}
        wrong += [f"{name(path)}: {word}" for word in used]
    assert not wrong


def test_only_one_place_knows_the_sdk_nvml_and_prometheus() -> None:
    wrong = []
    for path in FILES:
        modules = {module.split(".")[0] for module in imported(path)}
        if "docker" in modules and not name(path).startswith("ds01/engines/docker/"):
            wrong.append(f"{name(path)}: docker")
        if "pynvml" in modules and name(path) != "ds01/gpus/nvml.py":
            wrong.append(f"{name(path)}: pynvml")
        if "prometheus_client" in modules and name(path) != "ds01/observe/metrics/exposition.py":
            wrong.append(f"{name(path)}: prometheus_client")
    assert not wrong


# main.py reads what steers ds01; programs.py hands the caller's environment on to what it starts; output.py asks what
# the terminal can do (NO_COLOR, TERM).
MAY_READ_ENVIRONMENT = ("ds01/main.py", "ds01/system/programs.py", "ds01/cli/ui/output.py")


def test_only_main_reads_the_environment() -> None:
    wrong = []
    for path in FILES:
        if name(path) in MAY_READ_ENVIRONMENT:
            continue
        used = attributes(path, "os") | {module.removeprefix("os.") for module in imported(path)}
        wrong += [f"{name(path)}: {word}" for word in used & {"environ", "environb", "getenv"}]
    assert not wrong


def test_lifecycle_reads_no_working_directory_home_or_terminal() -> None:
    forbidden = {"getcwd", "cwd", "expanduser", "umask", "isatty", "get_terminal_size", "getlogin"}
    wrong = [
        f"{name(path)}: {word}"
        for path in FILES
        if package(path) == "lifecycle"
        for word in attributes(path) & forbidden
    ]
    assert not wrong


def page_table() -> list[tuple[str, int, set[str]]]:
    """The rows of the table of docs/architecture.md: package, lines of code in hundreds, imports."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = page.partition("<!-- packages -->\n")[2].partition("\n<!-- end of packages -->")[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
    return [(own.strip("`"), int(lines), set(re.findall(r"`([^`]+)`", others))) for own, lines, others in rows]


def test_the_architecture_page_has_these_rules() -> None:
    assert [(own, others) for own, _, others in page_table()] == list(ALLOWED.items())


def test_the_architecture_page_has_the_size_of_each_package() -> None:
    """To a quarter, so that not every change needs a new number."""
    sizes = dict.fromkeys(ALLOWED, 0)
    for path in FILES:
        if (own := rule_of(path)) is not None:
            sizes[own] += len(path.read_text("utf-8").splitlines())
    wrong = {
        own: f"{lines}, and it has {sizes[own]} lines"
        for own, lines, _ in page_table()
        if not 0.75 * sizes[own] <= lines * 100 <= 1.25 * sizes[own] + 50
    }
    assert not wrong


def test_no_package_has_more_than_fifteen_files_on_one_level() -> None:
    folders = {path.parent for path in FILES}
    counted = {
        name(folder): len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) for folder in folders
    }
    assert not {folder: count for folder, count in counted.items() if count > 15}


def test_only_the_observer_lists_containers() -> None:
    allowed = {"ds01/lifecycle/context/observer.py"}
    wrong = [
        name(path)
        for path in FILES
        if package(path) != "engines" and name(path) not in allowed
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "containers"
        and isinstance(node.func.value, ast.Attribute)
        and node.func.value.attr in ("engine", "_engine")
    ]
    assert not wrong


def test_no_object_is_known_everywhere() -> None:
    """Plain data (frozen dataclasses, enums) may be; of an object with methods everybody would depend on all of it."""
    importers: dict[tuple[str, str], set[str]] = {}
    for path in FILES:
        for node in nodes(path):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ds01."):
                for alias in node.names:
                    importers.setdefault((str(node.module), alias.name), set()).add(name(path))
    wrong = []
    for (module, imported_name), files in importers.items():
        home = ROOT / f"{module.replace('.', '/')}.py"
        if not home.is_file() or not _is_object(home, imported_name):
            continue
        outside = [path for path in FILES if path.parent != home.parent]
        inside = {name(path) for path in FILES if path.parent == home.parent}
        if len(files - inside) > len(outside) / 3:
            wrong.append(f"{module}.{imported_name}: {len(files - inside)} of {len(outside)} files")
    assert not wrong


def _is_object(path: Path, class_name: str) -> bool:
    """Return whether a name is a class that is neither a frozen dataclass, an enum nor an exception."""
    for node in nodes(path):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            decorators = {ast.unparse(item) for item in node.decorator_list}
            bases = {ast.unparse(base) for base in node.bases}
            plain = "dataclass(frozen=True)" in decorators or bases & {"Enum", "Exception"}
            return not plain and not any(base.endswith(("Error", "Exception")) for base in bases)
    return False
