"""Build contexts for images in tests."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Iterator, Mapping

RUN = secrets.token_hex(4)  # identifies this test run
BUILD_LABEL = f"ds01-test-build={RUN}"  # on all images of a build, to find those without a name


def tar_pieces(files: Mapping[str, str]) -> Iterator[bytes]:
    """Yield a tar archive in pieces."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content.encode()), 0o644
            tar.addfile(entry, io.BytesIO(content.encode()))
    whole = buffer.getvalue()
    yield from (whole[start : start + 4096] for start in range(0, len(whole), 4096))
