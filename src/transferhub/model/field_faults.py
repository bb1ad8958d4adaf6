"""The faults that pydantic found, in plain words."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from transferhub.errors import InputError
from transferhub.model.faults import suggest


def faults_of(error: ValidationError, names: Iterable[str], prefix: str = "") -> list[InputError]:
    """The faults of pydantic as ours: one for each field, in plain words.

    Args:
        names: the fields that there are.
        prefix: stands before each field's name.
    """
    known = list(names)
    faults: dict[str, InputError] = {}
    for detail in error.errors(include_url=False, include_input=False):
        name = str(detail["loc"][0]) if detail["loc"] else ""
        field = prefix + name
        match detail["type"]:
            case "extra_forbidden":
                sentence = f"there is no such parameter{suggest(name, known)}"
            case "missing":
                sentence = "is missing"
            case "greater_than_equal":
                sentence = f"must be at least {detail['ctx']['ge']:,}"
            case "less_than_equal":
                sentence = f"must be at most {detail['ctx']['le']:,}"
            case _:
                sentence = detail["msg"].removeprefix("Value error, ")
        faults.setdefault(field, InputError(field, sentence))
    return list(faults.values())
