"""What Docker's `system df` says."""

from __future__ import annotations

from ds01.engines.docker.disk_usage import parse_disk_usage
from ds01.engines.protocol import DiskItem

ANSWER = {
    "LayersSize": 1000,
    "Images": [
        {"Id": "sha256:1", "RepoTags": ["ds01-1001/thesis:latest", "<none>:<none>"], "Size": 700, "SharedSize": 500},
        {"Id": "sha256:2", "RepoTags": None, "Size": 10, "SharedSize": -1},
    ],
    "Containers": [{"Id": "c1", "Names": ["/thesis._.1001"], "SizeRw": 42}, {"Id": "c2", "Names": ["/other"]}],
    "Volumes": [
        {"Name": "v1", "UsageData": {"Size": 7, "RefCount": 1}},
        {"Name": "v2", "UsageData": {"Size": -1, "RefCount": 0}},
        {"Name": "v3", "UsageData": None},
    ],
    "BuildCache": [{"Size": 5, "Shared": False}, {"Size": 50, "Shared": True}],
}


def test_an_image_has_the_size_of_its_own_layers() -> None:
    usage = parse_disk_usage(ANSWER)
    assert usage.layers_bytes == 1000
    assert usage.images[0] == DiskItem("sha256:1", ("ds01-1001/thesis:latest",), 200)


def test_minus_one_is_unknown() -> None:
    usage = parse_disk_usage(ANSWER)
    assert usage.images[1].size_bytes is None
    assert [volume.size_bytes for volume in usage.volumes] == [7, None, None]


def test_a_container_that_wrote_nothing_has_no_size() -> None:
    assert [container.size_bytes for container in parse_disk_usage(ANSWER).containers] == [42, 0]


def test_shared_build_cache_counts_with_the_images() -> None:
    assert parse_disk_usage(ANSWER).build_cache_bytes == 5


def test_nothing_there() -> None:
    usage = parse_disk_usage({"LayersSize": 0, "Images": None, "Containers": None, "Volumes": None, "BuildCache": None})
    assert (usage.images, usage.containers, usage.volumes, usage.build_cache_bytes) == ((), (), (), 0)
