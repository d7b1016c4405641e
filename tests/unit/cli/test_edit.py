"""The editor runs with the uid of the user at the terminal, also under sudo."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ds01.cli.image import editor
from ds01.cli.session import Session
from ds01.system.settings import Settings
from tests.harness import Harness


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for others")
@pytest.mark.parametrize(("sudo_uid", "uid"), [(70001, "70001"), (None, "0")])
def test_the_editor_is_the_persons_own(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, sudo_uid: Any, uid: str
) -> None:
    script = harness.root / "editor"
    script.write_text('#!/bin/sh\necho "$(id -u) $(stat -c %a "$1") ${SECRET-none} $(cat "$1")" >"$1"\n')
    script.chmod(0o755)
    monkeypatch.setenv("SECRET", "of root")
    settings = Settings(state=harness.state, sandbox=True, sudo_uid=sudo_uid, editor=str(script))
    said = editor.edit(Session(settings), "FROM a", name="thesis.Dockerfile")
    assert said == f"{uid} 600 {'of root' if sudo_uid is None else 'none'} FROM a\n"
