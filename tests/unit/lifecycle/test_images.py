"""Users' own images through the gate: who may build and remove which, the limits, and the containers that use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ds01.engines.protocol import BuildSpec, Progress
from ds01.errors import EngineNotFound, EngineRejected, InvalidState, NotFound, PermissionDenied, UsageError
from ds01.gate.images import build_spec
from ds01.records.request import BuildRequest
from tests.build_contexts import tar_pieces
from tests.harness import POLICY, Harness

REFERENCE = "ds01-70001/thesis:latest"
DOCKERFILE = "FROM pytorch/pytorch\nENV A=1\nRUN echo made\n"

Build = Callable[..., list[Progress]]


def request(owner: int = 70001, name: str = "thesis", **more: Any) -> BuildRequest:
    return BuildRequest(owner, name, **more)


@pytest.fixture
def build(harness: Harness, gate: Any) -> Build:
    def run(login: str = "alice", dockerfile: str = DOCKERFILE, **more: Any) -> list[Progress]:
        what = request(more.pop("owner", harness.people[login]), **more)
        return list(gate.build(harness.actor(login), what, tar_pieces({"Dockerfile": dockerfile})))

    return run


def test_a_build_is_a_stream_that_ends_in_the_image(harness: Harness, gate: Any, build: Build) -> None:
    steps = build(labels={"ds01.source": "x", "ds01.use_case": "nlp"})
    image = harness.engine.image(REFERENCE)
    assert image is not None and (steps[-1].step, steps[-1].text) == ("built", image.id)
    assert [step.current for step in steps[:3]] == [1, 2, 3] and "made" in [step.text for step in steps]
    assert gate.image_labels(harness.actor("alice"), REFERENCE) == {"ds01.source": "x", "ds01.use_case": "nlp"}
    assert gate.image_labels(harness.actor("alice"), "absent/x") == {}


def test_only_administrators_build_for_others(harness: Harness, build: Build) -> None:
    with pytest.raises(PermissionDenied):
        build("bob", owner=70001)
    assert harness.engine.image(REFERENCE) is None and [kind for kind, _ in harness.events] == ["refusal"]
    build("boss", owner=70001)
    assert harness.engine.image(REFERENCE) is not None
    assert [(facts["actor"], facts["user"]) for _, facts in harness.events] == [("bob", "alice"), ("boss", "alice")]


@pytest.mark.parametrize("name", ["", "Thesis", "a/b", "../x", "a:b", "a b", "x" * 64, "a___b", "a-", "a_-b", "x\ny"])
def test_what_is_no_name_is_wrong_use(harness: Harness, build: Build, name: str) -> None:
    with pytest.raises(UsageError):
        build(name=name)
    assert harness.engine.images() == []


@pytest.mark.parametrize("label", ["mine", "aime.mlc", "ds01", "ds01.", "ds01.A b", "xds01.a"])
def test_only_labels_of_ds01_are_put_on_an_image(harness: Harness, build: Build, label: str) -> None:
    with pytest.raises(UsageError):
        build(labels={label: "x"})
    assert harness.engine.images() == []


def test_no_label_has_a_comma_since_aimes_list_would_crash_on_it(harness: Harness, build: Build) -> None:
    build(labels={"ds01.dockerfile": "/home/a,b/Dockerfile", "ds01.source": "x"})
    image = harness.engine.image(REFERENCE)
    assert image is not None and image.labels == {"ds01.dockerfile": "-", "ds01.source": "x"}


def test_a_failed_build_is_an_event_and_leaves_the_image(harness: Harness, build: Build) -> None:
    build()
    before = harness.engine.image(REFERENCE)
    with pytest.raises(EngineRejected) as caught:
        build(dockerfile=DOCKERFILE + "RUN exit 3\n")
    assert caught.value.data == {"problem": "build", "step": "4/4 RUN exit 3", "exit_code": 3}
    with pytest.raises(EngineNotFound):
        build(dockerfile="FROM absent/image\n")
    assert harness.engine.image(REFERENCE) == before
    assert [(kind, facts["what"], facts["image"]) for kind, facts in harness.events] == [
        ("image", "built", REFERENCE), ("image", "failed", REFERENCE), ("image", "failed", REFERENCE),
    ]  # fmt: skip
    assert harness.events[0][1]["seconds"] == 0 and harness.events[0][1]["why"] is None
    assert "RUN exit 3" in harness.events[1][1]["why"]


def test_closing_a_build_cancels_it_and_is_an_event(harness: Harness, gate: Any) -> None:
    steps = gate.build(harness.actor("alice"), request(), tar_pieces({"Dockerfile": DOCKERFILE}))
    next(steps)
    steps.close()
    assert harness.engine.image(REFERENCE) is None
    assert [(facts["what"], facts["why"]) for _, facts in harness.events] == [("failed", "interrupted")]


def test_who_stops_listening_at_the_end_has_an_image(harness: Harness, gate: Any) -> None:
    steps = gate.build(harness.actor("alice"), request(), tar_pieces({"Dockerfile": DOCKERFILE}))
    for step in steps:
        if step.step == "built":
            break
    steps.close()
    assert harness.engine.image(REFERENCE) is not None
    assert [facts["what"] for _, facts in harness.events] == ["built"]


def test_nothing_happens_before_the_first_step_is_asked_for(harness: Harness) -> None:
    def unread() -> Iterator[bytes]:
        raise AssertionError("the context was read")
        yield b""

    harness.gate.build(harness.actor("alice"), request(), unread())
    with pytest.raises(PermissionDenied):
        next(harness.gate.build(harness.actor("bob"), request(), unread()))


def test_a_rebuilt_image_takes_the_place_of_the_old_one(harness: Harness, build: Build) -> None:
    build()
    old = harness.engine.image(REFERENCE)
    build(dockerfile=DOCKERFILE + "ENV B=2\n")
    assert old is not None and harness.engine.image(old.id) is None


def test_an_old_image_that_a_container_uses_stays_for_it(harness: Harness, gate: Any, build: Build) -> None:
    alice = harness.actor("alice")
    build()
    old = harness.engine.image(REFERENCE)
    gate.create(alice, harness.request("alice", image="ds01-70001/thesis"))
    build(dockerfile=DOCKERFILE + "ENV B=2\n")
    assert old is not None
    kept = harness.engine.image(old.id)
    assert kept is not None and kept.tags == ("ds01-70001/thesis:thesis._.70001",)
    gate.start(alice, harness.full("alice"))


def test_an_old_image_with_another_name_stays(harness: Harness, build: Build) -> None:
    build()
    old = harness.engine.image(REFERENCE)
    harness.engine.tag(REFERENCE, "ds01-70001/thesis:v1")
    build(dockerfile=DOCKERFILE + "ENV B=2\n")
    assert old is not None and harness.engine.image("ds01-70001/thesis:v1") is not None


def test_retagged_base_image_is_never_removed(harness: Harness, gate: Any, build: Build) -> None:
    build(dockerfile="FROM pytorch/pytorch\n")
    build()
    assert harness.engine.image("pytorch/pytorch") is not None
    build(dockerfile="FROM pytorch/pytorch\n")
    gate.remove_image(harness.actor("alice"), REFERENCE)
    assert harness.engine.image("pytorch/pytorch") is not None


def test_images_are_listed_with_who_was_made_from_them(harness: Harness, gate: Any, build: Build) -> None:
    alice, bob = harness.actor("alice"), harness.actor("bob")
    build(labels={"ds01.source": "x"})
    build(name="spare")
    build("bob")
    gate.create(alice, harness.request("alice", image="ds01-70001/thesis"))
    gate.create(alice, harness.request("alice", name="second", image=REFERENCE, gpus=0))
    gate.create(bob, harness.request("bob", image=REFERENCE))
    harness.engine.add_foreign("by-hand", image=REFERENCE)
    harness.engine.tag(REFERENCE, "ds01-70001/thesis:v1")
    harness.engine.tag(REFERENCE, "elsewhere/thesis:v1")
    found = {image.reference: image for image in gate.images(alice)}
    # The tags of the containers are not among them.
    assert list(found) == ["ds01-70001/spare:latest", REFERENCE, "ds01-70001/thesis:v1"]
    assert [image.name for image in found.values()] == ["spare", "thesis", "thesis:v1"]
    image = found[REFERENCE]
    assert image.used_by == ("by-hand", "second", "thesis", "thesis._.70002")
    assert found["ds01-70001/spare:latest"].used_by == () and found["ds01-70001/thesis:v1"].used_by == image.used_by
    assert image.created_at == harness.clock() and image.size_bytes and image.labels == {"ds01.source": "x"}
    assert gate.own_images(alice) == tuple(found)
    assert gate.own_images(alice, owner=70002) == ("ds01-70002/thesis:latest",)
    assert [one.used_by for one in gate.images(bob)] == [()]


def test_a_container_of_a_version_that_was_replaced_still_counts(harness: Harness, gate: Any, build: Build) -> None:
    alice = harness.actor("alice")
    build()
    gate.create(alice, harness.request("alice", image="ds01-70001/thesis"))
    build(dockerfile=DOCKERFILE + "ENV B=2\n")
    (image,) = gate.images(alice)
    assert image.used_by == ("thesis",)
    gate.remove(alice, harness.full("alice"))
    (image,) = gate.images(alice)
    assert image.used_by == ()


def test_an_image_goes_once_no_container_uses_it(harness: Harness, gate: Any, build: Build) -> None:
    alice = harness.actor("alice")
    build()
    gate.create(alice, harness.request("alice", image="ds01-70001/thesis"))
    with pytest.raises(InvalidState) as caught:
        gate.remove_image(alice, REFERENCE)
    assert "thesis" in (caught.value.why or "") and caught.value.data == {"used_by": ["thesis"]}
    assert harness.engine.image(REFERENCE) is not None
    gate.remove(alice, harness.full("alice"))
    harness.events.clear()
    gate.remove_image(alice, "ds01-70001/thesis")
    assert harness.engine.image(REFERENCE) is None and gate.images(alice) == ()
    assert [(kind, facts["what"], facts["user"]) for kind, facts in harness.events] == [("image", "removed", "alice")]
    with pytest.raises(NotFound):
        gate.remove_image(alice, REFERENCE)


def test_only_administrators_remove_images_of_others(harness: Harness, gate: Any, build: Build) -> None:
    build()
    with pytest.raises(PermissionDenied):
        gate.remove_image(harness.actor("bob"), REFERENCE)
    assert harness.engine.image(REFERENCE) is not None
    gate.remove_image(harness.actor("boss"), REFERENCE)
    assert harness.engine.image(REFERENCE) is None


@pytest.mark.parametrize(
    "reference",
    ["pytorch/pytorch", "ds01-70001", "ds01-x/thesis", "xds01-70001/thesis", "ds01-70001/thesis:thesis._.70001",
     "ds01-70001/../x", "ds01-70001/", "sha256:" + "0" * 64, ""],
)  # fmt: skip
def test_only_a_users_own_image_is_removed(harness: Harness, gate: Any, reference: str) -> None:
    gate.create(harness.actor("alice"), harness.request("alice"))
    with pytest.raises(PermissionDenied):
        gate.remove_image(harness.actor("boss"), reference)


def test_a_build_has_the_limits_and_the_slice_of_its_owner(harness: Harness) -> None:
    harness.set_policy(
        POLICY.replace("defaults: {", "defaults: {max_cpus: 8, memory: 48g, shm_size: 4g, ")
        + "user_overrides: {alice: {aggregate: {max_cpus: 3}, memory_swap: 64g}}\n"
    )
    alice, bob = (harness.context.users.by_uid(harness.people[login]) for login in ("alice", "bob"))
    spec = build_spec(harness.context, alice, request(dockerfile="a/Dockerfile", no_cache=True))
    assert spec == BuildSpec(
        reference=REFERENCE,
        dockerfile="a/Dockerfile",
        no_cache=True,
        memory=48 << 30,
        memory_swap=64 << 30,
        cpu_quota=300_000,  # of the slice around it, which cgroup v1 does not let a child exceed
        shm_size=4 << 30,
        cgroup_parent="ds01-default-alice.slice",
    )
    assert build_spec(harness.context, bob, request(70002)).cpu_quota == 800_000


@pytest.mark.parametrize(("network", "expected"), [("host", "host"), ("bridge", None), ("none", None)])
def test_only_the_network_of_the_host_is_a_matter_of_policy(
    harness: Harness, network: str, expected: str | None
) -> None:
    harness.set_policy(POLICY + f"network: {network}\n")
    assert build_spec(harness.context, harness.context.users.by_uid(70001), request()).network == expected
