"""Python packages, as options and in files."""

from __future__ import annotations

import shlex

from tests.golden.case import Case, file

_CREATE = "image-create thesis --framework pytorch --no-build"


def _packages(text: str) -> Case:
    return Case(f"--packages {text!r}", f"{_CREATE} --packages {shlex.quote(text)}")


def _requirements(title: str, content: str | bytes) -> Case:
    return Case(title, f"{_CREATE} --requirements ROOT/home/alice/list/r.txt", (file("~/list/r.txt", content),))


CASES = [
    _packages("pandas >> 2"),
    _packages("numpy, torch>=2"),
    _packages("tqdm\nRUN true"),
    _packages("'open"),
    _packages("--index-url=https://example.org"),
    _packages("./mine"),
    _packages("tqdm @ file:///home/alice/tqdm.whl"),
    _packages("tqdm @ http://example.org/tqdm.whl"),
    _packages("tqdm @ https://example.org/page"),
    _packages("tqdm @ https://example.org/t.whl;python_version<'3.12'"),
    _packages("tqdm ; python_versio < '3'"),
    _requirements("Requirements that are a conda environment", "name: x\ndependencies:\n  - numpy\n"),
    _requirements("Requirements that are a conda list", "# platform: linux-64\nnumpy=1.26.4=py312h1234567_0\n"),
    _requirements("Requirements with files of another computer",
                  "numpy @ file:///croot/numpy_123/work\nscipy @ file:///croot/scipy_123/work\n"),
    _requirements("Requirements with pkg_resources", "numpy\npkg_resources==0.0.0\n"),
    _requirements("Requirements that are a project", '[project]\nname = "x"\n'),
    _requirements("Requirements in an unknown encoding", "# -*- coding: klingon -*-\nnumpy\n"),
    _requirements("Requirements that are not UTF-8", b"numpy\n# caf\xe9\n"),
    _requirements("Requirements that include themselves", "-r r.txt\n"),
    _requirements("Requirements that include a missing file", "-r other.txt\n"),
    _requirements("Requirements with an editable directory", "-e .\n"),
    _requirements("Requirements with an editable address", "-e git+https://example.org/x#egg=x\n"),
    _requirements("Requirements with a directory", "./mine\n"),
    _requirements("Requirements with an option of the command line", "--no-build-isolation\n"),
    _requirements("Requirements with an unknown option", "--frobnicate\n"),
    _requirements("Requirements with an option after a package", "numpy --frobnicate\n"),
    _requirements("Requirements with a control character", "numpy\x07\n"),
]  # fmt: skip
