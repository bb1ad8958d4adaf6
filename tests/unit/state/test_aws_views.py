from hypothesis import given
from hypothesis import strategies as st

from transferhub.state.aws.views import moment_text, neighbour, place_text, text_place
from transferhub.state.cursors import NEVER, Place

_places = st.builds(Place, st.integers(-NEVER, NEVER), st.integers(-NEVER, NEVER - 1))


@given(_places, _places)
def test_places_sort_as_texts(one: Place, other: Place) -> None:
    as_places = (one.value, one.number) < (other.value, other.number)
    assert (place_text(one) < place_text(other)) == as_places


@given(_places)
def test_a_place_comes_back_as_it_was(place: Place) -> None:
    assert text_place(place_text(place)) == place


@given(_places)
def test_nothing_is_between_a_place_and_its_neighbours(place: Place) -> None:
    text = place_text(place)
    before, after = neighbour(text, -1), neighbour(text, 1)
    assert before < text < after
    assert neighbour(after, -1) == neighbour(before, 1) == text
    assert {len(before), len(text), len(after)} == {32}


@given(_places)
def test_the_text_of_a_moment_comes_before_its_places(place: Place) -> None:
    assert moment_text(int(place.value)) < place_text(place)
    assert int(place.value) == NEVER or place_text(place) < moment_text(int(place.value) + 1)
