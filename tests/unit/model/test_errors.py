import pickle
from collections.abc import Iterator
from datetime import timedelta

import pytest

from transferhub import errors
from transferhub.errors import InputError, StoreError, TooManyError, TransferHubError


def tree(kind: type[TransferHubError]) -> Iterator[type[TransferHubError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def made(kind: type[TransferHubError]) -> TransferHubError:
    if issubclass(kind, InputError):
        return kind("field", "a sentence", code="its_own")
    if issubclass(kind, StoreError):
        return kind("a sentence", code="its_own", status=503, vendor_code="V", request_id="R")
    if issubclass(kind, TooManyError):
        return kind("a sentence", code="its_own", wait=timedelta(seconds=1))
    return kind("a sentence", code="its_own")


@pytest.mark.parametrize("kind", [*tree(TransferHubError)])
def test_an_error_goes_to_another_process_whole(kind: type[TransferHubError]) -> None:
    error = made(kind)
    found = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(found) is kind
    assert (str(found), found.__dict__) == (str(error), error.__dict__)
    assert found.retryable is kind.retryable


def test_no_two_kinds_share_a_code() -> None:
    codes = [kind.default_code for kind in tree(TransferHubError)]
    assert len(codes) == len(set(codes))
