import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.model.keys import beyond, can_be_key, next_letter

LAST = "\U0010ffff"
texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(f"\ud7ff\ue000{LAST}"))


@given(prefix=texts, rest=texts, other=texts)
def test_beyond_a_prefix_are_exactly_the_keys_after_all_that_start_with_it(
    prefix: str, rest: str, other: str
) -> None:
    end = beyond(prefix)
    assert end is None or prefix + rest < end
    if other >= prefix and not other.startswith(prefix):
        assert end is not None
        assert end <= other


@pytest.mark.parametrize(
    ("prefix", "end"),
    [("", None), (LAST, None), ("a/", "a0"), (f"a{LAST}", "b"), ("\ud7ff", "\ue000")],
)
def test_what_is_beyond_can_be_a_key(prefix: str, end: str | None) -> None:
    assert beyond(prefix) == end
    assert end is None or can_be_key(end)


def test_the_last_letter_stays_itself() -> None:
    assert next_letter(LAST) == LAST


@pytest.mark.parametrize(("text", "can"), [("", True), ("é\x00", True), ("a\udfff", False)])
def test_half_a_surrogate_pair_is_no_key(text: str, can: bool) -> None:
    assert can_be_key(text) is can
