"""Images: create, update, list, delete."""

from __future__ import annotations

from tests.golden.case import Case, file, later

_BUILT = "image-create thesis --framework pytorch"


def _own(dockerfile: str) -> Case:
    return Case(f"A Dockerfile with {dockerfile!r}", "image-create own --dockerfile ROOT/home/alice/mine/Dockerfile",
                (file("~/mine/Dockerfile", f"FROM busybox\n{dockerfile}\n"),))  # fmt: skip


CASES = [
    Case("An image is built", f"{_BUILT} --use-case nlp --packages 'pandas>=2.0,<3'"),
    Case("An image is written and not built", f"{_BUILT} --no-build"),
    Case("An image without a name", "image-create"),
    Case("An image without a base", "image-create thesis"),
    Case("An image with an invalid name", "image-create ../escape --framework pytorch"),
    Case("An image with two bases", f"{_BUILT} --base-image debian"),
    Case("A version without a framework", "image-create thesis --version 2.5.1"),
    Case("An image of an unknown framework", "image-create thesis --framework torchvision"),
    Case("An image of an unknown version", f"{_BUILT} --version 99"),
    Case("An image of an invalid base", "image-create thesis --base-image 'Not An Image'"),
    Case("An image of a Dockerfile that does not exist", "image-create thesis --dockerfile /nowhere/Dockerfile"),
    Case("An image of a file that does not exist", f"{_BUILT} --requirements /nowhere/r.txt"),
    Case("An image for an unknown use case", f"{_BUILT} --use-case cooking"),
    Case("An image with a system package that is none", f"{_BUILT} --system 'ffmpeg;reboot'"),
    Case("A package for a Dockerfile that stays as it is",
         "image-create own --dockerfile ROOT/home/alice/mine/Dockerfile --system curl",
         (file("~/mine/Dockerfile", "FROM busybox\n"),)),
    Case("An image that exists", _BUILT, (_BUILT,)),
    Case("An image whose build fails", f"{_BUILT} --packages no-such-package-1"),
    Case("An image of a base that no registry has", "image-create thesis --base-image absent/base"),
    _own("COPY . /"),
    _own("COPY ../data /data"),
    _own("COPY absent.txt /"),
    _own("COPY $WHAT /"),
    _own("RUN --mount=type=cache,target=/x true"),
    _own("FLY away"),
    _own("RUN false"),
    Case("An image is updated", "image-update thesis --add polars --add-system ffmpeg",
         (_BUILT, "container-deploy thesis --background")),
    Case("An image has nothing to build", "image-update thesis --recreate", (_BUILT,)),
    Case("An image is built and its container created again", "image-update thesis --add polars --recreate",
         (_BUILT, "container-deploy thesis --background")),
    Case("Which image to update", "image-update"),
    Case("No change to an image", "image-update thesis", (_BUILT,)),
    Case("An image that does not exist is updated", "image-update thesis --rebuild"),
    Case("A package that is not there is removed", "image-update thesis --remove numba", (_BUILT,)),
    Case("A system package for a Dockerfile of one's own", "image-update own --add-system curl",
         (file("~/dockerfiles/own.Dockerfile", "FROM busybox\n"),)),
    Case("No images", "image-list"),
    Case("A list of images", "image-list", (_BUILT, "container-deploy thesis --background", later(hours=2))),
    Case("A list of images with a newer Dockerfile", "image-list",
         (_BUILT, later(hours=2), file("~/dockerfiles/thesis.Dockerfile", "FROM busybox\n"))),
    Case("An image is deleted", "image-delete thesis", (_BUILT,)),
    Case("An image is deleted with its Dockerfile", "image-delete thesis --dockerfile", (_BUILT,)),
    Case("An image in use is deleted", "image-delete thesis", (_BUILT, "container-deploy thesis --background")),
    Case("An image that does not exist is deleted", "image-delete thesis"),
    Case("Which image to delete", "image-delete"),
]  # fmt: skip
