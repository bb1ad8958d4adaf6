"""The error tree is the one that its module draws, and an error goes through a pipe unchanged."""

import pickle
import re
from collections.abc import Iterator

import pytest

from transferhub import errors
from transferhub.errors import InputError, StoreError, TransferHubError

RETRYABLE = {"ThrottledError", "TransientError", "ChangedError", "CorruptError", "ConflictError"}


def drawn() -> dict[str, int]:
    """Name and depth of each line of the tree."""
    lines = (errors.__doc__ or "").splitlines()
    found = [re.match(r"    ([│├└─ ]*)(\w+Error)\b", line) for line in lines]
    return {line[2]: len(line[1]) // 4 for line in found if line}


def real(root: type[TransferHubError], depth: int = 0) -> Iterator[tuple[str, int]]:
    yield root.__name__, depth
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from real(kind, depth + 1)


def test_the_tree_is_drawn_as_it_is() -> None:
    assert list(drawn().items()) == list(real(TransferHubError))


def test_only_what_may_pass_can_be_tried_again() -> None:
    kinds = [getattr(errors, name) for name in drawn()]
    assert {kind.__name__ for kind in kinds if kind.retryable} == RETRYABLE


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [getattr(errors, name).default_code for name in drawn()]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    "error",
    [
        InputError("attempts", "must be 1 or more", code="bad_input"),
        StoreError("no", code="x", status=503, vendor_code="SlowDown", request_id="7"),
        *(getattr(errors, name)("a sentence") for name in drawn() if name != "InputError"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_goes_through_a_pipe_unchanged(error: TransferHubError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))
