"""The image for a framework and GPUs, with the shipped catalogue and with a server's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from ds01.engines.references import is_reference
from ds01.errors import Ds01Error, NotFound
from ds01.gpus import simulated
from ds01.images.catalogue import (
    Catalogue,
    CatalogueEntry,
    architecture_of,
    explain_choice,
    find_entry,
    frameworks_for,
    frameworks_for_cuda,
    is_framework,
    load_catalogue,
    parse_repo,
    versions_for,
)
from ds01.system.settings import config_file

PATH = config_file("images.yaml")
SHIPPED = load_catalogue(PATH, ())
ARCHITECTURES = {"CUDA_BLACKWELL", "CUDA_ADA", "CUDA_AMPERE", "CUDA", "ROCM6", "ROCM5"}
V1 = """# Framework, version, architecture, image
Pytorch, 2.3.0-lab, CUDA_AMPERE, registry.lab:5000/pytorch:2.3.0

Tensorflow, 2.14.0, CUDA_ADA, aimehub/tensorflow-2.14.0-cuda11.8
"""
V2 = """Pytorch, 2.1.0-aime, [CUDA_ADA;CUDA_AMPERE], aimehub/pytorch-2.1.0-aime-cuda11.8
Jax,0.4,[CUDA_ADA],lab/jax
"""


def test_every_shipped_row_is_well_formed() -> None:
    assert len(SHIPPED.entries) == 117 + 18
    for entry in SHIPPED.entries:
        assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+[a-z]?(-[a-z]+)?", entry.version), entry
        assert entry.architectures and ARCHITECTURES.issuperset(entry.architectures), entry
        assert is_reference(entry.image) and "," not in entry.image, entry


def test_the_shipped_frameworks_and_their_rows() -> None:
    assert SHIPPED.frameworks == ("Pytorch", "Tensorflow", "Jax", "ROCM", "Mxnet")
    counts = [sum(entry.framework == name for entry in SHIPPED.entries) for name in SHIPPED.frameworks]
    assert counts == [76 + 8, 35 + 7, 3, 1, 5]


def number(entry: CatalogueEntry) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", entry.version.partition("-")[0])]


def test_newest_fitting_version_wins_then_aimes_row() -> None:
    for framework in SHIPPED.frameworks:
        rows = [entry for entry in SHIPPED.entries if entry.framework == framework]
        for architecture in {one for entry in rows for one in entry.architectures}:
            fitting = [entry for entry in rows if architecture in entry.architectures]
            newest = [entry for entry in fitting if number(entry) == max(map(number, fitting))]
            found = find_entry(SHIPPED, framework, architecture)
            assert found in newest
            assert found.image.startswith("aimehub/") or not any(one.image.startswith("aimehub/") for one in newest)


@pytest.mark.parametrize(
    ("architectures", "label", "said"),
    [
        (("CUDA_AMPERE", "CUDA"), "Pytorch-2.7.1-plain", "was built for all of them"),
        (("CUDA_BLACKWELL", "CUDA_AMPERE"), "Pytorch-2.9.1-plain", "was built for all of them"),
        (("CUDA_BLACKWELL", "CUDA"), "Pytorch-2.9.1", "runs on CUDA if the driver is new enough"),
        (("CUDA_ADA", "ROCM6"), "Pytorch-2.9.1-plain", "does not run on ROCM6"),
    ],
)
def test_mixed_server_prefers_an_image_for_all_gpus(architectures: tuple[str, ...], label: str, said: str) -> None:
    for ordered in (architectures, architectures[::-1]):
        found = find_entry(SHIPPED, "pytorch", *ordered)
        assert found.label == label
        assert said in (explain_choice(found, *ordered) or "")


def test_gpus_of_one_architecture_need_no_explanation() -> None:
    assert explain_choice(find_entry(SHIPPED, "pytorch", "CUDA"), "CUDA", "CUDA", None) is None


def test_only_frameworks_with_an_image_for_the_gpus_are_offered() -> None:
    assert frameworks_for(SHIPPED, "CUDA_AMPERE") == ("Pytorch", "Tensorflow", "Jax", "Mxnet")
    assert frameworks_for(SHIPPED, "CUDA_BLACKWELL") == ("Pytorch", "Tensorflow", "Jax")
    assert frameworks_for(SHIPPED, "ROCM5") == ("Pytorch", "Tensorflow", "ROCM")
    assert frameworks_for(SHIPPED, None) == SHIPPED.frameworks
    assert frameworks_for_cuda(SHIPPED) == ("Pytorch", "Tensorflow", "Jax", "Mxnet")


def test_aimes_own_rows_on_the_server_do_not_hide_newer_versions(tmp_path: Path) -> None:
    (tmp_path / "ml_images.repo").write_text("Pytorch, 1.8.0, [CUDA], aimehub/pytorch-1.8.0-cuda\n" + V1)
    catalogue = load_catalogue(PATH, [tmp_path / "ml_images.repo"])
    assert find_entry(catalogue, "pytorch", "CUDA").label == "Pytorch-2.9.1-plain"
    assert find_entry(catalogue, "pytorch", "CUDA_AMPERE").label == "Pytorch-2.3.0-lab"


def test_versions_are_offered_newest_first() -> None:
    assert versions_for(SHIPPED, "Pytorch", "CUDA")[:3] == ("2.9.1-plain", "2.8.0-plain", "2.7.1-plain")
    assert versions_for(SHIPPED, "Mxnet", "CUDA_ADA") == ()


def test_no_shipped_row_is_hidden_except_aimes_duplicate() -> None:
    seen: set[tuple[str, str, str]] = set()
    hidden = []
    for entry in SHIPPED.entries:
        keys = {(entry.framework, entry.version, architecture) for architecture in entry.architectures}
        if keys <= seen:
            hidden.append(entry.image)
        seen |= keys
    # AIME lists this one twice for Ampere; the first row wins there too.
    assert hidden == ["aimehub/tensorflow-1.15.4-nvidia-20.12"]


def test_every_label_finds_its_own_row() -> None:
    for entry in SHIPPED.entries:
        if entry.image == "aimehub/tensorflow-1.15.4-nvidia-20.12":
            continue
        for architecture in entry.architectures:
            assert find_entry(SHIPPED, entry.label, architecture) == entry


@pytest.mark.parametrize(
    ("text", "architecture", "label", "image"),
    [
        ("pytorch", None, "Pytorch-2.9.1", "aimehub/pytorch-2.9.1-cuda12.8.1"),
        ("torch", "CUDA_AMPERE", "Pytorch-2.9.1-plain", "pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime"),
        (" PyTorch ", "CUDA_ADA", "Pytorch-2.9.1-plain", "pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime"),
        ("pytorch", "CUDA_BLACKWELL", "Pytorch-2.9.1", "aimehub/pytorch-2.9.1-cuda12.8.1"),
        ("pytorch", "CUDA", "Pytorch-2.9.1-plain", "pytorch/pytorch:2.9.1-cuda12.6-cudnn9-runtime"),
        ("pytorch", "ROCM5", "Pytorch-2.2.0", "aimehub/pytorch-2.2.0-rocm5.7"),
        ("Pytorch-2.5.1", None, "Pytorch-2.5.1", "aimehub/pytorch-2.5.1-aime-cuda12.1.1"),
        ("Pytorch-2.5.1", "CUDA_AMPERE", "Pytorch-2.5.1", "aimehub/pytorch-2.5.1-aime-cuda11.8.0"),
        ("Pytorch-2.3.0", "CUDA_ADA", "Pytorch-2.3.0", "aimehub/pytorch-2.3.0-cuda12.1"),
        ("pytorch-2.8.0-AIME", None, "Pytorch-2.8.0-aime", "aimehub/pytorch-2.8.0-aime-cuda12.8.1"),
        ("torch-2.8.0", "CUDA_BLACKWELL", "Pytorch-2.8.0", "aimehub/pytorch-2.8.0-cuda12.8.1"),
        ("tf", None, "Tensorflow-2.16.1", "aimehub/tensorflow-2.16.1-cuda12.3"),
        ("tensorflow", "CUDA_AMPERE", "Tensorflow-2.20.0-plain", "tensorflow/tensorflow:2.20.0-gpu"),
        ("tensorflow", "CUDA_BLACKWELL", "Tensorflow-2.17.0-nvidia", "nvcr.io/nvidia/tensorflow:25.02-tf2-py3"),
        ("Tensorflow-2.17.0-plain", "CUDA", "Tensorflow-2.17.0-plain", "tensorflow/tensorflow:2.17.0-gpu"),
        ("pytorch-2.5.1-plain", None, "Pytorch-2.5.1-plain", "pytorch/pytorch:2.5.1-cuda11.8-cudnn9-runtime"),
        ("pytorch-2.9.1-plain", "CUDA", "Pytorch-2.9.1-plain", "pytorch/pytorch:2.9.1-cuda12.6-cudnn9-runtime"),
        ("jax", "CUDA_AMPERE", "Jax-0.7.2", "nvcr.io/nvidia/jax:25.10-py3"),
        ("JAX", "CUDA", "Jax-0.4.26", "nvcr.io/nvidia/jax:24.04-py3"),
        ("mxnet", None, "Mxnet-1.8.0-nvidia", "aimehub/mxnet-1.8.0-nvidia-20.12"),
        ("rocm", None, "ROCM-5.4.2", "rocm/dev-ubuntu-20.04:5.4.2-complete"),
    ],
)
def test_a_name_finds_the_newest_row_that_fits(text: str, architecture: str | None, label: str, image: str) -> None:
    found = find_entry(SHIPPED, text, architecture)
    assert (found.label, found.image) == (label, image)


@pytest.mark.parametrize(
    ("text", "architecture", "made_for"),
    [
        ("pytorch-2.9.1", "CUDA_AMPERE", "CUDA_BLACKWELL"),
        ("pytorch-2.8.0", "CUDA", "CUDA_ADA"),  # the nearest newer architecture, although Blackwell's row comes first
        ("tensorflow-2.10.0", "CUDA", "CUDA_AMPERE"),
    ],
)
def test_requested_version_may_be_for_a_newer_architecture(text: str, architecture: str, made_for: str) -> None:
    assert made_for in find_entry(SHIPPED, text, architecture).architectures


@pytest.mark.parametrize("text", ["pytorch-1.6.0", "pytorch-2.2.0", "pytorch-2.1.2-amd"])
def test_image_for_an_older_architecture_is_never_chosen(text: str) -> None:
    with pytest.raises(NotFound) as caught:
        find_entry(SHIPPED, text, "CUDA_BLACKWELL")
    assert caught.value.why is not None and "for CUDA_BLACKWELL there are Pytorch-2.9.1" in caught.value.why
    assert caught.value.hint is not None and "--image aimehub/pytorch-" in caught.value.hint


def test_unsupported_gpus_name_supported_ones() -> None:
    with pytest.raises(NotFound) as caught:
        find_entry(SHIPPED, "jax", "ROCM6")
    assert caught.value.why == "its images are for CUDA_BLACKWELL, CUDA_ADA, CUDA_AMPERE, CUDA"


@pytest.mark.parametrize("text", ["caffe", "", "-", "torchvision", "pytorch:2.5.1", "aimehub/pytorch-2.5.1"])
def test_unknown_framework_names_the_known_ones(text: str) -> None:
    assert not is_framework(SHIPPED, text)
    with pytest.raises(NotFound) as caught:
        find_entry(SHIPPED, text)
    assert caught.value.exit_code == 5
    assert caught.value.why == "known: Pytorch, Tensorflow, Jax, ROCM, Mxnet"


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("pytorch-2.5", "Pytorch-2.5.1, Pytorch-2.5.0"),
        ("torch-2.5.2", "Pytorch-2.5.1"),
        ("mxnet-9", "Mxnet-1.8.0-nvidia"),
    ],
)
def test_unknown_version_names_the_nearest(text: str, near: str) -> None:
    assert is_framework(SHIPPED, text)
    with pytest.raises(NotFound) as caught:
        find_entry(SHIPPED, text)
    assert caught.value.why is not None and near in caught.value.why


@pytest.mark.parametrize(
    "text", ["torch", "TF", "pytorch-2.5.1", "Pytorch-9.9", "tf-2", "rocm", "jax", "Jax-0.5", "tf-2.17.0-plain"]
)
def test_frameworks_are_recognised(text: str) -> None:
    assert is_framework(SHIPPED, text)


@pytest.mark.parametrize("text", ["torch-experiments", "tf-lite", "jax-plays", "my-pytorch", "pytorch2", "thesis"])
def test_projects_are_not_taken_for_frameworks(text: str) -> None:
    assert not is_framework(SHIPPED, text)


def test_both_forms_of_a_servers_own_file() -> None:
    assert parse_repo(V1)[0] == CatalogueEntry(
        "Pytorch", "2.3.0-lab", ("CUDA_AMPERE",), "registry.lab:5000/pytorch:2.3.0"
    )
    assert parse_repo(V2) == (
        CatalogueEntry("Pytorch", "2.1.0-aime", ("CUDA_ADA", "CUDA_AMPERE"), "aimehub/pytorch-2.1.0-aime-cuda11.8"),
        CatalogueEntry("Jax", "0.4", ("CUDA_ADA",), "lab/jax"),
    )


@pytest.mark.parametrize(
    "line",
    [
        "", "   ", "# Pytorch, 1.0, CUDA, a/b", ",,,", "Pytorch, 1.0, CUDA", "Pytorch, 1.0, CUDA, a/b, more", "a b c d",
        "Pytorch, 1.0, [], a/b", "Pytorch, 1.0, [CUDA, a/b", "Pytorch, 1.0, CUDA, a b", "Pytorch, 1.0, CUDA, A/B",
        "Pytorch, 1 0, CUDA, a/b", "Pytörch, 1.0, CUDA, a/b", "Pytorch\x1b, 1.0, CUDA, a/b", "\x00", "<<<<<<< HEAD",
        "-x, 1.0, CUDA, a/b", "Pytorch, 1.0, CUDA, -x", "Pytorch, 1.0, CUDA, a/b\ufffd",
    ],
)  # fmt: skip
def test_invalid_line_is_skipped(line: str) -> None:
    assert parse_repo(f"{V2}{line}\nPytorch, 1.0, CUDA, a/last\n") == (
        *parse_repo(V2),
        CatalogueEntry("Pytorch", "1.0", ("CUDA",), "a/last"),
    )


def test_windows_line_ends_and_a_comma_at_the_end_are_read() -> None:
    assert len(parse_repo(V1.replace("\n", ",\r\n"))) == 2


def test_a_servers_rows_come_first_and_its_frameworks_count(tmp_path: Path) -> None:
    (tmp_path / "ml_images.repo").write_text(V1 + V2)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00, 1, 2\nTensorflow, 9.9, CUDA, lab/tf\n")
    repos = [tmp_path / "ml_images.repo", tmp_path / "binary", tmp_path / "absent", tmp_path]
    catalogue = load_catalogue(PATH, repos)
    assert find_entry(catalogue, "pytorch", "CUDA_AMPERE").label == "Pytorch-2.3.0-lab"
    assert find_entry(catalogue, "pytorch", "CUDA_BLACKWELL").label == "Pytorch-2.9.1"
    assert find_entry(catalogue, "jax-0.4").image == "lab/jax"
    assert find_entry(catalogue, "tf-9.9").image == "lab/tf"
    # The row in both catalogues appears once.
    assert len(catalogue.entries) == len(set(catalogue.entries)) == len(SHIPPED.entries) + 4


def test_a_name_with_a_hyphen_is_not_taken_for_a_version() -> None:
    rows = parse_repo("Pytorch, 1.0, CUDA, a/plain\nPytorch-nightly, 2.0, CUDA, a/nightly\n")
    assert find_entry(Catalogue(rows), "pytorch-nightly").image == "a/nightly"
    assert find_entry(Catalogue(rows), "pytorch-nightly-2.0").image == "a/nightly"
    assert find_entry(Catalogue(rows), "pytorch-1.0").image == "a/plain"


def test_versions_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "images.yaml"
    path.write_text("Pytorch:\n  - {version: 2.10, architectures: [CUDA], image: a/b}\n")
    assert load_catalogue(path, ()).entries[0].version == "2.10"


@pytest.mark.parametrize(
    "text",
    ["", "- a", "Pytorch: 1", "Pytorch: [{version: 1}]", "{", "Pytorch: [1]", "a: b: c", "provides: [a]",
     "provides: {Pytorch: torch}"],
)  # fmt: skip
def test_a_broken_catalogue_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "images.yaml"
    path.write_text(text)
    with pytest.raises(Ds01Error, match="cannot be read"):
        load_catalogue(path)
    with pytest.raises(Ds01Error, match="cannot be read"):
        load_catalogue(tmp_path / "absent.yaml")


def test_provided_packages_have_pip_names() -> None:
    assert {"torch", "torchvision"} <= set(SHIPPED.provides_of("pyTorch"))
    assert SHIPPED.provides_of("ROCM") == SHIPPED.provides_of("nothing") == ()
    for framework, packages in SHIPPED.provides.items():
        assert framework in SHIPPED.frameworks
        assert packages and [str(canonicalize_name(one)) for one in packages] == list(dict.fromkeys(packages))


MODELS: dict[str | None, list[str]] = {
    "CUDA_BLACKWELL": [
        "NVIDIA GeForce RTX 5090", "NVIDIA GeForce RTX 5070 Ti",
        "NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "NVIDIA B200", "NVIDIA GB200", "NVIDIA GB10",
        "RTX5090", "B200", "NVIDIA RTX PRO 5000 Blackwell",
    ],
    "CUDA_ADA": [
        "NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe", "NVIDIA H100 NVL", "NVIDIA H200", "NVIDIA GH200 480GB",
        "NVIDIA L40S", "NVIDIA L40", "NVIDIA L4", "NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090 D",
        "NVIDIA RTX 6000 Ada Generation", "RTX4090", "H100-94GB", "NVIDIA RTX 5000 Ada Generation",
        "NVIDIA RTX 2000 Ada Generation", "RTX6000", "NVIDIA GeForce RTX 4070 Laptop GPU",
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H20",
    ],
    "CUDA_AMPERE": [
        "NVIDIA A100-SXM4-40GB", "NVIDIA A100 80GB PCIe", "A100-PCIE-40GB", "A100", "A100-80GB",
        "NVIDIA A100-SXM4-40GB MIG 2g.10gb", "NVIDIA A30", "NVIDIA A40", "NVIDIA A10G", "NVIDIA A100X",
        "NVIDIA RTX A6000", "RTX A5000", "NVIDIA RTX A2000 12GB", "A6000", "NVIDIA GeForce RTX 3090 Ti",
        "RTX3090", "NVIDIA A800-SXM4-80GB", "NVIDIA_A100-SXM4-40GB",
    ],
    "CUDA": [
        "Tesla V100-SXM2-16GB", "Tesla V100S-PCIE-32GB", "V100", "V100-16GB", "Tesla T4", "T4",
        "NVIDIA T1000 8GB", "Tesla P100-PCIE-16GB", "Tesla P40", "NVIDIA GeForce RTX 2080 Ti", "RTX2080TI",
        "NVIDIA GeForce GTX 1080 Ti", "GeForce GTX 1660", "NVIDIA TITAN RTX", "TITANRTX", "NVIDIA TITAN V",
        "TITAN Xp", "NVIDIA TITAN X (Pascal)", "Quadro RTX 6000", "Quadro RTX 5000", "Quadro P5000",
        "Quadro GV100", "Quadro T1000",
    ],
    None: [
        "Tesla K80", "Tesla M60", "GeForce GTX 980", "NVIDIA GeForce GTX TITAN X", "Quadro M6000",
        "AMD Instinct MI250X", "NVIDIA Orin", "", "?",
    ],
}  # fmt: skip


@pytest.mark.parametrize("architecture", MODELS)
def test_the_architecture_of_a_model(architecture: str | None) -> None:
    for model in MODELS[architecture]:
        assert architecture_of(model) == architecture, model


def test_every_simulated_model_has_an_architecture() -> None:
    for name in simulated._MODELS:
        (gpu,) = simulated.parse_inventory(f"1x{name}").observation.gpus
        assert architecture_of(gpu.model) in ARCHITECTURES, name
