"""BuildKit features are found in a Dockerfile, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from ds01.errors import UsageError
from ds01.images.buildkit import check_classic
from ds01.images.dockerfile import render_sources
from tests.unit.images.plans import plan


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM a\nRUN --mount=type=cache,target=/x pip install x\n", "line 2 of the Dockerfile needs BuildKit"),
        ("FROM a\nrun --network=none true", "RUN --network"),
        ("FROM a\nRUN --security=insecure \\\n  true", "RUN --security"),
        ("FROM a\nRUN <<EOF\necho a\nEOF\n", "RUN with a here-document"),
        ("FROM a\nRUN cat <<-'EOF' > /x\n\ta\n\tEOF\n", "RUN with a here-document"),
        ("FROM a\nCOPY <<EOF /x\na\nEOF\n", "COPY with a here-document"),
        ("FROM a\nCOPY --link a /a", "COPY --link"), ("FROM a\nCOPY --from=b --chmod=755 a /a", "COPY --chmod"),
        ("FROM a\nADD --checksum=sha256:aa https://h/x /x", "ADD --checksum"),
        ("FROM --platform=$BUILDPLATFORM a\n", "a platform variable"),
        ("FROM a\nARG TARGETARCH\nRUN curl https://h/$TARGETARCH", "ARG TARGETARCH without a value"),
        ("FROM a\nADD https://h/o/r.git#main /x", "ADD of a Git repository"), ("ADD git@h:o/r /x", "a Git repository"),
        ("FROM a\nRUN --unknown=x y", "RUN --unknown"), ("FROM a\nADD --unpack=true x.tar /x", "ADD --unpack"),
    ],
)  # fmt: skip
def test_feature_is_named_with_line_and_replacement(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_classic(text)
    assert said in caught.value.message and "classic builder" in (caught.value.why or "") and caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nRUN echo --mount=x", "FROM a\nRUN python -c 'print(1<<x)'", 'FROM a\nRUN ["sh", "-c", "a <<EOF"]',
        "FROM a AS b\nCOPY --from=b --chown=1:1 /a /a", "# syntax=docker/dockerfile:1\nFROM --platform=linux/amd64 a",
        "FROM a\n# RUN --mount=type=cache true\n", "", "nonsense",
        "FROM a\nARG TARGETARCH=amd64 X\nADD https://h/o/r.git.zip https://h/x /x/", "FROM a\nADD --chown=1 a.git/ /x",
    ],
)  # fmt: skip
def test_classic_instructions_pass(text: str) -> None:
    check_classic(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("RUN <<EOF\na\nEOF\n", "&&"), ("RUN python3 <<EOF\na\nEOF\n", "file beside"),
        ("RUN cat <<EOF > /x\na\nEOF\n", "file beside"), ("RUN --mount=type=secret,id=x cat /x", "the secret"),
        ("RUN --mount=id=x,type=ssh git clone x", "the secret"), ("RUN --mount=type=bind,source=a,target=/a x", "COPY"),
    ],
)  # fmt: skip
def test_hint_fits_the_feature(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_classic(text)
    assert hint in (caught.value.hint or "")


def test_generated_dockerfiles_pass() -> None:
    check_classic(render_sources(plan()).dockerfile)
