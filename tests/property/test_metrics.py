"""Names with anything in them give valid metrics."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ds01.observe.metrics.exposition import exposition
from ds01.observe.metrics.families import metric_families
from tests.server_views import TOTALS, full_view, leased_slot

# Everything that Python can have in a string: control characters, line breaks, quotes, lone surrogates.
NAMES = st.text(st.characters(), max_size=20)


@given(user=NAMES, container=NAMES)
def test_any_name_survives_as_a_label(user: str, container: str) -> None:
    view = full_view(slots=(leased_slot(user=user, container=container),))
    text = exposition(metric_families(view, {}, TOTALS, version="1"))
    (family,) = (each for each in text_string_to_metric_families(text) if each.name == "ds01_lease_seconds")
    (sample,) = family.samples
    assert (sample.labels["user"], sample.labels["container"]) == (shown(user), shown(container))
    assert sample.value == 3600


def shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "�" for letter in name)
