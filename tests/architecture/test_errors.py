"""The error tree is the one that its module draws."""

import re
from collections.abc import Iterator

from transferhub import errors
from transferhub.errors import TransferHubError

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
