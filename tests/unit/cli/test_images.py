"""The image commands in process, on the simulated engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import CommandLine

BASE = ("--framework", "pytorch")
THESIS = "ds01-70001/thesis"


@pytest.fixture
def dockerfiles(ds: CommandLine) -> Path:
    return ds.harness.home("alice") / "dockerfiles"


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if not path.name.endswith(".log")}


def test_an_image_is_built_listed_used_and_deleted(ds: CommandLine, dockerfiles: Path) -> None:
    said = ds.ok("image-create", "thesis", *BASE, "--use-case", "nlp", "--packages", "pandas>=2.0,<3")
    assert "Built ds01-70001/thesis" in said
    assert "pandas>=2.0,<3" in (dockerfiles / "thesis.requirements.txt").read_text().splitlines()
    assert (dockerfiles / "thesis.build.log").read_text()
    row = ds("image-list", "--json").json["images"][0]
    assert row["name"] == "thesis"
    assert row["used_by"] == []
    assert row["framework"].startswith("Pytorch-")
    assert row["dockerfile_newer"] is False
    ds.ok("container-deploy", "thesis", "--background")
    assert ds("image-list", "--json").json["images"][0]["used_by"] == ["thesis"]
    error = ds.error("image-delete", "thesis")
    assert (error["exit"], error["code"], error["data"]) == (6, "state.invalid", {"used_by": ["thesis"]})
    ds.ok("container-retire", "thesis", "--force")
    assert "stays" in ds.ok("image-delete", "thesis")
    assert ds("image-list", "--json").json["images"] == []
    assert (dockerfiles / "thesis.Dockerfile").exists()


def test_without_a_terminal_it_says_which_option_it_needs(ds: CommandLine) -> None:
    assert "image-create NAME" in ds.fails(2, "image-create")
    assert "--framework" in ds.fails(2, "image-create", "thesis")
    assert "image-create" in ds.fails(5, "image-update", "thesis")
    assert "image-update NAME" in ds.fails(2, "image-update")
    assert "image-delete NAME" in ds.fails(2, "image-delete")


def test_the_help_says_what_a_list_is_and_what_an_update_adds(ds: CommandLine) -> None:
    said = " ".join(ds.ok("image-create", "--help").split())
    assert said.count("separated by spaces") == 3
    said = " ".join(ds.ok("image-update", "--help").split())
    for text in (
        "pip packages to add, or to change the version of.",
        "packages to remove.",
        "apt packages to add.",
    ):
        assert text in said


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("thesis", "--framework", "pytorch", "--base-image", "debian"), 2, "one base"),
        (("thesis", "--version", "2.5.1"), 2, "--framework"),
        (("thesis", "--framework", "torchvision"), 5, "unknown framework"),
        (("thesis", "--framework", "torchvision"), 5, "--base-image NAME"),
        (("thesis", "--framework", "pytorch", "--version", "99"), 5, "unknown version"),
        (("thesis", "--base-image", "Not An Image"), 2, "not an image name"),
        (("thesis", "--dockerfile", "/nowhere/Dockerfile"), 2, "no file"),
        (("thesis", *BASE, "--requirements", "/nowhere/r.txt"), 2, "no file"),
        (("thesis", *BASE, "--requirements", "/nowhere/r.txt"), 2, "→ --requirements FILE"),
        (("thesis", *BASE, "--use-case", "cooking"), 5, "unknown use case"),
        (("thesis", *BASE, "--packages", "pandas >> 2"), 2, "not a requirement"),
        (("thesis", *BASE, "--base-packages", "nump,panda"), 2, "separate packages with spaces: 'nump panda'"),
        (("thesis", *BASE, "--packages", "numpy, torch>=2"), 2, "separate packages with spaces: 'numpy torch>=2'"),
        (("thesis", *BASE, "--packages", "tqdm\nRUN true"), 2, ""),
        (("thesis", *BASE, "--packages", "'open"), 2, ""),
        (("thesis", *BASE, "--system", "ffmpeg;reboot"), 2, "ffmpeg;reboot"),
        (("../escape", *BASE), 2, "invalid image name"),
        (("ü" * 200, *BASE), 2, "invalid image name"),
    ],
)
def test_wrong_input_is_refused_and_nothing_is_written(
    ds: CommandLine, dockerfiles: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    assert said in ds.fails(code, "image-create", *words)
    assert not dockerfiles.exists()
    assert ds.engine.images() == []


def test_a_dockerfile_that_is_there_is_never_overwritten(ds: CommandLine, dockerfiles: Path) -> None:
    dockerfiles.mkdir()
    (dockerfiles / "thesis.Dockerfile").write_text("FROM mine\n")
    error = ds.error("image-create", "thesis", *BASE)
    assert (error["exit"], error["code"]) == (6, "name.taken") and "`image-update thesis`" in error["hint"]
    assert texts(dockerfiles) == {"thesis.Dockerfile": "FROM mine\n"}


def test_a_failed_build_leaves_image_sources_and_container_as_they_were(ds: CommandLine, dockerfiles: Path) -> None:
    ds.ok("image-create", "thesis", *BASE)
    ds.ok("container-deploy", "thesis", "--background")
    image, before, container = ds.engine.image(THESIS), texts(dockerfiles), ds.harness.record("alice").docker_id
    said = ds.fails(1, "image-update", "thesis", "--add", "no-such-package-1", "--recreate")
    assert "no-such-package-1" in said and "thesis.build.log" in said
    assert ds.engine.image(THESIS) == image
    assert texts(dockerfiles) == before
    assert ds.harness.record("alice").docker_id == container


def test_update_changes_packages_and_recreates_the_container(ds: CommandLine, dockerfiles: Path) -> None:
    ds.ok("image-create", "thesis", *BASE, "--packages", "tqdm pandas==2.0")
    ds.ok("container-deploy", "thesis", "--background")
    before = ds.harness.record("alice")
    said = ds.ok("image-update", "thesis", "--add", "pandas>=2.1 polars", "--remove", "tqdm", "--add-system", "ffmpeg")
    assert "Still on the old image: thesis" in said
    lines = (dockerfiles / "thesis.requirements.txt").read_text().splitlines()
    assert "pandas>=2.1" in lines and "polars" in lines
    assert "tqdm" not in lines and "pandas==2.0" not in lines
    assert "ffmpeg" in (dockerfiles / "thesis.Dockerfile").read_text()
    assert "Created thesis again" in ds.ok("image-update", "thesis", "--recreate")
    after = ds.harness.record("alice")
    assert after.docker_id != before.docker_id
    assert after.lease is not None and before.lease is not None
    assert after.lease.slots == before.lease.slots
    assert after.state.value == "running"


def test_a_changed_dockerfile_is_seen_and_built(ds: CommandLine, dockerfiles: Path) -> None:
    ds.ok("image-create", "thesis", *BASE)
    assert "nothing to build" in ds.ok("image-update", "thesis", "--recreate")
    path = dockerfiles / "thesis.Dockerfile"
    path.write_text(path.read_text() + 'LABEL added="by hand"\n')
    assert ds("image-list", "--json").json["images"][0]["dockerfile_newer"] is True
    assert "is newer than the image" in ds.ok("image-list")
    assert "newer than the image" in ds.ok("image-update", "thesis", "--rebuild")
    assert ds("image-list", "--json").json["images"][0]["dockerfile_newer"] is False
    image = ds.engine.image(THESIS)
    assert image is not None and image.labels["added"] == "by hand"


def test_removing_what_is_not_there_is_an_error_and_changes_nothing(ds: CommandLine, dockerfiles: Path) -> None:
    ds.ok("image-create", "thesis", *BASE)
    before = texts(dockerfiles)
    assert "numba" in ds.fails(5, "image-update", "thesis", "--remove", "numba")
    assert texts(dockerfiles) == before


def test_no_build_writes_only_and_rebuild_builds(ds: CommandLine, dockerfiles: Path) -> None:
    ds.ok("image-create", "thesis", *BASE, "--no-build")
    assert (dockerfiles / "thesis.Dockerfile").exists()
    assert ds.engine.image(THESIS) is None
    ds.ok("image-update", "thesis", "--rebuild")
    assert ds.engine.image(THESIS) is not None


def test_a_dockerfile_of_ones_own_is_built_as_it_is(ds: CommandLine) -> None:
    folder = ds.harness.home("alice") / "mine"
    folder.mkdir()
    (folder / "data.txt").write_text("x")
    (folder / "Dockerfile").write_text("FROM busybox\nCOPY data.txt /\n")
    ds.ok("image-create", "own", "--dockerfile", str(folder / "Dockerfile"))
    assert sorted(path.name for path in folder.iterdir()) == ["Dockerfile", "data.txt"]
    (folder / "Dockerfile").write_text("FROM busybox\nCOPY data.txt /elsewhere\n")
    assert ds("image-list", "--json").json["images"][0]["dockerfile_newer"] is True
    ds.ok("image-update", "own", "--rebuild")


def test_delete_with_the_dockerfile_takes_all_of_it_away(ds: CommandLine, dockerfiles: Path) -> None:
    ds.ok("image-create", "thesis", *BASE)
    ds.ok("image-delete", "thesis", "--dockerfile")
    assert list(dockerfiles.iterdir()) == []
    ds.fails(5, "image-delete", "thesis")


def test_nobody_sees_or_deletes_the_images_of_others_but_administrators(ds: CommandLine) -> None:
    ds.ok("image-create", "thesis", *BASE)
    assert ds("image-list", "--json", who="bob").json["images"] == []
    ds.fails(5, "image-delete", "thesis", who="bob")
    ds.fails(3, "image-delete", "thesis", "--user", "alice", who="bob")
    assert ds("image-list", "--json", "--user", "alice", who="boss").json["images"][0]["name"] == "thesis"


def test_jupyter_is_reached_through_a_port_that_stays_the_same(ds: CommandLine) -> None:
    ports = set()

    def way(said: str) -> str:
        port = ds("container-list", "--json").json["containers"][0]["ports"][0]["host_port"]
        ports.add(port)
        assert f"ssh -L 8888:127.0.0.1:{port} alice@" in said, said
        return said

    ds.ok("image-create", "thesis", *BASE)
    assert "container-run thesis -- jupyter lab" in way(
        ds.ok("container-deploy", "thesis", "--background", "-p", "8888")
    )
    ds.ok("container-stop", "thesis", "--force")
    way(ds.ok("container-start", "thesis"))
    way(ds.ok("image-update", "thesis", "--add", "tqdm", "--recreate"))
    ds.ok("container-stop", "thesis", "--force")
    assert ds("container-start", "thesis", "--json").json["container"]["ports"]
    ds.ok("container-retire", "thesis", "--force")
    way(ds.ok("container-deploy", "thesis", "--background", "-p", "8888"))
    assert len(ports) == 1


def test_without_jupyter_nothing_is_said_about_it(ds: CommandLine) -> None:
    ds.ok("image-create", "thesis", *BASE, "--no-jupyter")
    assert "upyter" not in ds.ok("container-deploy", "thesis", "--background", "-p", "8888")


def test_a_first_build_that_fails_says_how_to_go_on_from_the_dockerfile(ds: CommandLine, dockerfiles: Path) -> None:
    said = ds.fails(1, "image-create", "thesis", *BASE, "--packages", "no-such-package-1")
    assert "thesis.Dockerfile stays; `image-update thesis --rebuild` builds it" in said
    ds.ok("image-update", "thesis", "--remove", "no-such-package-1")
    assert ds.engine.image(THESIS) is not None


def test_a_failed_own_dockerfile_names_the_same_command(ds: CommandLine) -> None:
    (ds.harness.home("alice") / "Dockerfile").write_text("FROM busybox\nRUN exit 3\n")
    said = ds.fails(1, "image-create", "own", "--dockerfile", "~/Dockerfile")
    assert "`image-create own --dockerfile FILE` builds it" in said


def test_requirements_with_an_index_keep_their_own_step(ds: CommandLine, dockerfiles: Path) -> None:
    wanted = ds.harness.root / "wanted.txt"
    wanted.write_bytes(b"# coding: latin-1\n-i https://h/simple\nrich # \xe4\n")
    wanted.chmod(0o644)
    ds.ok("image-create", "thesis", *BASE)
    ds.ok("image-update", "thesis", "--requirements", str(wanted))
    extra = dockerfiles / "thesis.extra.txt"
    assert extra.read_text() == "-i https://h/simple\nrich\n"
    assert "simple" not in (dockerfiles / "thesis.requirements.txt").read_text()
    ds.ok("image-update", "thesis", "--add", "rich>=13 tqdm")
    assert "rich>=13" in extra.read_text() and "tqdm" in (dockerfiles / "thesis.requirements.txt").read_text()
    ds.ok("image-update", "thesis", "--remove", "rich")
    assert "rich" not in extra.read_text()
    ds.ok("image-update", "thesis", "--add", "flash-attn", "--no-build-isolation")
    assert "--no-build-isolation" in (dockerfiles / "thesis.Dockerfile").read_text()
    assert "flash-attn" in extra.read_text()
    ds.ok("image-delete", "thesis", "--dockerfile")
    assert list(dockerfiles.iterdir()) == []


def test_a_requirements_file_keeps_its_encoding(ds: CommandLine, dockerfiles: Path) -> None:
    ds.ok("image-create", "thesis", *BASE)
    path = dockerfiles / "thesis.requirements.txt"
    path.write_bytes(b"# coding: latin-1\ntqdm # \xe4\n")
    ds.ok("image-update", "thesis", "--add", "rich")
    assert path.read_bytes() == b"# coding: latin-1\ntqdm # \xe4\nrich\n"


@pytest.mark.parametrize("line", ["RUN --mount=type=cache,target=/x true", "RUN <<EOF\ntrue\nEOF", "COPY . /app"])
def test_buildkit_features_are_refused_before_the_pull(line: str, ds: CommandLine, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "Dockerfile"
    path.write_text(f"FROM remote/base\n{line}\n")
    answer = ds("image-create", "thesis", "--dockerfile", str(path))
    assert answer.code == 2 and "Fetching" not in answer.out + answer.err
    assert ds.engine.image("remote/base") is None


def test_dockerfiles_that_were_never_built_are_listed(ds: CommandLine, dockerfiles: Path) -> None:
    ds.ok("image-create", "thesis", *BASE, "--no-build")
    ds.ok("image-create", "birds", *BASE, "--no-build", "--project-dockerfile")
    said = ds.ok("image-list")
    assert "thesis" in said and "birds" in said and "not built" in said and "`image-update thesis --rebuild`" in said
    document = ds("image-list", "--json").json
    assert document["images"] == [] and [row["name"] for row in document["not_built"]] == ["birds", "thesis"]
    assert document["not_built"][1]["dockerfile"] == str(dockerfiles / "thesis.Dockerfile")
    ds.ok("image-update", "thesis", "--rebuild")
    assert [row["name"] for row in ds("image-list", "--json").json["not_built"]] == ["birds"]


def test_no_container_is_on_an_older_image_where_nothing_changed(ds: CommandLine) -> None:
    ds.ok("image-create", "thesis", *BASE)
    ds.ok("container-deploy", "thesis", "--background")
    assert "Still on" not in ds.ok("image-update", "thesis", "--rebuild")
    assert ds("image-list", "--json").json["images"][0]["outdated"] == []
    assert "Still on the old image: thesis" in ds.ok("image-update", "thesis", "--add", "rich")
    assert ds("image-list", "--json").json["images"][0]["outdated"] == ["thesis"]
    assert "Created thesis again" in ds.ok("image-update", "thesis", "--recreate")
    assert "Still on" not in ds.ok("image-update", "thesis", "--rebuild")
