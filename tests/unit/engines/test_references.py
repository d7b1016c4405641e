from __future__ import annotations

import pytest

from ds01.engines.references import is_reference, split_reference, with_tag

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("reference", "repository", "tag"),
    [
        ("python", "python", "latest"),
        ("python:3.11-slim", "python", "3.11-slim"),
        ("aimehub/pytorch-2.5.1-cuda12.4:latest", "aimehub/pytorch-2.5.1-cuda12.4", "latest"),
        ("nvcr.io/nvidia/pytorch:24.01-py3", "nvcr.io/nvidia/pytorch", "24.01-py3"),
        ("localhost:5000/a/b", "localhost:5000/a/b", "latest"),
        ("Registry.Example:5000/a:b", "Registry.Example:5000/a", "b"),
        ("ds01-1001/my-thesis:my-thesis._.1001", "ds01-1001/my-thesis", "my-thesis._.1001"),
        (f"python@{DIGEST}", "python", DIGEST),
        (f"python:3@{DIGEST}", "python", DIGEST),
    ],
)
def test_a_reference_has_a_repository_and_a_tag(reference: str, repository: str, tag: str) -> None:
    assert split_reference(reference) == (repository, tag)
    assert split_reference(with_tag(reference)) == (repository, tag)


@pytest.mark.parametrize(
    "reference", ["", "Upper", "Upper/case", "a b", "-a", "a:", "a:b:c", "a//b", "a/../b", "a\n", "a:-x", "é", "a@b"]
)
def test_what_docker_refuses_is_not_well_formed(reference: str) -> None:
    assert not is_reference(reference)
    with pytest.raises(ValueError, match="not an image reference"):
        split_reference(reference)
