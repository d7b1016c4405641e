"""Creating containers: names, images, options, mounts, ports."""

from __future__ import annotations

import os

from ds01.engines.protocol import Devices
from tests.golden.case import Case, Stage, file, outside

_FULL = ("container-create one pytorch --cpu-only", "container-create two pytorch --cpu-only",
         "container-create three pytorch --cpu-only")  # fmt: skip


def _directory_of_bob(stage: Stage) -> None:
    path = stage.path("private/x").parent
    os.chown(path, stage.ds.harness.people["bob"], stage.ds.harness.people["bob"])


def _workspace_is_a_file(stage: Stage) -> None:
    folder = stage.ds.harness.home("alice") / "workspace" / "fresh"
    if folder.is_dir():
        folder.rmdir()
    folder.write_text("")


CASES = [
    Case("A container is created", "container-create thesis pytorch"),
    Case("A container is deployed", "container-deploy thesis pytorch --background"),
    Case("A container without a GPU", "container-deploy thesis pytorch --cpu-only --background"),
    Case("A container with a port", "container-deploy thesis pytorch --background -p 8888"),
    Case("A plan only", "container-create thesis pytorch --dry-run"),
    Case("An explanation of each step", "container-deploy thesis pytorch --guided --background"),
    Case("A container is created again after it was retired", "container-deploy thesis --background",
         ("container-deploy thesis pytorch --background", "container-retire thesis --force")),
    Case("An image that is not here is fetched", "container-create thesis --image remote/thing"),
    Case("No name", "container-create"),
    Case("An invalid name", "container-create -- a/b pytorch"),
    Case("A name that is too long", f"container-create {'x' * 100} pytorch"),
    Case("A name that is taken", "container-create thesis pytorch", ("container-create thesis pytorch",)),
    Case("A name that is taken for somebody else", "boss$ container-create thesis pytorch --user alice",
         ("container-create thesis pytorch",)),
    Case("A name that is taken by a manual lease", "container-create thesis pytorch",
         ("boss$ gpu allocate --user alice --container thesis",)),
    Case("A name that another container has in Docker", "container-create thesis pytorch",
         (outside("docker create --name thesis._.70001",
                  lambda stage: stage.ds.engine.add_foreign("thesis._.70001", running=False)),)),
    Case("No image", "container-create fresh"),
    Case("No image for a deploy", "container-deploy fresh"),
    Case("Neither a framework nor an image", "container-create thesis absent/image"),
    Case("An unknown framework", "container-create thesis --framework cobol"),
    Case("An unknown version", "container-create thesis --framework pytorch-99"),
    Case("An invalid image", "container-create thesis --image 'Not An Image'"),
    Case("More than one image", "container-create thesis pytorch --image debian"),
    Case("An image that no registry has", "container-create thesis --image absent/thing"),
    Case("CPU only and a GPU", "container-create thesis pytorch --cpu-only --gpus 1"),
    Case("A profile of whole GPUs", "container-create thesis pytorch --gpu-type full --profile 2g.10gb"),
    Case("An unknown profile", "container-create thesis pytorch --profile huge"),
    Case("A workspace that does not exist", "container-create thesis pytorch -w ROOT/nowhere"),
    Case("An empty workspace", "container-create thesis pytorch -w ''"),
    Case("A workspace that is a file", "container-create thesis pytorch -w ROOT/some.txt", (file("some.txt"),)),
    Case("A workspace of somebody else", "container-create thesis pytorch -w ROOT/private",
         (outside("ROOT/private belongs to bob", _directory_of_bob),)),
    Case("A workspace with a colon", "container-create thesis pytorch -w ROOT/home/alice/a:b", (file("~/a:b/x"),)),
    Case("A workspace that cannot be created", "container-create fresh pytorch",
         (outside("~/workspace/fresh is a file", _workspace_is_a_file),)),
    Case("A data directory that does not exist", "container-create thesis pytorch --data ROOT/nowhere"),
    Case("A port that is none", "container-create thesis pytorch -p http"),
    Case("A port twice", "container-create thesis pytorch -p 80:8080 -p 81:8080"),
    Case("A variable without a value", "container-create thesis pytorch -e NOT_SET_HERE"),
    Case("A variable with an invalid name", "container-create thesis pytorch -e 1X=2"),
    Case("A variable that ds01 sets", "container-create thesis pytorch -e NVIDIA_VISIBLE_DEVICES=all"),
    Case("A wait that is not a duration", "container-create thesis pytorch --wait-for 5"),
    Case("An open shell in the background", "container-deploy thesis pytorch --open --background"),
    Case("An open shell without a terminal", "container-deploy thesis pytorch --open"),
    Case("An invalid project", "container-create thesis pytorch --project a/b"),
    Case("Too many containers", "container-create four pytorch --cpu-only", _FULL),
    Case("A foreign container has the GPUs", "container-create thesis pytorch",
         (outside("docker run --gpus all other", lambda stage: stage.ds.engine.add_foreign(
             "other", devices=Devices(everything=True, form="device_request"))),)),
]  # fmt: skip
