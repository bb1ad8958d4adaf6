from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.errors import InputError
from transferhub.state.cursors import NEVER, Place, read_cursor, write_cursor


@given(
    st.integers(0, NEVER)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.integers(0, NEVER),
)
def test_a_cursor_tells_its_place(value: int | str, number: int) -> None:
    place = Place(value, number)
    assert read_cursor("list", write_cursor("list", place), type(value)) == place


def test_no_cursor_is_the_first_page() -> None:
    assert read_cursor("list", "", int) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "{}",
        "[]",
        '["list",1]',
        '["other",1,1]',
        '["list","1",1]',
        '["list",true,1]',
        '["list",1,1.5]',
        '["list",1,9223372036854775808]',
        '["list",9223372036854775808,1]',
        "[" * 100_000,
    ],
)
def test_what_a_database_could_not_take_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_cursor("list", urlsafe_b64encode(text.encode()).decode() or "=", int)


@pytest.mark.parametrize("text", ['["list","\\u0000",1]', '["list","\\ud800",1]', '["list",1,1]'])
def test_a_text_that_no_database_holds_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_cursor("list", urlsafe_b64encode(text.encode()).decode(), str)
