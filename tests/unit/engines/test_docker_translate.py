from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from ds01.engines.docker.translate import create_body, read_image, read_info, read_inspected, read_listed, read_time
from ds01.engines.protocol import ContainerSpec, ContainerStatus, EngineContainer, Mount, PublishedPort

SPEC = ContainerSpec(name="thesis._.1001", image="ds01-1001/thesis:latest", command=("sh",), uid=1001, gid=1002)


def inspected(**changes: Any) -> dict[str, Any]:
    body = create_body(changes.pop("spec", SPEC))
    host = {**body.pop("HostConfig"), **changes.pop("host", {})}
    return {
        "Id": "12345678901234567890",
        "Name": "/thesis._.1001",
        "Created": "2026-11-21T22:55:34.690403525Z",
        "State": {"Status": "running", "Pid": 12, "ExitCode": 0, **changes.pop("state", {})},
        "Config": {**body, **changes.pop("config", {})},
        "HostConfig": host,
        "NetworkSettings": {"Ports": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": "49153"}], "9/udp": None}},
        **changes,
    }


def read(entry: dict[str, Any]) -> EngineContainer:
    return read_inspected(entry, lambda: "runc")


def read_spec(**changes: Any) -> ContainerSpec:
    spec = read(inspected(**changes)).spec
    assert spec is not None
    return spec


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        ContainerSpec(
            name="thesis._.1001",
            image="a:b",
            command=("sh", "-c", "x y"),
            uid=0,
            gid=0,
            groups=(44, 27),
            workdir="/x",
            hostname="h",
            environment={"A": "b=c", "E": ""},
            removed_variables=("COLUMNS", "TMOUT"),
            labels={"l": "v"},
            mounts=(Mount("/home/a b", "/workspace"), Mount("/data", "/data", read_only=True)),
            ports=(PublishedPort(6006), PublishedPort(8888, 8889, "0.0.0.0")),
            network="host",
            tty=False,
            stop_signal="SIGTERM",
            cpu_quota=3_200_000,
            cpu_period=50_000,
            memory=1 << 30,
            memory_swap=1 << 31,
            shm_size=1 << 20,
            pids_limit=9,
            ulimits={"memlock": -1, "stack": 67_108_864},
            cgroup_parent="ds01-a-b.slice",
            no_new_privileges=True,
            user_namespace="",
            device_uuids=("GPU-1",),
        ),
    ],
    ids=["small", "large"],
)
def test_a_spec_survives_the_way_there_and_back(spec: ContainerSpec) -> None:
    assert read_spec(spec=spec) == spec


def test_every_key_that_matters_for_security_is_written() -> None:
    host = create_body(SPEC)["HostConfig"]
    assert host["Privileged"] is False and host["AutoRemove"] is False and host["Init"] is False
    assert host["RestartPolicy"]["Name"] == "no" and host["IpcMode"] == "private"
    assert host["PidMode"] == host["UTSMode"] == host["Runtime"] == ""
    lists = (
        "CapAdd", "CapDrop", "Devices", "DeviceRequests", "DeviceCgroupRules", "Binds", "Mounts",
        "VolumesFrom", "GroupAdd", "Ulimits",
    )  # fmt: skip
    assert host["UsernsMode"] == "host" and host["SecurityOpt"] == ["no-new-privileges:false"]
    assert [host[key] for key in lists] == [[]] * len(lists)
    assert host["PublishAllPorts"] is False and host["PortBindings"] == {}
    assert "MaskedPaths" not in host and "ReadonlyPaths" not in host  # empty lists would unmask
    assert create_body(SPEC)["Entrypoint"] == [] and create_body(SPEC)["User"] == "1001:1002"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["no-new-privileges"], True), (["no-new-privileges:true"], True), (["no-new-privileges=true"], True),
        (["no-new-privileges:false"], False), (["seccomp=unconfined"], False), (None, False),
    ],
)  # fmt: skip
def test_the_hardening_of_a_container_is_read_back(options: list[str] | None, expected: bool) -> None:
    spec = read_spec(host={"SecurityOpt": options, "UsernsMode": "host"})
    assert (spec.no_new_privileges, spec.user_namespace) == (expected, "host")


def test_hardening_and_removed_variables_are_written() -> None:
    body = create_body(replace(SPEC, no_new_privileges=True, removed_variables=("TMOUT",)))
    assert body["HostConfig"]["SecurityOpt"] == ["no-new-privileges:true"]
    assert "TMOUT" in body["Env"]


def test_the_security_options_are_names() -> None:
    options = ["name=seccomp,profile=default", "name=userns", "apparmor"]
    assert read_info({"SecurityOptions": options}).security_options == ("seccomp", "userns", "apparmor")


def test_devices_are_one_request_with_exactly_these_ids() -> None:
    body = create_body(ContainerSpec("n1", "i", ("sh",), 1, 1, device_uuids=("MIG-1", "MIG-2")))
    assert body["HostConfig"]["DeviceRequests"] == [
        {"Driver": "", "Count": 0, "DeviceIDs": ["MIG-1", "MIG-2"], "Capabilities": [["gpu"]], "Options": {}}
    ]


def test_a_port_is_on_the_loopback_and_docker_finds_a_free_one() -> None:
    body = create_body(ContainerSpec("n1", "i", ("sh",), 1, 1, ports=(PublishedPort(8888),)))
    assert body["HostConfig"]["PortBindings"] == {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    assert body["ExposedPorts"] == {"8888/tcp": {}}


@pytest.mark.parametrize(
    ("memory", "swap", "written"),
    [
        (None, None, (0, 0)),
        (100, None, (100, -1)),
        (100, 100, (100, 100)),
        (100, 300, (100, 300)),
        (None, 300, (300, 300)),
        (None, -1, (0, 0)),
        (100, -1, (100, -1)),
    ],
)
def test_memory_and_swap(memory: int | None, swap: int | None, written: tuple[int, int]) -> None:
    host = create_body(ContainerSpec("n1", "i", ("sh",), 1, 1, memory=memory, memory_swap=swap))["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == written


@pytest.mark.parametrize(
    ("user", "ids"),
    [("1001:1002", (1001, 1002)), ("1001", (1001, -1)), ("", (0, 0)), ("root", (0, -1)), ("me:you", (-1, -1))],
)
def test_a_user_is_numbers_or_unknown(user: str, ids: tuple[int, int]) -> None:
    spec = read_spec(config={"User": user})
    assert (spec.uid, spec.gid) == ids


def test_what_others_wrote_differently_is_read() -> None:
    spec = read_spec(
        host={
            "NanoCpus": 2_500_000_000, "NetworkMode": "default", "GroupAdd": ["video", "27"], "PidsLimit": None,
            "Binds": ["/home/a:/workspace", "/data:/data:ro,z", "volume:/v"],
            "Mounts": [{"Type": "volume", "Source": "v", "Target": "/w"}],
            "Ulimits": None, "Devices": None,
        },
        config={"Entrypoint": ["tini", "--"], "Env": None, "Labels": None, "Hostname": "123456789012"},
    )  # fmt: skip
    assert (spec.cpu_quota, spec.cpu_period, spec.network) == (250_000, 100_000, "bridge")
    assert spec.groups == (27,) and spec.pids_limit is None and spec.ulimits == {}
    assert spec.mounts == (Mount("/home/a", "/workspace"), Mount("/data", "/data", read_only=True))
    assert spec.command == ("tini", "--", "sh") and spec.environment == {} and spec.labels == {}
    assert spec.hostname is None


def test_an_exit_code_is_of_an_end_only() -> None:
    running = read(inspected())
    assert running.exit_code is None and running.pid == 12
    ended = read(inspected(state={"Status": "exited", "Pid": 0, "ExitCode": 137, "OOMKilled": True}))
    assert (ended.exit_code, ended.oom_killed, ended.pid) == (137, True, None)


def test_published_ports_are_those_of_now() -> None:
    assert read(inspected()).ports == (PublishedPort(8888, 49153),)


@pytest.mark.parametrize("word", ["stopping", "configured", ""])
def test_an_unknown_state_lets_nothing_be_concluded(word: str) -> None:
    assert read(inspected(state={"Status": word})).status is ContainerStatus.REMOVING


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026-11-21T22:55:34.690403525Z", datetime(2026, 11, 21, 22, 55, 34, 690403, timezone.utc)),
        ("2026-11-21T22:55:34.6Z", datetime(2026, 11, 21, 22, 55, 34, 600000, timezone.utc)),
        ("2026-11-21T23:55:34+01:00", datetime(2026, 11, 21, 22, 55, 34, 0, timezone.utc)),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
        ("yesterday", None),
    ],
)
def test_dockers_times(text: str | None, when: datetime | None) -> None:
    assert read_time(text) == when


def test_a_listed_container_has_its_own_name() -> None:
    entry = {
        "Id": "1", "Names": ["/other/alias", "/mine"], "Image": "i", "State": "paused", "Labels": None, "Created": 0,
    }  # fmt: skip
    found = read_listed(entry)
    assert found.name == "mine" and found.status is ContainerStatus.PAUSED and found.labels == {}
    assert found.created_at == datetime(1970, 1, 1, tzinfo=timezone.utc) and found.devices is None


def test_facts_of_an_engine_that_says_little() -> None:
    facts = read_info({"ID": "x", "Runtimes": {"runc": {}, "nvidia": {}}, "DefaultRuntime": "nvidia"})
    assert (facts.id, facts.cgroup_driver, facts.cgroup_version) == ("x", "none", "1")
    assert facts.runtimes == ("nvidia", "runc") and facts.default_runtime == "nvidia" and not facts.live_restore
    assert facts.root_dir is None
    assert read_info({"DockerRootDir": "/data/docker"}).root_dir == "/data/docker"


def test_an_image_of_a_list_and_of_an_inspect() -> None:
    listed = read_image({"Id": "1", "RepoTags": ["<none>:<none>", "a:b"], "Created": 0, "Labels": {"l": "v"}})
    assert listed.tags == ("a:b",) and listed.labels == {"l": "v"} and listed.environment == {}
    entry = {"Id": "1", "RepoTags": None, "Created": "", "Config": {"Env": ["PATH=/bin"], "Labels": None}, "Size": 3}
    looked_at = read_image(entry)
    assert looked_at.tags == () and looked_at.environment == {"PATH": "/bin"} and looked_at.created_at is None
    assert looked_at.size_bytes == 3
