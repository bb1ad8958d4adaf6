from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.engine.compare import CompareMode, Comparison
from transferhub.model.objects import ObjectEntry
from transferhub.model.transfer import Difference
from transferhub.stores.memory import MemoryStore

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
ETAG = "0" * 32

entries = st.builds(
    ObjectEntry,
    key=st.just("key"),
    size=st.sampled_from([0, 1]),
    etag=st.sampled_from([ETAG, "1" * 32, f"{ETAG}-2", "", "opaque"]),
    modified_at=st.none()
    | st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]).map(
        lambda seconds: NOON + timedelta(seconds=seconds)
    ),
)


def comparison(mode: CompareMode) -> Comparison:
    return Comparison(mode, MemoryStore("source"), MemoryStore("destination"))


@given(
    st.sampled_from(CompareMode),
    st.lists(st.tuples(entries, entries), min_size=1, max_size=3),
)
def test_a_glance_finds_the_same_only_where_a_look_at_each_pair_does(
    mode: CompareMode, pairs: list[tuple[ObjectEntry, ObjectEntry]]
) -> None:
    compared = comparison(mode)
    ours, theirs = zip(*pairs, strict=True)
    if compared.same_at_a_glance(ours, theirs):
        assert {compared.by_entry(*pair) for pair in pairs} == {Difference.SAME}


@pytest.mark.parametrize(
    ("etag", "seconds", "sure"), [(ETAG, 0, True), ("opaque", 0, False), ("opaque", 1, True)]
)
def test_a_glance_is_sure_of_older_sources_and_of_equal_etags(
    etag: str, seconds: int, sure: bool
) -> None:
    source = ObjectEntry("key", 1, ETAG, NOON)
    destination = ObjectEntry("key", 1, etag, NOON + timedelta(seconds=seconds))
    compared = comparison(CompareMode.SIZE_MTIME)
    assert compared.same_at_a_glance([source], [destination]) is sure
