from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.engine.compare import CompareMode, Comparison
from transferhub.engine.merge import (
    ARCHIVED_CLASSES,
    Everything,
    Selection,
    Verdict,
    decide,
)
from transferhub.model.objects import ObjectEntry
from transferhub.model.transfer import Action, Difference, TransferState
from transferhub.stores.memory import MemoryStore

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
CLASSES = ["", "STANDARD", "GLACIER", "deep_archive", "GLACIER_IR"]

keys = st.text(st.sampled_from("ab/\x00é\U0001f600"), min_size=1, max_size=3)
Facts = tuple[int, str]  # size, storage class
sides = st.dictionaries(keys, st.tuples(st.integers(0, 3), st.sampled_from(CLASSES)), max_size=12)


@dataclass
class Chosen:
    """Selects by a letter in the key and a smallest size."""

    letter: str
    smallest: int
    trivial: bool = False

    def selects_key(self, key: str) -> bool:
        return self.letter in key

    def selects(self, key: str, entry: ObjectEntry) -> bool:
        return self.selects_key(key) and entry.size >= self.smallest


selections = st.one_of(
    st.builds(Everything), st.builds(Chosen, st.sampled_from(["", "a"]), st.integers(0, 3))
)


def window(side: Mapping[str, Facts], base: str) -> tuple[list[str], list[ObjectEntry]]:
    names = sorted(side)
    return names, [
        ObjectEntry(base + name, side[name][0], "", NOON, side[name][1]) for name in names
    ]


def decided(
    source: Mapping[str, Facts],
    destination: Mapping[str, Facts],
    selection: Selection,
    *,
    mode: CompareMode = CompareMode.SIZE,
    confirm: bool = False,
) -> Verdict:
    comparison = Comparison(mode, MemoryStore("source"), MemoryStore("destination"))
    return decide(
        window(source, "from/"),
        window(destination, "to/"),
        base="from/",
        compare=comparison.by_entry,
        same_at_a_glance=comparison.same_at_a_glance,
        selection=selection,
        confirm=confirm,
    )


def reference(
    source: Mapping[str, Facts], destination: Mapping[str, Facts], selection: Selection
) -> dict[str, Difference | None]:
    """The verdict of each key, None where it is filtered, without an order or a window."""
    found: dict[str, Difference | None] = {}
    for key, (size, storage_class) in source.items():
        if not selection.selects(key, ObjectEntry(key, size, "", NOON, storage_class)):
            found[key] = None
        elif key not in destination:
            found[key] = Difference.NEW
        else:
            found[key] = Difference.SAME if destination[key][0] == size else Difference.CHANGED
    for key in destination.keys() - source.keys():
        found[key] = Difference.EXTRA if selection.selects_key(key) else None
    return found


@given(sides, sides, selections)
def test_a_merge_is_the_comparison_of_two_sets(
    source: dict[str, Facts], destination: dict[str, Facts], selection: Selection
) -> None:
    verdict = decided(source, destination, selection)
    expected = {
        ("from/" + key, difference)
        for key, difference in reference(source, destination, selection).items()
        if difference not in (None, Difference.SAME)
    }
    found = [(transfer.key, transfer.difference) for transfer in verdict.transfers]
    assert len(found) == len(set(found))
    assert set(found) == expected


@given(sides, sides, selections, st.sampled_from(CompareMode), st.booleans())
def test_the_counts_of_every_window_balance(
    source: dict[str, Facts],
    destination: dict[str, Facts],
    selection: Selection,
    mode: CompareMode,
    confirm: bool,
) -> None:
    verdict = decided(source, destination, selection, mode=mode, confirm=confirm)
    counts = verdict.counts
    judged = counts.same + counts.new + counts.changed + counts.filtered + counts.archived
    assert counts.scanned_source == len(source) == judged + len(verdict.unsure)
    assert counts.scanned_destination == len(destination)
    assert counts.source_bytes == sum(size for size, _ in source.values())
    waiting = [t for t in verdict.transfers if t.state is TransferState.WAITING]
    assert counts.copy_bytes == sum(transfer.size for transfer in waiting)
    assert len(waiting) == counts.new + counts.changed
    states = [transfer.state for transfer in verdict.transfers]
    assert states.count(TransferState.ARCHIVED) == counts.archived
    assert states.count(TransferState.HELD) == counts.extra
    if not confirm:
        assert not verdict.unsure


@given(sides, sides, selections)
def test_only_extra_keys_are_to_be_deleted_and_all_of_them_are_held(
    source: dict[str, Facts], destination: dict[str, Facts], selection: Selection
) -> None:
    for transfer in decided(source, destination, selection).transfers:
        extra = transfer.difference is Difference.EXTRA
        assert (transfer.action is Action.DELETE) == (transfer.state is TransferState.HELD) == extra
        if extra:
            assert transfer.key.removeprefix("from/") not in source


@given(sides, sides, selections, st.integers(0, 12))
def test_cutting_a_window_anywhere_changes_no_verdict(
    source: dict[str, Facts], destination: dict[str, Facts], selection: Selection, at: int
) -> None:
    names = sorted({*source, *destination})
    border = names[at] if at < len(names) else "\U0010ffff"
    halves = [
        decided(
            {key: facts for key, facts in source.items() if (key <= border) is left},
            {key: facts for key, facts in destination.items() if (key <= border) is left},
            selection,
        )
        for left in (True, False)
    ]
    whole = decided(source, destination, selection)
    assert halves[0].counts + halves[1].counts == whole.counts
    assert set(halves[0].transfers + halves[1].transfers) == set(whole.transfers)


@given(sides, sides)
def test_what_needs_a_closer_look_is_what_is_otherwise_same(
    source: dict[str, Facts], destination: dict[str, Facts]
) -> None:
    sure = decided(source, destination, Everything())
    unsure = decided(source, destination, Everything(), confirm=True)
    assert (len(unsure.unsure), unsure.same) == (sure.same, 0)
    assert all(ours.key[5:] == theirs.key[3:] for ours, theirs in unsure.unsure)
    assert unsure.transfers == sure.transfers


@pytest.mark.parametrize("storage_class", [*ARCHIVED_CLASSES, "glacier"])
@pytest.mark.parametrize("there", [{}, {"a": (2, "")}])
def test_an_archived_object_is_counted_and_never_queued(
    storage_class: str, there: dict[str, Facts]
) -> None:
    verdict = decided({"a": (1, storage_class)}, there, Everything())
    assert (verdict.archived, verdict.new, verdict.changed, verdict.copy_bytes) == (1, 0, 0, 0)
    assert [transfer.state for transfer in verdict.transfers] == [TransferState.ARCHIVED]


def test_an_archived_object_that_is_there_already_is_the_same() -> None:
    verdict = decided({"a": (1, "GLACIER")}, {"a": (1, "")}, Everything())
    assert (verdict.same, verdict.archived) == (1, 0)


def test_an_object_that_can_be_read_at_once_is_not_archived() -> None:
    assert decided({"a": (1, "GLACIER_IR")}, {}, Everything()).archived == 0


def test_a_window_of_keys_and_entries_that_do_not_pair_is_refused() -> None:
    comparison = Comparison(CompareMode.SIZE, MemoryStore(), MemoryStore())
    with pytest.raises(ValueError, match="zip"):
        decide(
            (["a", "b"], window({"a": (1, "")}, "")[1]),
            ([], []),
            base="",
            compare=comparison.by_entry,
            same_at_a_glance=comparison.same_at_a_glance,
            selection=Everything(),
            confirm=False,
        )
