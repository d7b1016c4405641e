"""The answer of Docker's builder, read entry by entry."""

from __future__ import annotations

from typing import Any

import pytest

from ds01.engines.docker.build import BuildOutput
from ds01.engines.engine_errors import build_error, strip_control_codes
from ds01.engines.protocol import BuildSpec, Progress
from ds01.errors import EngineRejected, EngineUnreachable

SPEC = BuildSpec("a:latest", memory=2 << 30)
FIRST = [{"stream": "Step 1/2 : FROM base"}, {"stream": "\n"}, {"stream": " ---> 0123456789ab\n"}]
SECOND = [{"stream": "Step 2/2 : RUN  make \\\n  all"}, {"stream": "\n"}, {"stream": " ---> Running in 0123456789ab\n"}]
WHOLE: list[dict[str, Any]] = [
    {"stream": "Removing intermediate container 0123456789ab\n"},
    {"aux": {"ID": "sha256:1"}},
]
LAST = [{"stream": "Successfully built 0123456789ab\n"}, {"stream": "Successfully tagged a:latest\n"}]


def read(*entries: dict[str, Any], reading: BuildOutput | None = None) -> list[Progress]:
    reading = reading or BuildOutput(SPEC)
    return [step for entry in entries for step in reading.read(entry)]


def texts(*entries: dict[str, Any]) -> list[str]:
    return [step.text for step in read(*FIRST, *SECOND, *entries) if step.text]


def test_steps_and_lines_in_their_order() -> None:
    reading = BuildOutput(SPEC)
    steps = read(*FIRST, *SECOND, {"stream": "one\ntwo\n"}, *WHOLE, *LAST, reading=reading)
    run = "2/2 RUN make \\ all"
    assert [*steps, *reading.end()] == [
        Progress("1/2 FROM base", "", 1, 2), Progress(run, "", 2, 2), Progress(run, "one", 2, 2),
        Progress(run, "two", 2, 2), Progress("built", "sha256:1"),
    ]  # fmt: skip


def test_a_line_may_come_in_pieces_and_errors_in_between() -> None:
    said = texts(
        {"stream": "on"}, {"stream": "\x1b[91mbad"}, {"stream": "e\nt"}, {"stream": "\x1b[91m!\n\x1b[0m"}, *WHOLE
    )
    assert said == ["one", "bad!", "t"]


def test_what_was_last_written_without_a_line_break_is_not_lost() -> None:
    assert texts({"stream": "no end"}, *WHOLE) == ["no end"]
    reading = BuildOutput(SPEC)
    with pytest.raises(EngineRejected):
        read(*FIRST, *SECOND, {"stream": "x"}, {"error": "no", "errorDetail": {"code": 1}}, reading=reading)


def test_a_progress_bar_shows_its_last_state() -> None:
    assert texts({"stream": "10%\r50%\r100%\r\n"}) == ["100%"]


def test_a_failed_step_tells_its_last_errors_and_its_code() -> None:
    error = {"error": "The command '/bin/sh -c make' returned a non-zero code: 2", "errorDetail": {"code": 2}}
    lines = [{"stream": f"\x1b[91mE{number}\n\x1b[0m"} for number in range(9)]
    with pytest.raises(EngineRejected) as caught:
        read(*FIRST, *SECOND, *lines, {"stream": "fine\n"}, error)
    assert caught.value.why == "E6 E7 E8 (exit code 2)"
    assert caught.value.data == {"problem": "build", "step": "2/2 RUN make \\ all", "exit_code": 2}


def test_an_earlier_step_s_errors_are_not_the_reason() -> None:
    error = {"error": "COPY failed: nothing there", "errorDetail": {"message": "COPY failed: nothing there"}}
    third = [{"stream": "Step 2/3 : RUN a"}, {"stream": "\x1b[91mwarning\n"}, {"stream": "Step 3/3 : COPY a b"}]
    with pytest.raises(EngineRejected) as caught:
        read({"stream": "Step 1/3 : FROM base"}, *third, error)
    assert caught.value.why == "COPY failed: nothing there"


def test_a_base_that_cannot_be_fetched_is_named() -> None:
    with pytest.raises(EngineRejected) as caught:
        read({"stream": "Step 1/1 : FROM --platform=linux/amd64 my/base:1 AS x"}, {"error": "dial tcp: no such host"})
    assert caught.value.data == {"problem": "network"} and "my/base:1" in caught.value.message


def test_layers_of_the_base_come_as_in_a_pull() -> None:
    layer = {"status": "Downloading", "id": "ab12", "progressDetail": {"current": 5, "total": 9}}
    assert read(*FIRST, layer)[-1] == Progress("ab12", "Downloading", 5, 9)


def test_an_answer_that_ends_without_an_image_is_no_image() -> None:
    reading = BuildOutput(SPEC)
    read(*FIRST, *SECOND, reading=reading)
    with pytest.raises(EngineUnreachable) as caught:
        list(reading.end())
    assert "2/2 RUN" in (caught.value.why or "")


@pytest.mark.parametrize("rest", [(), SECOND])
def test_an_answer_that_ends_after_an_earlier_stage_is_no_image(rest: Any) -> None:
    reading = BuildOutput(SPEC)
    read(*FIRST, {"aux": {"ID": "sha256:1"}}, *rest, reading=reading)
    with pytest.raises(EngineUnreachable):
        list(reading.end())


def test_the_last_stage_is_the_image() -> None:
    reading = BuildOutput(SPEC)
    read(*FIRST, {"aux": {"ID": "sha256:1"}}, *SECOND, {"aux": {"ID": "sha256:2"}}, reading=reading)
    assert list(reading.end())[-1].text == "sha256:2"


def test_what_is_known_of_a_failure_is_a_hint() -> None:
    full = build_error(SPEC, "write /x: no space left on device", step="2/2 RUN x")
    assert "docker system df" in (full.hint or "")
    full = build_error(
        SPEC, "returned a non-zero code: 1", exit_code=1, output=["OSError: [Errno 28] No space left on device"]
    )
    assert "docker system df" in (full.hint or "")
    killed = build_error(SPEC, "returned a non-zero code: 137", exit_code=137)
    assert "2g" in (killed.hint or "")
    assert build_error(SPEC, "x", exit_code=1).hint is None


def test_long_step_is_shortened_in_the_message() -> None:
    error = build_error(SPEC, "x", step="2/2 RUN " + "a" * 500)
    assert len(error.message) < 200 and error.data is not None and len(error.data["step"]) == 508


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"), ("\x1b]0;title\x07x", "x"), ("\x1b]8;;a\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x00b\x08c\x7f\x9bK", "abc"), ("\x1b(Bx\x1bM", "x"), ("tab\there", "tab\there"), ("über", "über"),
    ],
)  # fmt: skip
def test_plain_text_has_nothing_for_a_terminal(text: str, expected: str) -> None:
    assert strip_control_codes(text) == expected
