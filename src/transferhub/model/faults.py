"""Several faults of one input, told together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from transferhub.errors import InputError


class InputErrors(InputError):  # noqa: N818 - the plural of InputError
    """More than one thing that the user gave is wrong.

    Attributes:
        faults: each of them; none is an InputErrors.
        field: the first one's.
    """

    def __init__(self, faults: Sequence[InputError]) -> None:
        first, *others = faults
        super().__init__(first.field, first.message.removeprefix(f"{first.field}: "))
        self.faults = tuple(faults)
        if others:
            self.message = "\n".join(fault.message for fault in faults)
            self.args = (self.message,)


def flatten(errors: Iterable[InputError]) -> list[InputError]:
    flat: list[InputError] = []
    for error in errors:
        flat.extend(error.faults if isinstance(error, InputErrors) else [error])
    return flat


def raise_faults(errors: Iterable[InputError]) -> None:
    """Raises the one fault as it is, several as InputErrors; returns where there is none."""
    faults = flatten(errors)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise InputErrors(faults)


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that names the nearest known name, or ""."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
