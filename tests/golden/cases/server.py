"""Administration: doctor, slices, users, emergency stop."""

from __future__ import annotations

import os

from tests.golden.case import Case, Stage, Step, file, outside

_RUNNING = "container-deploy thesis pytorch --cpu-only --background"
_real_identity = Step("the commands see who they are", lambda stage: stage.ds.use_real_identity())


def _link(stage: Stage) -> None:
    stage.path("link").symlink_to("/etc/passwd")


def _directory_of_bob(stage: Stage) -> None:
    os.chown(stage.path("theirs/page.html").parent, 70002, 70002)


CASES = [
    Case("Doctor is for root when it fixes", "bob$ doctor --fix", (_real_identity,)),
    Case("Slices are for root", "bob$ slices apply", (_real_identity,)),
    Case("Slices of a sandbox", "root$ slices apply"),
    Case("Users are set up by root", "bob$ user add alice", (_real_identity,)),
    Case("An unknown user is set up", "root$ user add nobody-has-this"),
    Case("Stop everything without being an administrator", "bob$ emergency-stop --all -y"),
    Case("Stop everything of whom", "boss$ emergency-stop"),
    Case("Stop everything without a terminal", "boss$ emergency-stop --all", (_RUNNING,)),
    Case("Stop everything", "boss$ emergency-stop --all -y", (_RUNNING,)),
    Case("Stop everything when nothing runs", "boss$ emergency-stop --all -y"),
    Case("Stop everything, and one does not stop", "boss$ emergency-stop --all -y",
         (_RUNNING, "container-deploy other debian --cpu-only --background",
          outside("Docker lost a part of thesis", lambda stage: stage.ds.engine.break_container("thesis._.70001")))),
    Case("The notice of an emergency stop", "notices", (_RUNNING, "boss$ emergency-stop --all -y")),
    Case("The notice of a stop by an administrator", "notices", (_RUNNING, "boss$ container-stop thesis --user alice")),
    Case("No notices", "notices"),
    Case("Events of an hour", "events --last 1h",
         (_RUNNING, "boss$ container-stop thesis --user alice")),
    Case("Events of others", "events --all-users"),
    Case("Events of an unknown type", "events --type stopp"),
    Case("Events since no time", "events --since yesterday"),
    Case("Logs are for administrators", "logs"),
    Case("A log that does not exist", "boss$ logs passwd"),
    Case("A log that is followed without its name", "boss$ logs --follow"),
    Case("The dashboard without a terminal", "dashboard"),
    Case("The dashboard once, with an interval", "dashboard --once --interval 5"),
    Case("A page of the server", "root$ status --html ROOT/page.html"),
    Case("A page in place of another file", "root$ status --html ROOT/notes", (file("notes", "mine"),)),
    Case("A page in place of a link", "root$ status --html ROOT/link", (outside("ROOT/link is a link", _link),)),
    Case("A page where somebody else could replace it", "root$ status --html ROOT/theirs/page.html",
         (outside("ROOT/theirs belongs to bob", _directory_of_bob),)),
]  # fmt: skip
