"""The page docs/errors.md. `python -m tests.error_page` writes it."""

from __future__ import annotations

from pathlib import Path

from ds01.error_codes import ERRORS

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"
HEAD = """\
# Errors

With `--json`, a command that fails prints one object and nothing else on stdout:

```json
{"error": {"code": "gpu.none_free", "exit": 4, "message": "…", "why": "…", "hint": "…", "data": {}}}
```

`code` and `exit` are stable; the words may change. `why`, `hint` and `data` may be null. `data` has what a program can
use: the refusal of the allocator with who holds what until when (`refusal`), or a word for the cause (`problem`).

| code | exit code | cause | what helps |
|---|---|---|---|
"""


def page() -> str:
    """Return the page, with one row for each code, sorted by exit code."""
    rows = sorted(ERRORS.items(), key=lambda item: item[1][0])
    return HEAD + "".join(
        f"| `{code}` | {exit_code} | {cause} | {remedy} |\n" for code, (exit_code, cause, remedy) in rows
    )


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
