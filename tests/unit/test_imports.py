"""The rooms: who may import whom, and what only one place does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ds01"
FILES = sorted(PACKAGE.rglob("*.py"))

# What each room may import besides itself and errors.py.
LOW = {"policy", "journal", "system"}
MIDDLE = LOW | {"gpus", "engines", "lifecycle"}
ALLOWED: dict[str, set[str]] = {
    "system": set(),
    "journal": {"system"},
    "policy": {"system"},
    "engines": LOW,
    "gpus": LOW | {"engines"},
    "lifecycle": LOW | {"gpus", "engines"},
    "automation": MIDDLE | {"observe"},
    "host": MIDDLE | {"automation", "observe"},
    "observe": MIDDLE | {"automation", "host"},
    "images": MIDDLE | {"automation", "host", "observe"},
    "projects": MIDDLE | {"automation", "host", "observe", "images"},
    "cli": MIDDLE | {"automation", "host", "observe", "images", "projects"},
}
ASKING = {"print", "input", "breakpoint"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room(path: Path) -> str | None:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else None


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions."""
    package = list(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def below_cli() -> list[Path]:
    return [path for path in FILES if room(path) != "cli" and name(path) != "ds01/main.py"]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_arrows_go_down(path: Path) -> None:
    own = room(path)
    if own is None:
        return
    for module in imported(path):
        parts = module.split(".")
        if parts[0] != "ds01" or len(parts) < 2 or parts[1] in ("errors", "commands", "__version__", own):
            continue
        assert parts[1] in ALLOWED[own], f"{name(path)} imports {module}"


def test_errors_are_at_the_bottom() -> None:
    assert not [module for module in imported(PACKAGE / "errors.py") if module.startswith("ds01")]


@pytest.mark.parametrize("path", below_cli(), ids=name)
def test_nothing_below_cli_prints_or_asks(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & ASKING
    modules = {module.split(".")[0] for module in imported(path)}
    assert not modules & {"click", "rich", "getpass", "readline", "curses"}
    standard = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sys"
    }
    assert not standard & {"stdout", "stdin", "stderr"}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_one_place_knows_the_sdk_and_nvml(path: Path) -> None:
    modules = {module.split(".")[0] for module in imported(path)}
    assert "docker" not in modules or name(path).startswith("ds01/engines/docker")
    assert "pynvml" not in modules or name(path) == "ds01/gpus/nvml.py"


# main.py reads what steers ds01; programs.py hands the caller's environment on to what it starts; output.py asks what
# the terminal can do (NO_COLOR, TERM).
ENVIRONMENT = ("ds01/main.py", "ds01/system/programs.py", "ds01/cli/output.py")


@pytest.mark.parametrize("path", [path for path in FILES if name(path) not in ENVIRONMENT], ids=name)
def test_only_main_reads_the_environment(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            assert node.attr not in ("environ", "environb", "getenv"), f"{name(path)}:{node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            assert not {alias.name for alias in node.names} & {"environ", "environb", "getenv"}


@pytest.mark.parametrize("path", [path for path in FILES if room(path) == "lifecycle"], ids=name)
def test_the_gates_room_reads_no_working_directory_home_or_terminal(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not attributes & {"getcwd", "cwd", "expanduser", "umask", "isatty", "get_terminal_size", "getlogin"}
