"""Doctor on an installed host: content with a sound one, and what it says it mends it mends."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.host.machine import Host
from tests.server import DAEMON, IMAGE
from tests.waiting import until

POLICY = """\
defaults: {max_cpus: 1, memory: 96m, shm_size: 24m, ulimits: {memlock: null}}
default_group: students
groups: {students: {}}
ports: []
policies: {stop_grace: 1s}
"""
DEPLOY = f"container-deploy thesis --image {IMAGE} --background"
STATE = "/var/lib/ds01"
RECORDS = f"{STATE}/container-metadata"
LOG = "/var/log/ds01"


@pytest.fixture
def lab(host: Host) -> Iterator[Host]:
    host.write("/etc/ds01/resource-limits.yaml", POLICY)
    live_restore(host, True)
    # It is there, and does nothing: a tick between what a test breaks and what doctor finds would mend it.
    host.run("systemctl start cron && systemctl kill --signal=STOP cron && ds01 tick")
    host.run(DEPLOY, user="alice")
    yield host
    live_restore(host, False)


def live_restore(host: Host, wanted: bool) -> None:
    """Whether containers outlive dockerd, which reads its file some time after it is told to."""
    host.write("/etc/docker/daemon.json", json.dumps(DAEMON | {"live-restore": wanted}))
    host.run("systemctl reload docker")
    until(lambda: host.docker("info", "--format", "{{.LiveRestoreEnabled}}") == json.dumps(wanted))


def findings(lab: Host, *options: str, code: int | None = None) -> dict[str, dict[str, object]]:
    """What is not well, by check."""
    answer = lab.answer(" ".join(["ds01 doctor", *options]), code=code)
    return {item["check"]: item for item in answer["findings"] if item["level"] != "ok"}


def test_a_sound_host_is_sound_for_root_and_for_users(lab: Host) -> None:
    assert findings(lab) == {}
    lab.run("ds01 doctor")
    assert "All is well" in lab.run("ds01 doctor", user="alice").stdout
    lab.run("ds01 doctor --fix", user="alice", code=3)


def test_what_umask_077_and_docker_stop_leave_is_mended_at_once(lab: Host) -> None:
    lab.run(f"chmod 700 {STATE}; chmod 600 {RECORDS}/*.json {LOG}/tick.log; rm /usr/bin/container-list")
    name = lab.docker("ps", "--format", "{{.Names}}")
    lab.docker("stop", "-t", "0", name)
    assert set(findings(lab, code=2)) == {"state-modes", "records-docker", "links"}
    mended = findings(lab, "--fix", code=0)
    assert all(item["fixable"] and item["fixed"] for item in mended.values()) and len(mended) == 3
    assert findings(lab) == {}
    assert lab.mode(STATE) == "2775 root docker"
    assert lab.mode(f"{RECORDS}/{name}.json") == "664 root docker"
    assert lab.mode(f"{LOG}/tick.log") == "664 root docker"
    lab.run("container-list", user="bob")


def test_a_lost_record_and_an_unreadable_one_are_made_from_the_labels(lab: Host) -> None:
    lab.run(DEPLOY, user="bob")
    lab.run(f"rm {RECORDS}/thesis._.$(id -u alice).json; echo '{{' >{RECORDS}/thesis._.$(id -u bob).json")
    assert set(findings(lab, code=2)) == {"records-missing", "records-unreadable", "picture"}
    findings(lab, "--fix", code=0)
    for user in ("alice", "bob"):
        (container,) = lab.answer("container-list", user=user)["containers"]
        assert container["state"] == "running" and len(container["gpus"]) == 1


def test_a_picture_that_somebody_edited_is_drawn_anew(lab: Host) -> None:
    path = f"{STATE}/gpu-state.json"
    before = lab.read(path)
    lab.write(path, '{"allocations": {}}', mode=0o664)
    assert findings(lab, code=1)["picture"]["fixable"]
    findings(lab, "--fix", code=0)
    assert json.loads(lab.read(path))["allocations"] == json.loads(before)["allocations"] != {}
    assert lab.mode(path) == "664 root docker"


def test_an_old_tick_a_missing_entry_and_a_dead_cron_are_errors(lab: Host) -> None:
    lab.run("mv /etc/cron.d/ds01 /root; systemctl stop cron")
    lab.write(f"{STATE}/tick.json", '{"started_at": "2020-01-01T00:00:00Z", "errors": []}')
    found = findings(lab, code=2)
    lab.run("mv /root/ds01 /etc/cron.d/ds01")
    assert {check: item["level"] for check, item in found.items()} == dict.fromkeys(
        ("cron", "cron-daemon", "tick"), "error"
    )


def test_emergency_stop_ends_everything_at_once(lab: Host) -> None:
    lab.run(DEPLOY, user="bob")
    lab.docker("run", "-d", "--name", "foreign", IMAGE, "sleep", "1000")
    lab.run("ds01 emergency-stop --all -y", user="bob", code=3)
    lab.run("ds01 emergency-stop --all -y")
    assert lab.docker("ps", "--format", "{{.Names}}") == "foreign"
    assert findings(lab) == {}
