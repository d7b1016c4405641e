"""Doctor on an installed host: no finding on a healthy one, and `--fix` fixes what it offers to."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.host.machine import Host
from tests.server import A100, DAEMON, IMAGE, LIBRARY
from tests.wait import wait_until

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
POLICY_FILE = "/etc/ds01/resource-limits.yaml"
GROUP, SLICE = "ds01.slice/ds01-students.slice", "ds01-students-alice.slice"


@pytest.fixture
def lab(host: Host) -> Iterator[Host]:
    host.write(POLICY_FILE, POLICY)
    live_restore(host, True)
    # Installed, but idle: a tick between a test's fault and doctor would repair it.
    host.run("systemctl start cron && systemctl kill --signal=STOP cron && ds01 tick")
    host.run(DEPLOY, user="alice")
    yield host
    host.write(POLICY_FILE, POLICY)
    host.run("ds01 slices apply")
    live_restore(host, False)


def live_restore(host: Host, wanted: bool) -> None:
    """Set live-restore, and wait: dockerd reads its file some time after the signal."""
    host.write("/etc/docker/daemon.json", json.dumps(DAEMON | {"live-restore": wanted}))
    host.run("systemctl reload docker")
    wait_until(lambda: host.docker("info", "--format", "{{.LiveRestoreEnabled}}") == json.dumps(wanted))


def findings(lab: Host, *options: str, code: int | None = None) -> dict[str, dict[str, object]]:
    """What is not well, by check."""
    answer = lab.answer(" ".join(["ds01 doctor", *options]), code=code)
    return {item["check"]: item for item in answer["findings"] if item["level"] != "ok"}


def test_a_sound_host_is_sound_for_root_and_for_users(lab: Host) -> None:
    assert findings(lab) == {}
    lab.run("ds01 doctor")
    assert "All is well" in lab.run("ds01 doctor", user="alice").stdout
    lab.run("ds01 doctor --fix", user="alice", code=3)


def test_fix_repairs_modes_links_and_records_and_logs_events(lab: Host) -> None:
    lab.write(POLICY_FILE, POLICY.replace("students: {}", "students: {aggregate: {max_tasks: 200}}"))
    lab.run("ds01 slices apply")
    lab.run(f"chmod 700 {STATE}; chmod 600 {RECORDS}/*.json {LOG}/tick.log; rm /usr/bin/container-list")
    lab.run(f"chmod 666 /etc/cron.d/ds01; systemctl set-property {SLICE} TasksMax=77")
    name = lab.docker("ps", "--format", "{{.Names}}")
    lab.docker("stop", "-t", "0", name)
    assert lab.slice_file(f"{GROUP}/{SLICE}", "pids.max") == "77"
    assert set(findings(lab, code=2)) == {"state-modes", "records-docker", "links", "cron", "slices"}
    mended = findings(lab, "--fix", code=0)
    assert all(item["fixable"] and item["fixed"] for item in mended.values()) and len(mended) == 5
    assert findings(lab) == {}
    assert lab.mode(STATE) == "2775 root docker"
    assert lab.mode(f"{RECORDS}/{name}.json") == "664 root docker"
    assert lab.mode(f"{LOG}/tick.log") == "664 root docker"
    assert lab.mode("/etc/cron.d/ds01") == "644 root root"
    assert lab.slice_file(f"{GROUP}/{SLICE}", "pids.max") == "200"
    lab.run("container-list", user="bob")
    gid = lab.run("getent group docker | cut -d : -f 3").stdout.strip()
    made = repairs(lab)
    assert list(made) == [
        f"set {STATE} to mode 2775, uid 0, gid {gid}",
        f"set {RECORDS}/{name}.json to mode 0664, gid {gid}",
        f"set {LOG}/tick.log to mode 0664, gid {gid}",
        f"reconciled records with Docker: {name}: stop",
        f"set {SLICE} to 200 tasks",
        "set /etc/cron.d/ds01 to mode 0644, uid 0, gid 0",
        "created the link /usr/bin/container-list to ds01",
    ]
    assert made[f"set {SLICE} to 200 tasks"] == f"{SLICE} has 77 tasks, not 200 tasks"
    lab.run("groupmod -n moored docker")
    try:
        assert findings(lab, "--fix")["docker-group"]["fixed"]
        lab.run("getent group docker")
    finally:
        lab.run("groupdel docker; groupmod -n docker moored")


def repairs(lab: Host) -> dict[str, str]:
    """What the events say that root mended, and why."""
    events = [json.loads(line) for line in lab.read(f"{LOG}/events.jsonl").splitlines()]
    made = [event for event in events if event["type"] == "repair"]
    assert {(event["actor"], event["container"], event["user"]) for event in made} == {("root", None, None)}
    return {event["what"]: event["why"] for event in made}


def test_lost_and_unreadable_records_are_rebuilt_from_labels(lab: Host) -> None:
    lab.run(DEPLOY, user="bob")
    lab.run(f"rm {RECORDS}/thesis._.$(id -u alice).json; echo '{{' >{RECORDS}/thesis._.$(id -u bob).json")
    assert set(findings(lab, code=2)) == {"records-missing", "records-unreadable", "picture"}
    findings(lab, "--fix", code=0)
    for user in ("alice", "bob"):
        (container,) = lab.answer("container-list", user=user)["containers"]
        assert container["state"] == "running" and len(container["gpus"]) == 1


def test_edited_gpu_state_is_rewritten(lab: Host) -> None:
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
    # What systemd-cron has in place of a daemon.
    target = "/run/systemd/system/cron.target"
    lab.run(f"printf '[Unit]\\nDescription=cron\\n' >{target} && systemctl start cron.target")
    assert set(findings(lab, code=2)) == {"tick"}
    lab.run(f"systemctl stop cron.target && rm {target}")
    assert {check: item["level"] for check, item in found.items()} == dict.fromkeys(
        ("cron", "cron-daemon", "tick"), "error"
    )


def test_policy_people_and_gpu_faults_are_separate_findings(lab: Host) -> None:
    def planted(policy: str, *gpus: str) -> dict[str, str]:
        lab.write(POLICY_FILE, policy)
        lab.show_gpus(*gpus)
        return {check: f"{item['found']}; {item['why']}" for check, item in findings(lab).items()}

    first, second = map(A100.format, range(2))
    groups = "groups: {students: {members: [alice, allice, daemon]}}"
    others = POLICY.replace("default_group: students\ngroups: {students: {}}", groups)
    found = planted(others.replace("max_cpus: 1", "max_cpus: 1, max_runtime_h: 48"), first, second)
    assert set(found) == {"policy-old-keys", "people-unknown", "people-without-place", "people-without-docker"}
    assert "max_runtime_h" in found["policy-old-keys"] and "allice" in found["people-unknown"]
    assert "bob, carol may use Docker" in found["people-without-place"]
    assert "daemon is in the policy" in found["people-without-docker"]
    assert set(planted("defaults: [\n", first, second)) == {"policy"}

    assert set(planted(POLICY, second)) == {"leases-lost"}
    found = planted(POLICY, first, f"{second} ecc=3")
    assert set(found) == {"gpu-health"} and "GPU 1: 3 uncorrectable memory errors" in found["gpu-health"]
    cron = lab.run("pgrep -xo cron").stdout.strip()
    found = planted(POLICY, first, second, f"process 1 pid={cron} memory=1 type=compute")
    assert set(found) == {"gpu-outside"} and f"1 is used by process cron (pid {cron})" in found["gpu-outside"]
    instance = "mig 1:0 uuid=MIG-0 name=MIG gi=1 ci=0 slices=3 compute=3 memory_mib=19968"
    expected = f"{POLICY}gpu_allocation: {{mig_profile: 2g.10gb}}\n"
    found = planted(expected, first, f"{second} mig=1 pending=1 max=7", instance)
    assert set(found) == {"gpu-mig"} and "the policy expects 2g.10gb" in found["gpu-mig"]

    # A card, and no library of its driver.
    cards = "/sys/bus/pci/devices"
    lab.run(f"mv {LIBRARY} {LIBRARY}.away; mount -t tmpfs none {cards}; mkdir {cards}/0")
    try:
        lab.run(f"echo 0x10de >{cards}/0/vendor; echo 0x030200 >{cards}/0/class")
        found = planted(POLICY, first, second)
    finally:
        lab.run(f"umount {cards}; mv {LIBRARY}.away {LIBRARY}")
    assert set(found) == {"nvml"} and "1 NVIDIA card is on the PCI bus" in found["nvml"]
    assert planted(POLICY, first, second) == {}


def test_mismatched_labels_and_conflicts_are_findings(lab: Host) -> None:
    lab.show_gpus(A100.format(0))
    lab.run("container-stop thesis --release --force", user="alice")
    lab.run(DEPLOY, user="bob")
    lab.run("docker start thesis._.$(id -u alice)")
    lab.run("container-list", user="alice")
    found = findings(lab, code=2)
    assert set(found) == {"conflicts"} and "thesis._." in str(found["conflicts"]["found"])
    lab.run(f'sed -i \'s/"id": "[0-9a-f]*"/"id": "0123"/\' {RECORDS}/thesis._.$(id -u bob).json')
    found = findings(lab, code=2)
    assert set(found) == {"conflicts", "records-labels"} and "0123" in str(found["records-labels"]["found"])


def test_emergency_stop_ends_everything_at_once(lab: Host) -> None:
    lab.run(DEPLOY, user="bob")
    lab.docker("run", "-d", "--name", "foreign", IMAGE, "sleep", "1000")
    lab.run("ds01 emergency-stop --all -y", user="bob", code=3)
    lab.run("ds01 emergency-stop --all -y")
    assert lab.docker("ps", "--format", "{{.Names}}") == "foreign"
    assert findings(lab) == {}
