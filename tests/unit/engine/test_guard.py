import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.engine.execution import DeleteGuard
from transferhub.errors import GuardError
from transferhub.model.transfer import Action, ScanCounts, Tally, Totals, TransferState


def totals(extra: int, seen: int, *, deleted: int = 0) -> Totals:
    return Totals(
        scan=ScanCounts(scanned_destination=seen, extra=extra),
        shards=1,
        shards_done=1,
        tallies={
            (Action.DELETE, TransferState.HELD): Tally(extra),
            (Action.DELETE, TransferState.DONE): Tally(deleted),
            (Action.COPY, TransferState.HELD): Tally(999),
        },
        moved_bytes=0,
        uploads=0,
    )


def refusal(guard: DeleteGuard, of: Totals) -> str:
    """The code of the refusal, "" where there is none."""
    try:
        guard.check(of, "the destination")
    except GuardError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    ("extra", "seen", "most", "percent", "code"),
    [
        (10, 100, None, 10.0, ""),
        (11, 100, None, 10.0, "max_delete_percent"),
        (10, 100, 10, 100.0, ""),
        (11, 100, 10, 100.0, "max_delete"),
        (11, 100, 10, 10.0, "max_delete"),
        (1, 100, 0, 100.0, "max_delete"),
        (1, 10_000, None, 0.0, "max_delete_percent"),
        (0, 0, 0, 0.0, ""),
        (0, 100, 0, 0.0, ""),
        (100, 100, None, 100.0, ""),
        (1_001, 10_000, None, 10.0, "max_delete_percent"),
    ],
)
def test_both_limits_of_deleting_hold_exactly(
    extra: int, seen: int, most: int | None, percent: float, code: str
) -> None:
    guard = DeleteGuard(delete=True, most=most, most_percent=percent)
    assert refusal(guard, totals(extra, seen)) == code


@given(
    extra=st.integers(0, 300),
    kept=st.integers(0, 300),
    most=st.none() | st.integers(0, 300),
    percent=st.floats(0, 100),
)
def test_what_a_guard_lets_pass_is_within_both_limits(
    extra: int, kept: int, most: int | None, percent: float
) -> None:
    seen = extra + kept
    guard = DeleteGuard(delete=True, most=most, most_percent=percent)
    within = (most is None or extra <= most) and 100 * extra <= percent * seen + 1e-9 * seen
    assert (refusal(guard, totals(extra, seen)) == "") == within


def test_what_was_deleted_by_an_earlier_start_is_not_held_against_the_rest() -> None:
    assert refusal(DeleteGuard(delete=True), totals(5, 100, deleted=90)) == ""


def test_a_refusal_says_how_many_and_which_limit() -> None:
    guard = DeleteGuard(delete=True, most_percent=2.5)
    sentence = r"3 of 100 objects \(3\.0 %\) .+ from s3://b, more than --max-delete-percent 2\.5 "
    with pytest.raises(GuardError, match=sentence):
        guard.check(totals(3, 100), "s3://b")


def test_a_refusal_says_what_is_counted() -> None:
    for things in ("objects", "tags"):
        with pytest.raises(GuardError, match=f"^90 of 100 {things} \\(90.0 %\\) would be"):
            DeleteGuard(delete=True, things=things).check_count(90, 100, "there")
