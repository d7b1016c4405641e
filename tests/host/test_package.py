"""The package itself: what it installs, and that it comes, is renewed and goes while containers run.

The tests of the second half are one story, told in the order of the file, on a host of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.host.machine import Host
from tests.server import IMAGE

VERSION_COMMAND = "dpkg-query -W -f '${Version}' ds01"
DEPLOY = f"container-deploy {{}} --image {IMAGE} --background"
POLICY = "/etc/ds01/resource-limits.yaml"
POLICY_TEXT = "defaults: {{ulimits: {{memlock: null}}, aggregate: {{max_tasks: {}}}}}\n"
SHARED = "2775 root docker"


# What it installs


def test_every_command_is_a_program_and_has_a_manual_page(host: Host) -> None:
    names = host.run("ds01 --names").stdout.split()
    assert "container-deploy" in names
    for name in ("ds01", *names):
        host.run(f"test -x /usr/bin/{name} && man --where {name} >/dev/null")
    assert host.run("readlink -f /usr/bin/container-list").stdout.strip() == "/usr/lib/ds01/ds01"
    assert host.run("container-list", user="alice").returncode == 0
    listed = re.findall(r"^  ds01 ([a-z -]+?)  ", host.run("ds01 --help").stdout, re.MULTILINE)
    for words in listed:
        host.run(["man", "--where", f"ds01-{words.replace(' ', '-')}"])


def test_manual_pages_are_made_of_the_help_and_have_no_errors(host: Host) -> None:
    shown = host.run("MANWIDTH=100 man container-create | col -b").stdout
    assert "--gpu-type" in shown and "EXAMPLE" in shown
    assert "EXIT STATUS" in host.run("MANWIDTH=100 man ds01 | col -b").stdout
    pages = host.run(
        "for page in /usr/share/man/man1/container* /usr/share/man/man1/ds01* /usr/share/man/man5/resource-limits*;"
        " do man --warnings -l $page; done"
    )
    assert pages.stderr == ""


def test_the_schema_that_the_policy_names_is_there(host: Host) -> None:
    named = host.read("/etc/ds01/resource-limits.yaml").partition("\n")[0].partition("$schema=")[2]
    assert host.read(named) == host.run("ds01 policy schema").stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ds01 doc", "doctor"),
        ("ds01 gpu st", "status"),
        ("ds01 container sta", "start stats"),
        ("container sto", "stop"),
        ("container-create x --gpu-type m", "mig"),
        ("container-create x --cpu", "--cpu-only"),
        ("container-stop t", "thesis"),
        ("ds01 container stop t", "thesis"),
    ],
)
def test_bash_completes(host: Host, line: str, offered: str) -> None:
    host.run("touch '/var/lib/ds01/container-metadata/thesis._.'$(id -u alice).json")
    # Whoever is in Docker's group can make files there: what is in their names is not run.
    host.run("touch '/var/lib/ds01/container-metadata/t$(touch ran)._.'$(id -u alice).json")
    program, *words = line.split(" ")
    script = f"""\
. /usr/share/bash-completion/bash_completion
COMP_WORDS=({line}) COMP_CWORD={len(words)} COMP_LINE='{line}' COMP_POINT={len(line)}
_completion_loader {program}
$(complete -p {program} | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
echo "${{COMPREPLY[@]}}"
"""
    assert host.run(["bash", "-c", script], user="alice").stdout.split() == offered.split()
    assert "ran" not in host.run("ls ~alice").stdout


def test_directories_and_files_have_their_modes(host: Host) -> None:
    for folder in ("", "container-metadata", "container-metadata/removed", "locks", "queue", "image-facts"):
        assert host.mode(f"/var/lib/ds01/{folder}") == SHARED
    assert host.mode("/var/lib/ds01/notices") == "755 root root"
    assert host.mode("/var/log/ds01") == SHARED
    assert host.mode(POLICY) == "644 root root"
    assert host.mode("/etc/cron.d/ds01") == "644 root root"
    host.run("umask 077; " + DEPLOY.format("thesis"), user="alice")
    for log in ("events.jsonl", "gpu-allocations.log", "tick.log"):
        assert host.mode(f"/var/log/ds01/{log}") == "664 root docker"
    (record,) = host.run("ls /var/lib/ds01/container-metadata/*.json").stdout.split()
    assert host.mode(record) == "664 alice docker"


def test_every_line_of_the_cron_entry_runs(host: Host) -> None:
    lines = host.read("/etc/cron.d/ds01").splitlines()
    jobs = [line.split(None, 6) for line in lines if line and not re.match(r"#|\w+=", line)]
    assert [job[:6] for job in jobs] == [["*/5", "*", "*", "*", "*", "root"]]
    environment = dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))
    for job in jobs:
        host.run(["env", "-i", *(f"{name}={value}" for name, value in environment.items()), "sh", "-c", job[6]])
    assert "Traceback" not in host.read("/var/log/ds01/tick.log")


def test_logs_are_rotated_and_written_on(host: Host) -> None:
    host.run(DEPLOY.format("first"), user="alice")
    host.run("logrotate --force /etc/logrotate.d/ds01")
    host.run("test -s /var/log/ds01/events.jsonl.1")
    host.run("container-stop first --force", user="alice")
    assert "first" in host.read("/var/log/ds01/events.jsonl")
    assert host.mode("/var/log/ds01/events.jsonl") == "664 root docker"


def test_a_login_shows_notices_once_and_is_not_held_up_by_them(host: Host) -> None:
    uid = host.run("id -u alice").stdout.strip()
    mailbox = f"/var/lib/ds01/notices/{uid}.jsonl"
    notice = {
        "time": "2026-12-01T08:00:00Z",
        "kind": "idle",
        "container": "thesis",
        "text": "It was idle.",
        "command": None,
    }
    line = str(notice).replace("'", '"').replace("None", "null")
    host.write(mailbox, f"{line}\n", mode=0o600)
    host.run(["chown", "alice", mailbox])
    login = ["script", "-qec", "bash -lic true", "/dev/null"]
    assert "It was idle." not in host.run("bash -lc true", user="alice").stdout  # no terminal: a program's login
    assert "It was idle." in host.run(login, user="alice").stdout
    assert "It was idle." not in host.run(login, user="alice").stdout
    host.run(["install", "-m", "600", "-o", "alice", "/dev/stdin", mailbox], input="no JSON\n")
    assert host.run(login, user="alice").returncode == 0
    host.run("mv /usr/bin/ds01 /usr/bin/ds01.away")
    try:
        assert host.run(login, user="alice").stdout.strip() == ""
    finally:
        host.run("mv /usr/bin/ds01.away /usr/bin/ds01")


def test_programs_that_ds01_starts_get_the_callers_libraries(host: Host) -> None:
    """PyInstaller's program loads its own libraries through LD_LIBRARY_PATH, and would hand that on."""
    host.write("/opt/seen/systemctl", '#!/bin/sh\nenv >/tmp/seen\nexec /usr/bin/systemctl "$@"\n', mode=0o755)
    host.write(POLICY, POLICY_TEXT.format(5000))
    host.run(DEPLOY.format("thesis"), user="alice")
    path = {"PATH": "/opt/seen:/usr/sbin:/usr/bin:/sbin:/bin"}
    host.run("ds01 slices apply", env={**path, "LD_LIBRARY_PATH": "/nonexistent"})
    assert "LD_LIBRARY_PATH=/nonexistent" in host.read("/tmp/seen").splitlines()
    host.write(POLICY, POLICY_TEXT.format(6000))
    host.run("ds01 slices apply", env=path)
    assert "LD_LIBRARY_PATH" not in host.read("/tmp/seen")


# How it comes, is renewed, and goes


def test_install_on_a_host_with_a_container_of_others(bare_host: Host, package: Path) -> None:
    bare_host.run(f"docker run -d --name others --network none {IMAGE} sleep 9999")
    bare_host.install(package)
    assert bare_host.inspect("others")["State"]["Running"]
    identity = bare_host.read("/var/lib/ds01/installation")
    assert re.fullmatch(r"[0-9a-f]{32}\n", identity)
    assert bare_host.mode("/var/lib/ds01/installation") == "664 root docker"
    assert bare_host.answer("container-list", user="alice") == {"containers": []}
    bare_host.allow_containers()
    container = bare_host.answer(DEPLOY.format("mine"), user="alice")["container"]
    labels = bare_host.inspect(container["docker_id"])["Config"]["Labels"]
    assert labels["ds01.installation"] == identity.strip()


def test_installing_it_again_changes_nothing(bare_host: Host, package: Path) -> None:
    before = bare_host.read("/var/lib/ds01/installation")
    bare_host.run(f"apt-get install --reinstall --yes /root/{package.name}")
    assert bare_host.read("/var/lib/ds01/installation") == before


def test_upgrade_beside_a_running_container_keeps_the_policy(bare_host: Host, package: Path, tmp_path: Path) -> None:
    pid = _pid(bare_host)
    bare_host.run(f"echo '# edited here' >>{POLICY}")
    bare_host.run("chmod 0700 /var/lib/ds01/locks")
    bare_host.install(renewed(package, tmp_path))
    assert bare_host.run(VERSION_COMMAND).stdout == "9.0"
    assert "# edited here" in bare_host.read(POLICY)
    assert "# shipped with 9.0" in bare_host.read(f"{POLICY}.dpkg-dist")
    assert bare_host.mode("/var/lib/ds01/locks") == SHARED  # mended on the way
    assert _pid(bare_host) == pid
    (container,) = bare_host.answer("container-list", user="alice")["containers"]
    assert (container["name"], container["state"]) == ("mine", "running")
    assert bare_host.run("container-run mine -- echo here", user="alice").stdout == "here\n"


def test_an_unedited_policy_is_replaced_by_an_upgrade(bare_host: Host, package: Path, tmp_path: Path) -> None:
    bare_host.run("apt-get purge --yes ds01; docker ps -aq --filter name=mine | xargs docker rm -f")
    bare_host.install(package)
    bare_host.install(renewed(package, tmp_path))
    assert "# shipped with 9.0" in bare_host.read(POLICY)
    bare_host.allow_containers()
    bare_host.run(DEPLOY.format("mine"), user="alice")


def test_remove_keeps_state_configuration_and_containers(bare_host: Host) -> None:
    pid = _pid(bare_host)
    bare_host.run("apt-get remove --yes ds01")
    assert _pid(bare_host) == pid
    bare_host.run("ls /usr/bin/ds01 /usr/bin/container-list /usr/lib/ds01", code=2)
    bare_host.run(
        f"test -s /var/lib/ds01/installation && test -e {POLICY} && ls /var/lib/ds01/container-metadata/mine*"
    )
    job = bare_host.read("/etc/cron.d/ds01").splitlines()[-1].split(None, 6)[6]
    assert bare_host.run(job).stderr == ""  # cron goes on asking for it
    assert bare_host.run("sh -lic true 2>&1", user="alice").returncode == 0


def test_installed_again_it_knows_its_containers(bare_host: Host) -> None:
    bare_host.run("apt-get install --yes --no-install-recommends /root/ds01_9.0_amd64.deb")
    (container,) = bare_host.answer("container-list", user="alice")["containers"]
    assert (container["name"], container["state"]) == ("mine", "running")


def test_purge_removes_state_and_logs_and_no_container(bare_host: Host) -> None:
    pid = _pid(bare_host)
    bare_host.run("mkdir -p /etc/ds01/groups && echo alice >/etc/ds01/groups/students.members")
    kept, gone = (f"/etc/systemd/system.control/{name}.slice.d/50-TasksMax.conf" for name in ("ds01", "ds01-students"))
    for path in (kept, gone):
        bare_host.write(path, "[Slice]\nTasksMax=9999\n")
    bare_host.run("apt-get purge --yes ds01")
    bare_host.run(f"test -e {kept} && test ! -e $(dirname {gone})")
    assert _pid(bare_host) == pid
    assert bare_host.inspect("others")["State"]["Running"]
    left = bare_host.run(
        "ls -d /var/lib/ds01 /var/log/ds01 /etc/ds01 /etc/cron.d/ds01 /usr/lib/ds01 2>/dev/null", code=None
    )
    assert left.stdout == ""
    assert bare_host.run("ls /home/alice/workspace").stdout == "mine\n"
    assert bare_host.run(VERSION_COMMAND, code=1)


def renewed(package: Path, folder: Path) -> Path:
    """The same package as a later version with another policy, and another program: its files are new ones."""
    tree, made = folder / "tree", folder / "ds01_9.0_amd64.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*", "Version: 9.0", control.read_text()))
    with (tree / POLICY[1:]).open("a") as policy:
        policy.write("# shipped with 9.0\n")
    environment = {**os.environ, "DPKG_DEB_COMPRESSOR_TYPE": "none"}
    subprocess.run(
        ["dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, made],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    return made


def _pid(host: Host) -> int:
    """The first process of alice's container, which has to stay the same."""
    state = host.inspect(f"mine._.{host.run('id -u alice').stdout.strip()}")["State"]
    assert state["Running"]
    pid: int = state["Pid"]
    return pid
