"""Images that were built by hand, or that others use."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import CommandLine

BASE = ("--framework", "pytorch")
THESIS = "ds01-70001/thesis"


def test_an_image_of_ones_own_that_was_named_by_hand_is_listed_and_deleted(ds: CommandLine) -> None:
    for tag in ("ds01-70001/foo:v1", "ds01-70001/a.b"):
        ds.engine.tag("pytorch/pytorch", tag)
    rows = ds("image-list", "--json").json["images"]
    assert [(row["name"], row["dockerfile"]) for row in rows] == [("a.b", None), ("foo:v1", None)]
    ds.ok("image-delete", "foo:v1")
    ds.ok("image-delete", "a.b")


def test_an_image_built_by_hand_does_not_inherit_a_dockerfile(ds: CommandLine) -> None:
    dockerfiles: Path = ds.harness.home("alice") / "dockerfiles"
    ds.ok("image-create", "thesis", *BASE)
    ds.engine.tag(f"{THESIS}:latest", "ds01-70001/other:latest")  # its labels are those of thesis
    rows = {row["name"]: row["dockerfile"] for row in ds("image-list", "--json").json["images"]}
    assert rows == {"other": None, "thesis": str(dockerfiles / "thesis.Dockerfile")}
    ds.ok("image-delete", "other", "--dockerfile")
    assert (dockerfiles / "thesis.Dockerfile").exists()


def test_containers_of_others_are_not_recreated(ds: CommandLine) -> None:
    ds.ok("image-create", "thesis", *BASE)
    gate = ds.harness.another_gate(engine=ds.engine)
    gate.create(ds.harness.actor("bob"), ds.harness.request("bob", image=f"{THESIS}:latest", gpus=0))
    ds.ok("container-deploy", "thesis", "--background")
    made = ds.harness.record("bob")
    said = ds.ok("image-update", "thesis", "--no-cache", "--recreate")
    assert "Created thesis again" in said and "thesis._.70002" in said
    assert ds.harness.record("bob") == made


def test_a_log_that_cannot_be_written_is_a_warning(ds: CommandLine) -> None:
    ds.ok("image-create", "thesis", *BASE)
    log = ds.harness.home("alice") / "dockerfiles" / "thesis.build.log"
    log.unlink()
    log.mkdir()
    answer = ds("image-update", "thesis", "--add-system", "ffmpeg")
    assert answer.code == 0 and f"Warning: {log} cannot be written" in answer.err
    assert "ffmpeg" in log.with_name("thesis.Dockerfile").read_text()
