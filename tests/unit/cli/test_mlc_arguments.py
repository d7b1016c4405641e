"""The arguments of AIME MLC 2.2.0, as in its parser and its README."""

from __future__ import annotations

import pytest

from ds01.engines.protocol import Attachment, ExecRequest
from ds01.engines.simulated.engine import SimulatedEngine
from tests.command_line import CommandLine


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that were run inside containers."""
    commands: list[tuple[str, ...]] = []
    attach = SimulatedEngine.attach

    def record(engine: SimulatedEngine, reference: str, what: ExecRequest) -> Attachment:
        commands.append(what.command)
        return attach(engine, reference, what)

    monkeypatch.setattr(SimulatedEngine, "attach", record)
    return commands


@pytest.fixture
def my(ds: CommandLine) -> CommandLine:
    ds.ok("mlc-create", "my", "Pytorch", "2.5.1", "-s")
    return ds


@pytest.mark.in_process
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["python train.py"], "python train.py"), (["python", "train.py"], "python train.py"),
        (["python", "a b.py", "-s"], "python 'a b.py'"), (["nvidia-smi && ls", "--script"], "nvidia-smi && ls"),
        (["python train.py --epochs 3"], "python train.py --epochs 3"), (["--", "ls", "-l"], "ls -l"),
    ],
)  # fmt: skip
def test_start_runs_a_command(words: list[str], line: str, my: CommandLine, ran: list[tuple[str, ...]]) -> None:
    my.ok("mlc-start", "my", *words)
    assert my.state("my") == "running" and ran == [("sh", "-c", line)]


@pytest.mark.in_process
@pytest.mark.parametrize("option", ["-d", "--detach", "--det"])
def test_start_can_leave_the_command_in_the_background(
    option: str, my: CommandLine, ran: list[tuple[str, ...]]
) -> None:
    my.ok("mlc-start", "my", "python train.py", option)
    assert ran[0][-1] == "python train.py" and "&" in ran[0][2]


@pytest.mark.in_process
def test_start_without_a_command_runs_none(my: CommandLine, ran: list[tuple[str, ...]]) -> None:
    my.ok("mlc-start", "my", "-d")
    assert ran == [] and my.state("my") == "running"
    assert "-d" in my("mlc-start", "my", "ls", "--json").json["error"]["hint"]


@pytest.mark.parametrize("words", [("mlc", "-v"), ("mlc", "--version")])
def test_the_version(words: tuple[str, ...], ds: CommandLine) -> None:
    assert "AIME MLC" in ds.ok(*words) and "2.2.0" in ds.ok(*words)


@pytest.mark.in_process
def test_mlc_arch_stands_for_the_servers_gpus_and_arch_goes_before_it(
    ds: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLC_ARCH", "cuda_ada")
    assert ds("mlc-create", "--info", "--json").json["architecture"] == "CUDA_ADA"
    ds.ok("mlc-create", "one", "Pytorch", "2.5.1", "-s")
    assert ds.harness.record("alice", "one").image.endswith("cuda12.1.1")
    ds.ok("mlc-create", "two", "Pytorch", "2.5.1", "-s", "-arch", "CUDA_AMPERE")
    assert ds.harness.record("alice", "two").image.endswith("cuda11.8.0")
    monkeypatch.setenv("MLC_ARCH", "TPU")
    assert "MLC_ARCH" in ds.fails(2, "mlc-create", "three", "Pytorch", "2.5.1", "-s")


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "words",
    [
        "mlc-create new Pytorch 2.5.1 --num 1 --script", "mlc-create new Pytorch 2.5.1 --arch=CUDA_AMPERE",
        "mlc-create new Pytorch 2.5.1 -arch CUDA_AMPERE -g 1", "mlc-create --inf", "mlc-list --all_u",
        "mlc-list -au -s",
        "mlc-list -a -arch -d -m -w", "mlc-list --arch --dat --mod --siz --wor", "mlc-stats", "mlc-update-sys -f",
        "mlc-update-sys --forc",
    ],
)  # fmt: skip
def test_every_argument_is_taken_also_cut_short(words: str, ds: CommandLine) -> None:
    ds.ok(*words.split())


def test_what_is_ambiguous_is_refused(ds: CommandLine) -> None:
    ds.fails(2, "mlc-list", "--a")


def test_on_a_server_with_different_gpus_it_says_what_was_chosen(
    ds: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DS01_GPUS", "simulated:1xV100,1xA100")
    assert "was built for all of them" in ds.ok("mlc-create", "one", "Pytorch", "-s", "-g", "none")
    assert "was built for all of them" in ds.ok("container-create", "two", "pytorch", "--cpu-only")
    assert ds.harness.record("alice", "two").image == "pytorch/pytorch:2.7.1-cuda11.8-cudnn9-runtime"
