"""GPUs from a line of text."""

from __future__ import annotations

import pytest

from ds01.errors import UsageError
from ds01.gpus.model import GpuObservation, MigState, SlotKind
from ds01.gpus.simulated import parse_inventory
from ds01.system.data import from_json, to_json


def test_whole_gpus_and_instances() -> None:
    seen = parse_inventory("1xA100,2xA100-80GB:3x2g.20gb").observe()
    assert [slot.slot for slot in seen.slots] == ["0", "1:0", "1:1", "1:2", "2:0", "2:1", "2:2"]
    assert [gpu.mig for gpu in seen.gpus] == [MigState.OFF, MigState.INSTANCES, MigState.INSTANCES]
    whole, instance = seen.slots[0], seen.slots[1]
    assert (whole.kind, whole.memory_bytes, whole.profile, whole.slices) == (SlotKind.FULL, 40 << 30, None, 7)
    assert (instance.kind, instance.memory_bytes, instance.profile, instance.slices) == (
        SlotKind.MIG, 20 << 30, "2g.20gb", 2,
    )  # fmt: skip
    assert (seen.driver, seen.simulated) == ("simulated", True)
    assert len({slot.uuid for slot in seen.slots}) == 7


def test_uuids_come_from_the_position_and_look_like_nvidias() -> None:
    once, again = (parse_inventory(text).observe() for text in ("2xA100:7x1g.5gb", "1xA100:7x1g.5gb,1xV100"))
    assert once.slots[:7] == again.slots[:7]
    assert [slot.uuid[:4] for slot in again.slots[6:]] == ["MIG-", "GPU-"]


def test_profiles_are_mixed_in_the_order_written() -> None:
    seen = parse_inventory("1xH100:1x3g.40gb+1x2g.20gb+2x1g.10gb").observe()
    assert [slot.profile for slot in seen.slots] == ["3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"]


def test_a_server_without_gpus() -> None:
    assert parse_inventory("simulated:none").observe() == GpuObservation((), (), "simulated", simulated=True)


def test_observation_survives_json() -> None:
    seen = parse_inventory("1xA100,1xA100:3x2g.10gb").observe()
    assert from_json(GpuObservation, to_json(seen)) == seen


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "COUNTxWHAT"),
        ("A100", "COUNTxWHAT"),
        ("0xA100", "at least 1"),
        ("-1xA100", "COUNTxWHAT"),
        ("1xA100:", "COUNTxWHAT"),
        ("1xVoodoo", "unknown model"),
        ("33xA100", "at most 32"),
        ("1xA100:1x2g.20gb", "it has 1g.5gb"),
        ("1xV100:1x1g.5gb", "no MIG"),
        ("1xA100:8x1g.5gb", "8 compute slices, A100 has 7"),
        ("1xA100:4x2g.10gb", "8 compute slices, A100 has 7"),
        ("1xA100:5x1g.10gb", "10 memory slices, A100 has 8"),
        ("1xA30:5x1g.6gb", "5 compute slices, A30 has 4"),
    ],
)
def test_invalid_description_says_why(text: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_inventory(text)
    assert why in (error.value.why or "")
    assert error.value.hint
