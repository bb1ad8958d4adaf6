import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.plugins.objects.keymap import KeyMap
from transferhub.plugins.objects.spec import parse_spec

MAP = KeyMap.of(
    parse_spec({"source": "s3://a/x", "destination": "oss://b/y", "destination_prefix": "z"})
)


@given(st.text())
def test_keys_are_mapped_there_and_back(relative: str) -> None:
    assert MAP.source_key(relative) == f"x/{relative}"
    assert MAP.destination_key(relative) == f"y/z/{relative}"
    assert MAP.relative_of_source(MAP.source_key(relative)) == relative
    assert MAP.relative_of_destination(MAP.destination_key(relative)) == relative


def test_a_key_from_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="does not start with"):
        MAP.relative_of_source("y/a")
