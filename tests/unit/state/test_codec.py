from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.model.transfer import Action, Difference, TransferState
from transferhub.state.sql.codec import (
    ACTIONS,
    DIFFERENCES,
    STATES,
    from_text,
    to_text,
    to_words,
    worker_code,
)
from transferhub.state.values import from_micros, to_micros

_texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\x00\x01\x02"))


@given(_texts)
def test_text_comes_back_as_it_was(text: str) -> None:
    assert from_text(to_text(text)) == text


@given(_texts)
def test_no_stored_text_holds_nul(text: str) -> None:
    assert "\x00" not in to_text(text)


@given(_texts, _texts)
def test_stored_text_keeps_the_order_of_bytes(one: str, other: str) -> None:
    stored = to_text(one).encode() < to_text(other).encode()
    assert stored == (one.encode() < other.encode())


@given(st.text(st.characters()))
def test_words_can_always_be_stored(text: str) -> None:
    stored = to_words(text)
    stored.encode()
    assert len(from_text(stored)) == len(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_are_exact_to_the_microsecond(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))  # noqa: DTZ001 - Hypothesis wants bounds without a zone
def test_micros_are_those_of_the_clock(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert to_micros(moment) == (moment - epoch) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("codes", "kind"), [(STATES, TransferState), (ACTIONS, Action), (DIFFERENCES, Difference)]
)
def test_every_value_has_one_code(codes: tuple[StrEnum, ...], kind: type[StrEnum]) -> None:
    assert sorted(codes) == sorted(kind)


def test_codes_in_databases_do_not_move() -> None:
    assert [state.value for state in STATES] == [
        "waiting",
        "leased",
        "in_parts",
        "held",
        "done",
        "failed",
        "vanished",
        "skipped",
        "archived",
    ]
    assert [action.value for action in ACTIONS] == ["copy", "delete"]
    assert [difference.value for difference in DIFFERENCES] == ["new", "changed", "same", "extra"]


def test_a_worker_has_the_same_number_in_every_process() -> None:
    assert worker_code("host-1-0") == worker_code("host-1-0") != worker_code("host-1-1")
    assert -(1 << 63) <= worker_code("host-1-0") < 1 << 63
    assert worker_code("worker") == 8_253_604_615_287_234_003
