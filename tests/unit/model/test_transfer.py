from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from transferhub.model.transfer import (
    OPEN_STATES,
    Action,
    ScanCounts,
    Tally,
    Totals,
    TransferState,
)

names = [field.name for field in fields(ScanCounts)]
counts = st.fixed_dictionaries(dict.fromkeys(names, st.integers(0, 1 << 40)))


@given(counts, counts)
def test_counts_add_up_name_by_name(one: dict[str, int], other: dict[str, int]) -> None:
    whole = ScanCounts(**one) + ScanCounts(**other)
    assert whole == ScanCounts(**{name: one[name] + other[name] for name in names})


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(Action), st.sampled_from(TransferState)),
        st.builds(Tally, st.integers(0, 99), st.integers(0, 99)),
    )
)
def test_every_transfer_is_open_or_ended_or_waits_for_a_person(
    tallies: dict[tuple[Action, TransferState], Tally],
) -> None:
    totals = Totals(
        scan=ScanCounts(), shards=0, shards_done=0, tallies=tallies, moved_bytes=0, uploads=0
    )
    rest = [state for state in TransferState if state not in OPEN_STATES]
    others = sum(totals.tally(action, *rest).count for action in Action)
    assert totals.open + others == sum(tally.count for tally in tallies.values())
    for action in Action:
        sizes = [tally.size for (found, _), tally in tallies.items() if found is action]
        assert totals.tally(action, *TransferState).size == sum(sizes)
