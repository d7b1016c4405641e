"""The codes of errors: each one that can be raised is listed, and no other."""

from __future__ import annotations

import ast
from pathlib import Path

from ds01 import errors
from ds01.api.refusals import CODES, error_of
from ds01.error_codes import ERRORS
from ds01.errors import Ds01Error
from ds01.gpus.model import Refusal, Rule
from tests.error_page import PAGE, page

SOURCES = sorted((Path(__file__).parents[2] / "ds01").rglob("*.py"))
CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Ds01Error)]


def given() -> dict[str, set[str]]:
    """The codes that calls give as `code="…"`, each with the names of what is called."""
    found: dict[str, set[str]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            for keyword in node.keywords:
                if (
                    keyword.arg == "code"
                    and isinstance(keyword.value, ast.Constant)
                    and isinstance(keyword.value.value, str)
                ):
                    found.setdefault(keyword.value.value, set()).add(ast.unparse(node.func))
    return found


def test_every_code_is_listed_and_every_listed_one_is_used() -> None:
    used = {kind.code for kind in CLASSES} | set(given()) | set(CODES.values())
    assert used == set(ERRORS)


def test_the_exit_code_of_a_code_is_that_of_the_errors_that_have_it() -> None:
    by_name = {kind.__name__: kind for kind in CLASSES}
    for kind in CLASSES:
        assert ERRORS[kind.code][0] == kind.exit_code, kind
    for code, names in given().items():
        for name in names:
            assert ERRORS[code][0] == by_name[name].exit_code or code == "interrupted", (code, name)


def test_every_rule_of_the_allocator_has_a_code_with_its_exit_code() -> None:
    assert set(CODES) == set(Rule)
    for rule in Rule:
        error = error_of(Refusal(rule, temporary=False, asked=1))
        assert error.code == CODES[rule]
        assert error.exit_code == ERRORS[error.code][0]


def test_other_words_keep_code_and_data() -> None:
    error = error_of(Refusal(Rule.QUOTA, temporary=False, asked=1)).reworded("you have enough", why=None, hint="wait")
    assert (error.code, error.exit_code, error.message, error.hint) == ("quota.gpus", 3, "you have enough", "wait")
    assert error.data is not None
    assert Ds01Error.from_json(error.to_json()).code == "quota.gpus"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "`python -m tests.error_page` writes it"
